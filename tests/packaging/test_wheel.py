"""What is published: one top-level package, always the same bytes, all of it in the sdist too."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("golden", "hw", "model", "sim")
BUILD = """
import sys
from hatchling import build
getattr(build, sys.argv[1])(sys.argv[2])
"""


def built(kind, source, target):
    """The file that hatchling makes of `source`: `build_wheel` or `build_sdist`."""
    target.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, kind, str(target)], cwd=source, check=True)
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("build_wheel", ROOT, tmp_path_factory.mktemp("wheel") / "dist")


def tracked():
    """The files of the package that git knows, by their names in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "spikewright", *PARTS], cwd=ROOT, check=True, capture_output=True
    )
    names = [name for name in listed.stdout.decode().split("\n") if name]
    links = {f"spikewright/{part}" for part in PARTS}
    return {
        name if name.startswith("spikewright/") else f"spikewright/{name}"
        for name in names
        if name not in links
    }


def test_a_wheel_holds_one_package_and_every_file_of_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    held = {name for name in names if ".dist-info/" not in name}
    assert held == tracked()
    assert len(held) > 250
    assert "spikewright/py.typed" in held


def test_two_builds_and_one_from_the_sdist_are_the_same_bytes(wheel, tmp_path):
    again = built("build_wheel", ROOT, tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()
    sdist = built("build_sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        # Python 3.11.2 of Debian has no filters yet
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert built("build_wheel", source, tmp_path / "from-sdist").read_bytes() == wheel.read_bytes()


def test_a_wheel_works_without_the_clone(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    work = tmp_path / "work"
    work.mkdir()
    program = (
        "import spikewright as sw, spikewright.golden as golden, sys\n"
        "assert sw.__file__.startswith(sys.argv[1]) and golden.__file__.startswith(sys.argv[1])\n"
        "from spikewright.model.recipes import recipe\n"
        "assert recipe.load('digits').timesteps\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for command in (["-c", program, str(tmp_path / "site")], ["-m", "spikewright", "--version"]):
        subprocess.run([sys.executable, *command], cwd=work, env=environment, check=True)
    network = ROOT / "examples" / "networks" / "digits.safetensors"
    command = ["-m", "spikewright", "build", str(network), "--out", "b", "--inputs", "random"]
    subprocess.run([sys.executable, *command], cwd=work, env=environment, check=True)
    assert (work / "b" / "rtl" / "top.v").is_file()
