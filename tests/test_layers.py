"""A test of the import contracts: each is broken by one planted import, and only that one is."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from copy import deepcopy
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from shutil import copytree, ignore_patterns

import grimp
import pytest
from importlinter import configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[1]
PACKAGE = "spikewright"
TYPES = {
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
# The fields of contracts want truth values as strings.
CONTRACTS = {
    contract["name"]: {k: str(v) if v is True else v for k, v in contract.items()}
    for contract in SETTINGS["contracts"]
}
EXHAUSTIVE = [name for name, contract in CONTRACTS.items() if contract.get("exhaustive") == "True"]

# Of every contract, known by how its name begins: who imports what, below `spikewright`.
PLANTED = {
    "the face": ("model.data.batches", "hw.shapes"),
    "golden: ": ("golden.bits", "golden.network.graph"),
    "the reference": ("golden.models.reference", "golden.models.engine"),
    "golden is plain": ("golden.testing.random_graph", "jinja2"),
    "hw: ": ("hw.shapes", "hw.streams.fifo"),
    "the compiler": ("hw.compiler.pack", "hw.shapes"),
    "hardware and simulation": ("hw.build", "torch"),
    "model: ": ("model.ops.scan", "model.recipes.recipe"),
    "sim: ": ("sim.harness.capture", "sim.pysim"),
}
FILES_IN_A_FOLDER = 25


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)


def broken(graph: grimp.ImportGraph) -> list[str]:
    """The names of the contracts that do not hold."""
    session = {"root_packages": [PACKAGE], "include_external_packages": "True"}
    configuration.configure()
    contracts = [
        TYPES[options["type"]](name, session, options) for name, options in CONTRACTS.items()
    ]
    return [c.name for c in contracts if not c.check(deepcopy(graph), verbose=False).kept]


def full_name(module: str) -> str:
    """Of a module below `spikewright`, or of a package of others."""
    return f"{PACKAGE}.{module}" if "." in module else module


def test_all_contracts_hold_and_each_has_one_planted_import(graph: grimp.ImportGraph) -> None:
    assert broken(graph) == []
    matches = {name: [start for start in PLANTED if name.startswith(start)] for name in CONTRACTS}
    assert sorted(matches.values()) == sorted([start] for start in PLANTED), matches


@pytest.mark.parametrize("start", PLANTED)
def test_a_planted_import_breaks_its_contract_alone(graph: grimp.ImportGraph, start: str) -> None:
    planted = deepcopy(graph)
    importer, imported = map(full_name, PLANTED[start])
    assert {importer, imported} <= planted.modules
    planted.add_import(importer=importer, imported=imported)
    [name] = broken(planted)
    assert name.startswith(start)


@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_a_new_module_must_be_given_its_place(graph: grimp.ImportGraph, name: str) -> None:
    [container] = CONTRACTS[name]["containers"]
    planted = deepcopy(graph)
    planted.add_module(f"{container}.unplaced")
    assert broken(planted) == [name]


def test_all_layers_contracts_are_exhaustive() -> None:
    assert EXHAUSTIVE == [name for name, c in CONTRACTS.items() if c["type"] == "layers"]


def test_the_command_of_make_lint_finds_a_planted_import(tmp_path: Path) -> None:
    """In a copy of the tree, whose links become folders."""
    copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=ignore_patterns("__pycache__"))
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache",
               "--config", ROOT / "pyproject.toml"]  # fmt: skip

    def kept_and_broken() -> tuple[int, str]:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, output = kept_and_broken()
    assert code == 0, output
    assert f"{len(CONTRACTS)} kept, 0 broken" in output
    with (tmp_path / PACKAGE / "golden" / "models" / "reference.py").open("a") as file:
        file.write("from spikewright.golden.models import engine\n")
    code, output = kept_and_broken()
    assert code == 1
    [line] = [line for line in output.splitlines() if line.endswith("BROKEN")]
    assert line.startswith("the reference and the engine are written independently")


def cycle(graph: grimp.ImportGraph) -> list[str]:
    """Modules that import each other in a circle, also inside functions; empty if none do."""
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """As the program runs: a type checker may look both ways."""
    planted = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    assert cycle(planted) == []
    planted.add_import(importer="spikewright.golden.errors", imported="spikewright.cli.main")
    assert cycle(planted)[0] == cycle(planted)[-1]


def test_no_folder_holds_too_many_files() -> None:
    tops = ("bench", "examples", "golden", "hw", "model", "sim", "tests", PACKAGE)
    folders = Counter(path.parent for top in tops for path in (ROOT / top).rglob("*.py"))
    assert {str(folder): n for folder, n in folders.items() if n > FILES_IN_A_FOLDER} == {}
