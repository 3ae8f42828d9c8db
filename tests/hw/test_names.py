"""Names in the Verilog: the same on every Python, and apart from those of another build."""

# Through these also hw.header.

import ast
import re
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import load_image, rtl_prefix, rtl_sources
from spikewright.golden.testing.random_chain import Limits, random_inputs, random_network
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim import accelerator_bench
from spikewright.sim.simulators.lint import verilator_warnings
from spikewright.sim.verify import conclude

ROOT = Path(__file__).parents[2]
SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)
MAKERS = {"Signal", "like", "record", "read_port", "write_port", "create"}
UNNAMED = re.compile(r"\$(signal|like|signature|memory|port)\b(?!\$)")


def unnamed(source: str) -> list[int]:
    """Lines of signals whose name depends on how a Python compiles the statement.

    Amaranth reads the name of a signal from the bytecode that follows the call. All of CPython 3.11
    to 3.13 agree where the call is all that is assigned, and to one variable.
    """
    tree = ast.parse(source)
    parent = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    lines = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name not in MAKERS or any(keyword.arg == "name" for keyword in call.keywords):
            continue
        above = parent[call]
        if not (
            (isinstance(above, ast.Assign) and len(above.targets) == 1)
            or isinstance(above, ast.AnnAssign)
        ):
            lines.append(call.lineno)
    return lines


def test_every_signal_has_the_same_name_on_every_python():
    for path in sorted((ROOT / "hw").rglob("*.py")):
        if path.name == "methods.py" or path.parent.name == "compiler":
            continue  # numpy's `like`s, and no hardware
        assert unnamed(path.read_text()) == [], path


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("a = Signal()", []),
        ("self.a = Signal(3)", []),
        ("a: Any = words.read_port()", []),
        ("a, b = Signal(), like(c)", [1, 1]),
        ("a = b = Signal()", [1]),
        ("m.d.comb += x.eq(record(layout))", [1]),
        ("a = [Signal(name=f'a{i}') for i in range(3)]", []),
        ("a = [Signal() for i in range(3)]", [1]),
    ],
)
def test_the_rule_finds_what_depends_on_the_python(statement, found):
    assert unnamed(statement) == found


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Two networks of one shape under two names, and the first without a name."""
    folder = tmp_path_factory.mktemp("names")
    networks = {"alpha": 5, "beta": 6, "": 5}
    for name, seed in networks.items():
        build(random_network(seed, SMALL), folder / f"b{name}", BuildOptions(4, name=name or None))
    return folder


def test_no_signal_has_lost_its_name(builds):
    for path in builds.glob("b*/rtl/*.v"):
        assert not UNNAMED.search(path.read_text()), path


def test_a_named_build_differs_in_its_names_alone(builds):
    """Modules, files, memories, macros and guards begin with the name; nothing else changes."""

    def plain(folder, name):
        files = {}
        for path in sorted((builds / folder / "rtl").iterdir()):
            # The name of the FuseSoC core is not a prefix: it is all there is.
            if path.suffix in (".core", ".json"):
                continue
            text = path.read_bytes().decode()
            text = re.sub(r".*Build options: .*", "", text)
            text = text.replace(f"{name.upper()}_", "SPIKEWRIGHT_").replace(f"{name}_", "")
            files[path.name.removeprefix(f"{name}_")] = text.replace(" ", "")
        return files

    assert plain("balpha", "alpha") == plain("b", "alpha")


def test_two_named_builds_share_no_name(builds):
    """One design holds both: every module, memory file and macro is there once."""
    defined = {}
    for name in ("alpha", "beta"):
        rtl = builds / f"b{name}" / "rtl"
        verilog = "".join(path.read_text() for path in rtl.glob("*.v"))
        defined[name] = {
            *re.findall(r"^module (\\?\S+?)[\s(]", verilog, re.MULTILINE),
            *re.findall(r'INIT\("(.+?)"\)', verilog),
            *re.findall(r"(?:ifndef|define) (\w+)", (rtl / f"{name}_regs.h").read_text()),
            *(path.name for path in rtl.iterdir()),
        }
        assert len(defined[name]) > 50
    assert defined["alpha"] & defined["beta"] == set()


def test_named_builds_are_clean_and_side_by_side_in_one_simulator(builds, tmp_path):
    folders = [builds / "balpha", builds / "bbeta", builds / "b"]
    assert [rtl_prefix(folder) for folder in folders] == ["alpha_", "beta_", ""]
    for folder in folders:
        assert rtl_sources(folder)[-1] == f"{rtl_prefix(folder)}top.v"
        assert verilator_warnings(folder) == []
    bench = accelerator_bench.prepare(folders, tmp_path)
    networks = [random_network(seed, SMALL) for seed in (5, 6, 5)]
    inputs = [net.check_inputs(random_inputs(net, 3, 1)) for net in networks]
    runs = accelerator_bench.simulate(bench, inputs, tmp_path / "run")
    for network, image, given, run in zip(networks, bench.images, inputs, runs, strict=True):
        result = conclude(network, image, given, {0: run})
        assert result.mismatches == 0, result.first
        assert result.cycles_checked.compared > 0 == result.cycles_checked.differences


def test_the_image_of_a_named_build_is_read_back(builds):
    named, plain = load_image(builds / "balpha"), load_image(builds / "b")
    assert named.fingerprint == plain.fingerprint
    assert [core.node for core in named.cores] == [core.node for core in plain.cores]


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "größe", "x" * 65, "a\n", "_a"])
def test_a_name_that_no_tool_takes_is_refused(name):
    with pytest.raises(BadInput, match=r"^build: name is '.*', must be a letter, then at most 63 "):
        BuildOptions(name=name)


def test_the_head_of_every_file_says_where_it_is_from(builds, tmp_path):
    network = random_network(5, SMALL)
    build(network, tmp_path, BuildOptions(2, host=HostInterface(loadable=True)))
    fingerprint = load_image(tmp_path).fingerprint
    chosen = '{"host": {"counters": true, "loadable": true, "registers": true}, "lanes": 2}'
    for folder, hash_, options in (
        (builds / "b", fingerprint, '{"lanes": 4}'),
        (tmp_path, "to be loaded", chosen),
    ):
        headed = [
            path for path in (folder / "rtl").iterdir()
            if path.suffix in (".v", ".h", ".core") and not path.name.startswith("spikewright_")
        ]  # fmt: skip
        assert len(headed) == 5
        for path in headed:
            lines = [re.sub(r"^(//|#|/\*) (.*?)( \*/)?$", r"\2", line)
                     for line in path.read_text().splitlines()[:5]]  # fmt: skip
            lines = lines[1:] if path.suffix == ".core" else lines[:4]
            assert lines[0] == "SPDX-License-Identifier: Apache-2.0"
            assert re.fullmatch(
                r"Written by Spikewright \S+ with Amaranth \S+ and Yosys \S+; do not edit\.",
                lines[1],
            )
            assert lines[2:] == [f"Network: {hash_}", f"Build options: {options}"]
    for path in (builds / "b" / "rtl").glob("spikewright_*.v"):
        assert path.read_text().startswith("// SPDX-License-Identifier: Apache-2.0\n")
