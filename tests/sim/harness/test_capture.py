"""The scoreboard's ear: it hears every value, and every beat that is missing, extra or wrong."""

# Through these also sim.harness.visits.

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import Trace, compare
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.harness.capture import read_capture
from spikewright.sim.harness.stimulus import beats_text, input_beats

BATCH = 3


def _network() -> Network:
    rng = np.random.default_rng(5)
    weight = rng.integers(-3, 4, (5, 2, 3, 3))
    return Network(
        2,
        (Input("input", (2, 4, 3), "direct", 3),
         LIF("lif", (5, 4, 3), rng.integers(3, 9, 5), rng.integers(-3, 4, 5), 1, 3, "subtract", 7),
         Readout("readout", (3,), rng.integers(-5, 5, 3))),
        (Edge("input", "lif", (Conv2d(weight, 3, (1, 1)),)),
         Edge("lif", "readout", (Linear(rng.integers(-3, 4, (3, 60)), 3),))),
    )  # fmt: skip


@pytest.fixture(scope="module")
def case() -> tuple[Network, Image, Trace]:
    network = _network()
    inputs = np.random.default_rng(1).integers(0, 8, (BATCH, 2, 4, 3))
    trace = reference.run(network, inputs)
    assert 0 < trace.spikes["lif"].mean() < 1
    return network, compile_network(network, BuildOptions({"lif": 2, "readout": 2})), trace


@pytest.fixture
def folder(case, tmp_path: Path) -> Path:
    """The files that a faultless bench writes for the reference's trace."""
    _, image, trace = case
    for i, core in enumerate(image.cores):
        lines = []
        for sweep in np.ndindex(BATCH, image.timesteps):
            v = trace.membranes[core.node][sweep].reshape(-1)
            z = trace.spikes[core.node][sweep].reshape(-1) if core.kind == "lif" else 0 * v
            for word in range(core.words):
                fired = membranes = 0
                for lane in range(core.lanes):
                    neuron = core.neurons[lane, word]
                    if neuron >= 0:
                        fired |= int(z[neuron]) << lane
                        masked = int(v[neuron]) & ((1 << core.state_bits) - 1)
                        membranes |= masked << (lane * core.state_bits)
                lines.append(_line((word, core.address_bits), (fired, core.lanes),
                                   (membranes, core.lanes * core.state_bits)))  # fmt: skip
        (tmp_path / f"0_trace_{i}.hex").write_text("".join(lines))
    layout, logits = image.output_layout, []
    for b in range(BATCH):
        for c in (1, 0, 2):  # any order will do, the index tells
            word = int(layout.pack(index=c, value=int(trace.logits[b, c])))
            logits.append(_line((int(c == 2), 1), (word, layout.width), (100 * b + c, 32)))
    (tmp_path / "0_logits.hex").write_text("".join(logits))
    frames = "".join(_line((50 * b, 32), (50 * b + 20, 32)) for b in range(BATCH))
    (tmp_path / "0_frames.hex").write_text(frames)
    return tmp_path


def _line(*fields: tuple[int, int]) -> str:
    return " ".join(f"{value:0{(width + 3) // 4}x}" for value, width in fields) + "\n"


def _edit(path: Path, change) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(change(lines)))


def test_a_faultless_run_reads_back_exactly(case, folder):
    _, image, trace = case
    capture = read_capture(image, folder, BATCH)
    result = compare(trace, capture.trace)
    assert result.mismatches == 0
    assert (result.spikes, result.membranes, result.logits) == (3 * 2 * 60, 3 * 2 * 63, 9)
    assert capture.first_input.tolist() == [0, 50, 100]
    assert capture.last_input.tolist() == [20, 70, 120]
    assert capture.last_output.tolist() == [2, 102, 202]


def test_the_first_planted_difference_is_named(case, folder):
    _, image, trace = case
    core = image.cores[0]
    lane, word = 1, 7
    row = (1 * image.timesteps + 1) * core.words + word  # image 1, step 1

    def flip(lines):
        address, fired, membranes = lines[row].split()
        changed = int(membranes, 16) ^ (1 << (lane * core.state_bits))
        lines[row] = f"{address} {fired} {changed:0{len(membranes)}x}\n"
        return lines

    _edit(folder / "0_trace_0.hex", flip)
    result = compare(trace, read_capture(image, folder, BATCH).trace)
    assert result.mismatches == 1
    first = result.first
    assert (first.image, first.step, first.node, first.quantity) == (1, 1, "lif", "membrane")
    assert np.ravel_multi_index(first.neuron, core.shape) == core.neurons[lane, word]
    assert abs(first.actual - first.expected) == 1


def test_a_planted_spike_is_seen(case, folder):
    _, image, trace = case
    row = next(
        i
        for i, line in enumerate((folder / "0_trace_0.hex").read_text().splitlines())
        if line[3] == "0"
    )
    _edit(
        folder / "0_trace_0.hex",
        lambda lines: [*lines[:row], lines[row][:3] + "1" + lines[row][4:], *lines[row + 1 :]],
    )
    result = compare(trace, read_capture(image, folder, BATCH).trace)
    assert (result.mismatches, result.first.quantity, result.first.actual) == (1, "spike", 1)


def test_a_wrong_logit_is_seen(case, folder):
    _, image, trace = case
    _edit(folder / "0_logits.hex", lambda lines: [_bump(lines[0]), *lines[1:]])
    result = compare(trace, read_capture(image, folder, BATCH).trace)
    assert (result.mismatches, result.first.node, result.first.neuron) == (1, "logits", (1,))


def _bump(line: str) -> str:
    last, data, cycle = line.split()
    return f"{last} {int(data, 16) ^ 0x10:0{len(data)}x} {cycle}\n"


FAULTS = {
    "missing beat": (
        "0_trace_0.hex",
        lambda lines: lines[:-1],
        r"core 'lif': 1 membrane words missing: 215 captured",
    ),
    "extra beat": (
        "0_trace_1.hex",
        lambda lines: [*lines, lines[-1]],
        r"core 'readout': 1 membrane words left over",
    ),
    "order": (
        "0_trace_0.hex",
        lambda lines: [lines[1], lines[0], *lines[2:]],
        r"in sweep 0 word 0 was due, 1 of sweep 0 came",
    ),
    "unknown": (
        "0_trace_0.hex",
        lambda lines: [lines[0].replace(lines[0][-2], "x"), *lines[1:]],
        r"unknown value in line 1",
    ),
    "half a line": (
        "0_trace_0.hex",
        lambda lines: [*lines[:-1], lines[-1][:-3]],
        r"no whole number of lines",
    ),
    "missing logit": ("0_logits.hex", lambda lines: lines[1:], r"8 logits came, 9 expected"),
    "extra logit": (
        "0_logits.hex",
        lambda lines: [*lines, lines[-1]],
        r"10 logits came, 9 expected",
    ),
    "twice the same logit": (
        "0_logits.hex",
        lambda lines: [lines[1], *lines[1:]],
        r"image 0: logits carry the indices",
    ),
    "early last": (
        "0_logits.hex",
        lambda lines: ["1" + lines[0][1:], *lines[1:]],
        r"image 0: out_last is not exactly",
    ),
    "late last": (
        "0_logits.hex",
        lambda lines: [*lines[:2], "0" + lines[2][1:], *lines[3:]],
        r"out_last is not exactly",
    ),
    "missing frame": (
        "0_frames.hex",
        lambda lines: lines[1:],
        r"2 input frames were taken, 3 sent",
    ),
    "readout fires": (
        "0_trace_1.hex",
        lambda lines: [lines[0][:2] + "1" + lines[0][3:], *lines[1:]],
        r"readout 'readout' fired",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_the_beats_is_named(case, folder, name):
    file, change, message = FAULTS[name]
    _edit(folder / file, change)
    with pytest.raises(CheckFailed, match=message):
        read_capture(case[1], folder, BATCH)


def test_a_padding_lane_must_not_fire(case, folder):
    image = case[1]
    core = image.cores[0]
    lane, word = np.argwhere(core.neurons < 0)[0]

    def fire(lines):
        lines[word] = lines[word][:3] + f"{1 << lane:x}" + lines[word][4:]
        return lines

    _edit(folder / "0_trace_0.hex", fire)
    with pytest.raises(CheckFailed, match="a padding neuron fired"):
        read_capture(image, folder, BATCH)


def test_an_absent_file_is_named(case, folder):
    (folder / "0_trace_0.hex").unlink()
    with pytest.raises(CheckFailed, match=r"0_trace_0\.hex: the bench did not write it"):
        read_capture(case[1], folder, BATCH)


def test_input_beats_hold_every_event_and_end_every_frame(case):
    _, image, _ = case
    inputs = np.zeros((2, 2, 4, 3), np.int64)
    inputs[0, 1, 3, 2], inputs[0, 0, 0, 1], inputs[1, 1, 0, 0] = 7, 5, 1
    layout = image.input.event
    last = 1 << layout.width
    beats = input_beats(image, inputs)
    assert beats.tolist() == [
        layout.pack(x=1, y=0, c=0, value=5), layout.pack(x=2, y=3, c=1, value=7), last,
        layout.pack(x=0, y=0, c=1, value=1), last,
    ]  # fmt: skip
    assert beats_text(beats).splitlines() == [f"{int(beat):x}" for beat in beats]


def test_an_empty_frame_is_one_beat(case):
    assert len(input_beats(case[1], np.zeros((4, 2, 4, 3)))) == 4
