"""Build folders: reproducible, complete, refused when damaged; memories as in the image."""

# Through these also hw.hdl, hw.verilog.

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image import interpreter
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import load_image
from spikewright.golden.image.load_stream import load_words, memories
from spikewright.golden.models import reference
from spikewright.golden.network.file import save
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.random_chain import Limits, random_inputs, random_network
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.hw.ram import FEW, is_block

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    network = random_network(5, SMALL)
    return network, folder, build(network, folder, BuildOptions(4))


def test_the_folder_holds_what_verify_needs(built):
    _, folder, image = built
    names = {path.name for path in (folder / "rtl").iterdir()}
    assert {"top.v", "accelerator.v", "filelist.f"} <= names
    assert (folder / "network.safetensors").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / "rtl" / name).read_bytes()).hexdigest() == digest
    assert manifest["lanes"] == {core.node: core.lanes for core in image.cores}
    assert not [path for path in folder.rglob(".*") if path.is_file()]


def test_the_image_read_back_computes_the_network(built):
    network, folder, _ = built
    inputs = network.check_inputs(random_inputs(network, 4, 1))
    comparison = compare(
        reference.run(network, inputs), interpreter.run(load_image(folder), inputs)
    )
    assert comparison.mismatches == 0
    assert comparison.membranes > 0


def test_every_memory_file_is_read_by_the_verilog_and_exists(built):
    _, folder, image = built
    text = (folder / "rtl" / "accelerator.v").read_text()
    named = set(re.findall(r'\.INIT\("(.+?)"\)', text))
    present = {path.name for path in (folder / "rtl").glob("*.mem")}
    assert named <= present
    assert "$readmem" not in text
    # A core with a single tap needs no tap memory; all others must be in use.
    unused = {
        f"{core.node}_taps.mem" for core in image.cores if len(core.memories["taps"].words) == 1
    }
    assert present - named == unused


def test_a_loadable_build_reads_no_file(built, tmp_path):
    network, _, _ = built
    image = build(network, tmp_path, BuildOptions(4, host=HostInterface(loadable=True)))
    text = (tmp_path / "rtl" / "accelerator.v").read_text()
    assert ".INIT" not in text
    assert (tmp_path / "rtl" / "load.bin").read_bytes() == load_words(image).tobytes()


def test_large_memories_are_instances_that_can_be_replaced(tmp_path):
    network = random_network(3, Limits(side=9, channels=24, units=96, layers=3))
    image = build(network, tmp_path, BuildOptions(2))
    text = (tmp_path / "rtl" / "accelerator.v").read_text()
    blocks = re.findall(r"spikewright_ram #\(\s+\.ADDRESS\(32'd\d+\),\s+\.DEPTH\(32'd(\d+)\)", text)
    due = [
        max(core.words, 2) for core in image.cores for _ in range(core.lanes)
        for bits in (core.held_bits, core.drive_bits if core.direct else 0)
        if is_block(max(core.words, 2), bits)
    ]  # fmt: skip
    due += [
        len(memory.words) for name, memory in memories(image)
        if is_block(len(memory.words), memory.layout.width) and not name.endswith("taps")
    ]  # fmt: skip
    assert sorted(map(int, blocks)) == sorted(due)
    assert len(due) > 2
    # What stays inside a module is small.
    left = [int(high) + 1 for high in re.findall(r"reg \[\d+:0\] \S+ +\[(\d+):0\];", text)]
    assert max(left, default=0) <= FEW


def test_same_bytes_in_another_folder_process_and_hash_seed(built, tmp_path):
    network, folder, _ = built
    save(network, tmp_path / "n.safetensors")
    program = (
        "import sys; from spikewright.golden.network.file import load;"
        "from spikewright.hw.build import build;"
        "from spikewright.hw.options import BuildOptions;"
        "build(load(sys.argv[1]), sys.argv[2], BuildOptions(4))"
    )
    for hash_seed in ("0", "1"):
        place = tmp_path / hash_seed
        command = [sys.executable, "-c", program, str(tmp_path / "n.safetensors"), str(place)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
        files = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
        assert files == sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
        for name in files:
            assert (place / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("victim", ["manifest.json", "rtl/lif1_table_x_0.mem"])
def test_a_missing_file_is_named(built, tmp_path, victim):
    network, _, _ = built
    build(network, tmp_path, BuildOptions(2))
    (tmp_path / victim).unlink()
    with pytest.raises(BadInput, match=victim.rsplit("/", maxsplit=1)[-1]):
        load_image(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", r"content is \[\], must be an object; build again"),
        ('{"image": {"schema": 9}}', "schema of the image is 9, must be 3; build again"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        load_image(tmp_path)


def test_a_flipped_bit_in_a_memory_is_refused(built, tmp_path):
    network, _, _ = built
    build(network, tmp_path, BuildOptions(2))
    path = tmp_path / "rtl" / "lif1_entries_0.mem"
    text = bytearray(path.read_bytes())
    text[0] ^= 1
    path.write_bytes(bytes(text))
    with pytest.raises(BadInput, match=r"lif1_entries_0\.mem: differs from the hash"):
        load_image(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(built, tmp_path):
    network, _, _ = built
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be made") as error:
        build(network, tmp_path / "file" / "x")
    assert "\n" not in str(error.value)


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("earlier", [True, False])
def test_a_build_that_ends_early_leaves_what_was_there(
    built, tmp_path, monkeypatch, error, earlier
):
    network, _, _ = built
    folder = tmp_path / "new" / "build"
    if earlier:
        build(network, folder, BuildOptions(2))
    before, written = content(tmp_path), []

    def write_some(path, data):
        written.append(path)
        if len(written) == 9:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", write_some)
        with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else BadInput):
            build(network, folder, BuildOptions(4))
    assert content(tmp_path) == before
    assert folder.exists() == earlier
    if earlier:
        assert {path.name for path in folder.iterdir()} == {
            "manifest.json", "network.safetensors", "rtl"
        }  # fmt: skip
        load_image(folder)


def test_one_bad_name_leaves_the_old_build(built, tmp_path):
    network, _, _ = built
    build(network, tmp_path, BuildOptions(2))
    before = content(tmp_path)
    long = replace(network, meta={"name": "n" * 300})
    with pytest.raises(BadInput, match=r"meta 'name' is 'n+\.\.\.n+', must be"):
        build(long, tmp_path, BuildOptions(4))
    assert content(tmp_path) == before


def test_a_folder_of_no_build_is_never_replaced(built, tmp_path):
    network, _, _ = built
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "own.v").write_text("mine")
    with pytest.raises(BadInput, match=r"rtl: is of no build, since manifest\.json is missing"):
        build(network, tmp_path, BuildOptions(2))
    assert list(content(tmp_path)) == [tmp_path / "rtl" / "own.v"]


def test_constants_are_data(built):
    _, folder, image = built
    values = load_image(folder).cores[0].memories["constants_0"].words
    np.testing.assert_array_equal(values, image.cores[0].memories["constants_0"].words)
