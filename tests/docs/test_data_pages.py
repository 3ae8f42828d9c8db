"""Files, recipes, plans and constants that the pages print are what the kit reads and writes."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib

import numpy as np
import pytest

from spikewright.cli import text
from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network import file
from spikewright.golden.network.edges import (
    Conv2d,
    Edge,
    Identity,
    Linear,
    MaxPool2d,
    SumPool2d,
)
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.compiler.build_plan import plan_and_compile
from spikewright.hw.options import BuildOptions
from spikewright.layout import BuildFolder
from spikewright.model.experiments import experiment
from spikewright.model.recipes import recipe
from spikewright.sim.measurement.energy import PRICES

RUNS = (reference.run, engine.run)


def graph_of(network: Network) -> dict:
    """The JSON that the file of a network holds."""
    data = file.encode(network)
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["spikewright"])


def test_the_graphs_of_the_network_file(root, blocks):
    """Networks built by hand are written as the page shows."""
    chain, part = map(json.loads, blocks((root / "docs/network_file.md").read_text(), "json"))
    conv = Conv2d(np.ones((2, 1, 3, 3), np.int8), 5, padding=(1, 1))
    network = Network(
        2,
        (
            Input("input", (1, 6, 7), "direct", 8),
            LIF("conv1", (2, 6, 7), [9, 9], [0, 0], 1, 3, "zero", 12),
            Readout("readout", (2,), [0, 0], 1, 4),
        ),
        (
            Edge("input", "conv1", (conv,)),
            Edge("conv1", "readout", (SumPool2d((2, 3)), Linear(np.ones((2, 12), np.int8), 2))),
        ),
        {"name": "example"},
    )
    written = graph_of(network)
    assert re.fullmatch("[0-9a-f]{64}", written["sha256"])
    assert written | {"sha256": "..."} == chain
    written = graph_of(residual())
    assert {"schema": written["schema"], "edges": written["edges"]} == part


def residual() -> Network:
    """Two layers with a shortcut, a loop, and spikes that are counted at the end."""
    gains = Identity(np.array([2, 3], np.int8), 4)

    def lif(name, shape):
        return LIF(name, shape, [9] * shape[0], [0] * shape[0], 0, 0, "subtract", 10)

    def conv(channels):
        return Conv2d(np.ones((2, channels, 3, 3), np.int8), 4, padding=(1, 1))

    nodes = (Input("input", (1, 4, 4), "direct", 4), lif("a", (2, 4, 4)), lif("b", (2, 4, 4)),
             lif("out", (3,)))  # fmt: skip
    return Network(
        2,
        nodes,
        (
            Edge("input", "a", (conv(1),)),
            Edge("a", "a", (gains,), delay=1),
            Edge("a", "b", (conv(2),)),
            Edge("a", "b", (gains,)),
            Edge("b", "out", (MaxPool2d((2, 2)), Linear(np.ones((3, 8), np.int8), 4))),
        ),
    )


def one_neuron(run, weight: int, values: list[int], **neuron):
    """Membranes and spikes of one neuron that sees one input value in each step."""
    settings = {"threshold": [100], "bias": [0], "leak_mul": 0, "leak_shift": 0,
                "reset": "subtract", "membrane_bits": 8} | neuron  # fmt: skip
    network = Network(
        len(values),
        (Input("x", (1,), "events", 8), LIF("n", (1,), **settings), Readout("out", (1,), [0])),
        (
            Edge("x", "n", (Linear(np.array([[weight]], np.int8), 8),)),
            Edge("n", "out", (Linear(np.ones((1, 1), np.int8), 2),)),
        ),
    )
    trace = run(network, np.array(values).reshape(1, -1, 1))
    return trace.membranes["n"].ravel().tolist(), trace.spikes["n"].ravel().tolist()


@pytest.mark.parametrize("run", RUNS)
def test_statements_of_the_numeric_contract(run, root):
    page = (root / "docs/numeric_contract.md").read_text()
    assert "`v = -1` with `leak_mul / 2^leak_shift = 1/2` decays to 0, not to -1" in page
    assert one_neuron(run, -1, [1, 0], leak_mul=1, leak_shift=1)[0] == [-1, 0]
    assert "Equal to the threshold fires." in page
    assert one_neuron(run, 1, [100]) == ([0], [1])
    assert one_neuron(run, 1, [99]) == ([99], [0])
    assert '0 if fired and reset is "zero"' in page
    assert one_neuron(run, 1, [120], reset="zero") == ([0], [1])
    assert one_neuron(run, 1, [120], reset="subtract") == ([20], [1])
    assert "The clamp happens once, at the end of the step." in page
    assert one_neuron(run, -1, [200], membrane_bits=8) == ([-128], [0])
    assert one_neuron(run, 1, [255], membrane_bits=8)[0] == [127]


@pytest.mark.parametrize("run", RUNS)
def test_ties_and_shapes_of_the_numeric_contract(run, root):
    page = (root / "docs/numeric_contract.md").read_text()
    assert "the largest wins, and among equals the lowest index" in page
    network = Network(
        1,
        (Input("x", (1, 7, 9), "direct", 1), LIF("c", (1, 3, 3), [9], [0], 0, 0, "zero", 8),
         Readout("out", (3,), [1, 2, 2])),
        (
            Edge("x", "c", (Conv2d(np.ones((1, 1, 3, 4), np.int8), 2, (1, 0, 0, 1), (2, 3)),)),
            Edge("c", "out", (Linear(np.zeros((3, 9), np.int8), 2),)),
        ),
    )  # fmt: skip
    assert "floor((H + top + bottom - ky) / stride) + 1" in page
    assert ((7 + 1 - 3) // 2 + 1, (9 + 1 - 4) // 3 + 1) == (3, 3)
    trace = run(network, np.zeros((1, 1, 7, 9), int))
    assert trace.logits.tolist() == [[1, 2, 2]]
    assert trace.predictions.tolist() == [1]


def test_recipes_and_experiments_of_the_pages(root, blocks, tmp_path):
    """Whole TOML files that the pages show are taken as they stand."""
    taken = []
    for page in sorted((root / "docs").glob("*.md")):
        for number, block in enumerate(blocks(page.read_text(), "toml")):
            content = tomllib.loads(block)
            path = tmp_path / f"{page.stem}-{number}.toml"
            path.write_text(block)
            if "variants" in content:
                taken.append(experiment.load(path).name)
            elif "name" in content:
                taken.append(recipe.load(path).name)
    assert {"mine", "densities"} <= set(taken)


def test_digits_toml_explains_every_key_and_its_default(root, tmp_path):
    """With the commented keys taken in, it is the same recipe, and nothing is left out."""
    shipped = (root / "model/recipes/digits.toml").read_text()
    whole = re.sub(r"^# (\w+ = )", r"\1", shipped, flags=re.M)
    assert whole != shipped
    path = tmp_path / "digits.toml"
    path.write_text(whole)
    loaded = recipe.load(path)
    assert loaded == recipe.load("digits")
    named = tomllib.loads(whole)
    for table in ("neuron", "quantization", "pruning", "training"):
        assert set(named.pop(table)) == keys(f"{table}.qq"), table
    assert set(named) == keys("qq") - {"neuron", "quantization", "pruning", "training", "stages"}


def keys(unknown: str) -> set[str]:
    """The keys that a table of a recipe may have: the message about an unknown one lists them."""
    with pytest.raises(BadInput) as caught:
        recipe.load("digits", {unknown: 1})
    return set(str(caught.value).partition("must be one of ")[2].partition(";")[0].split(", "))


def test_the_plans_that_are_printed(root, blocks):
    """The blocks of plan.md are what `build` prints for the shipped network."""
    network = file.load(root / "examples/networks/digits.safetensors")
    printed = [
        block for block in blocks((root / "docs/plan.md").read_text(), "")
        if block.startswith("network ")
    ]  # fmt: skip
    assert len(printed) == 2
    for block, budget in zip(printed, ({}, {"ram": 20}), strict=True):
        plan, image = plan_and_compile(network, BuildOptions(target="ecp5-25k", budget=budget))
        result = {
            "weight_bits": 4, "density": 0.2, "timesteps": 4, "plan": plan.as_dict(),
            "memory_bits": {core.node: core.memory_bits for core in image.cores},
            "stuck_layers": [],
        }  # fmt: skip
        lines = text.of_build(result, BuildFolder(root / "build" / "digits"))
        assert block.splitlines()[:-1] == [line.rstrip() for line in lines[:-1]]


def test_prices_of_operations(root, table):
    rows = table((root / "docs/energy.md").read_text(), "Energy")
    shown = [[float(cell.removesuffix(" pJ")) for cell in row[1:]] for row in rows]
    prices = [PRICES["fp32"], PRICES["int8"]]
    assert shown == [[p.add_pj for p in prices], [p.multiply_pj for p in prices]]


def module_of(path):
    """A file of tests as a module, to count what it holds."""
    spec = importlib.util.spec_from_file_location(f"counted_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts_of_the_verification_page(root):
    page = (root / "docs/verification.md").read_text()
    faults = module_of(root / "tests/hw/test_faults.py").FAULTS
    assert f"(`tests/hw/test_faults.py`) | {len(faults)} of {len(faults)} |" in page
    rtl = (root / "tests/sim/test_random_rtl.py").read_text()
    counted = re.search(r"sixty_networks\(\).*?== (\d+)\n", rtl, re.S)
    assert counted is not None
    networks = counted[1]
    assert f"(`tests/sim/test_random_rtl.py`) | {networks} of {networks} equal |" in page
    assert (
        f"{networks} random graphs and graphs prone to deadlock"
        in (root / "docs/cycles.md").read_text()
    )


def test_the_demo_of_the_readme(root, blocks):
    """The labels are those that the command prints; that figures differ by machine is said."""
    page = (root / "README.md").read_text()
    (shown,) = [block for block in blocks(page, "") if block.startswith("accuracy ")]
    links = [
        {"link": link, "spikes": 1, "membranes": 1, "logits": 1, "mismatches": 0}
        for link in ("torch == reference", "reference == engine", "engine == memory image",
                     "memory image == Verilog", "Verilog == top over AXI")
    ]  # fmt: skip
    missed = (
        "clamped at the high end", "clamped at the low end", "input at its highest",
        "silent inference",
    )  # fmt: skip
    summary = {
        "accuracy": 1.0, "accuracy_images": 1, "weight_bits": 4, "density": 0.2, "timesteps": 4,
        "links": links, "images": 1, "compared_spikes": 1, "compared_membranes": 1,
        "compared_logits": 1, "mismatches": 0, "compared_cycles": 1, "cycle_differences": 0,
        "cycles_per_inference": 1.0, "utilization": 0.1, "synops": 1.0, "stuck_layers": [],
        "corners": {"above the threshold": 1, **dict.fromkeys(missed, 0)}, "corner_images": None,
    }  # fmt: skip
    lines = text.of_demo(summary, BuildFolder(root / "build" / "digits"))

    def words(line):
        return re.sub(r"[\d.%]+", "#", line.split("build/")[0]).split()

    assert [words(line) for line in shown.splitlines()] == [
        words(line.replace(str(root) + "/", "")) for line in lines
    ]
    assert "make demo" in page
    assert "Mismatches are 0 on every machine. The other figures are those of one" in page
