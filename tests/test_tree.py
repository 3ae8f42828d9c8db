"""Every module has a test file of its name in the mirrored tree, or a line in where_tested.toml."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PARTS = ("golden", "hw", "model", "sim")


def public(file: Path) -> list[str]:
    """The public functions and classes that a file defines."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, kinds)]
    return [name for name in names if not name.startswith("_")]


def modules() -> dict[str, Path]:
    """The file of every module by its name below `spikewright`."""
    found = {}
    for top in (ROOT / "spikewright", *(ROOT / part for part in PARTS)):
        for file in top.rglob("*.py"):
            names = file.relative_to(ROOT).with_suffix("").parts
            if names[0] == "spikewright":
                names = names[1:]
                if names[0] in PARTS:  # a link, or what the link leads to
                    continue
            if names[-1] != "__init__":
                found[".".join(names)] = file
    return found


MODULES = modules()
TABLE = {
    ".".join(filter(None, (room, module))): [files] if isinstance(files, str) else files
    for room, lines in tomllib.loads((TESTS / "where_tested.toml").read_text()).items()
    for module, files in lines.items()
}


def mirrored(module: str) -> Path:
    """Where the test file of a module's name lies; the face is tested in end_to_end."""
    *rooms, name = module.split(".")
    top = TESTS if rooms and rooms[0] in PARTS else TESTS / "end_to_end"
    return top.joinpath(*rooms, f"test_{name}.py")


def mentions(test: str, module: str) -> bool:
    """Whether the text of a test imports or names a module, or names what it defines."""
    *rooms, name = module.split(".")
    package = re.escape(".".join(("spikewright", *rooms)))
    written = [
        rf"\b{re.escape(module)}\b",
        rf"from {package} import (\([^)]*|.*)\b{name}\b",
        *(rf"\b{defined}\b" for defined in public(MODULES[module])),
    ]
    return any(re.search(pattern, test) for pattern in written)


def test_there_are_modules() -> None:
    assert len(MODULES) > 200


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_tested(module: str) -> None:
    beside, listed = mirrored(module).exists(), TABLE.get(module, [])
    assert beside != bool(listed), (
        f"{module} has {'both' if beside else 'neither'}: {mirrored(module)} and a line in "
        f"where_tested.toml"
    )
    for name in listed:
        assert (TESTS / name).is_file(), f"{module}: {name} does not exist"
        assert mentions((TESTS / name).read_text(), module), f"{name} does not mention {module}"


def test_every_line_is_about_a_module() -> None:
    assert set(TABLE) - set(MODULES) == set()


def test_what_mentions_a_module() -> None:
    assert mentions("from spikewright.golden.network import (\n    file,\n)", "golden.network.file")
    assert mentions("# golden.network.file", "golden.network.file")
    assert mentions("fingerprint(network)", "golden.network.file")
    assert not mentions("a file of a network", "golden.network.file")
