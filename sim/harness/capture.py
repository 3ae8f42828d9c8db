"""Reads the files that the bench's monitors wrote into arrays, and checks that they are complete.

Every line of a file has the same width, so that a file is parsed as one array of characters. Beats
that are missing, left over, out of order or unknown (X) are reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.network.trace import Trace
from spikewright.sim.harness.visits import by_neuron, is_neuron, visit_order

Ints = NDArray[np.int64]
_CHUNK = 1 << 15  # lines parsed at once: bounds the memory that bits take

_DIGITS = np.full(256, 255, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_DIGITS[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


@dataclass(frozen=True, eq=False)
class Capture:
    """The captured run of one accelerator.

    Attributes
    ----------
    trace
        Spikes, membranes and logits, in golden's form.
    first_input, last_input
        (batch,), the cycles in which an inference's first and last beat entered.
    outputs
        (batch, classes), the cycles in which its logits left, in order.
    """

    trace: Trace
    first_input: Ints
    last_input: Ints
    outputs: Ints

    @property
    def last_output(self) -> Ints:
        """(batch,), the cycle in which the last logit of each inference left."""
        return self.outputs[:, -1]


def read_capture(image: Image, folder: Path, batch: int, index: int = 0) -> Capture:
    """The capture of accelerator `index` of a bench that ran `batch` inferences in `folder`.

    Raises
    ------
    CheckFailed
        If a beat is missing, left over, out of order, or holds an unknown value.
    """
    spikes, membranes = {}, {}
    for i, core in enumerate(image.cores):
        path = folder / f"{index}_trace_{i}.hex"
        fired, membrane = _read_core(core, path, batch * image.passes)
        if core.kind != "lif" and fired.any():
            raise CheckFailed(f"{path}: the readout {core.node!r} fired")
        if core not in image.traced:
            continue
        shape = (batch, image.timesteps, *core.shape)
        membranes[core.node] = membrane.reshape(shape)
        if core.kind == "lif":
            spikes[core.node] = fired.reshape(shape)
    logits, outputs = _read_logits(image, folder / f"{index}_logits.hex", batch)
    first, last = _read_frames(image, folder / f"{index}_frames.hex", batch)
    return Capture(Trace(spikes, membranes, logits), first, last, outputs)


def _read_core(core: CoreImage, path: Path, passes: int) -> tuple[NDArray[np.uint8], Ints]:
    """Spikes and membranes (steps, neurons) of one core."""
    visits, neurons = len(visit_order(core)), is_neuron(core)
    widths = (core.visit_bits, core.columns, core.columns * core.state_bits)
    count = _count_lines(path, widths)
    if count != passes * visits:
        kind = "missing" if count < passes * visits else "left over"
        raise CheckFailed(
            f"core {core.node!r}: {abs(count - passes * visits)} membrane words {kind}: "
            f"{count} captured, {passes * visits} expected (see {path})"
        )
    size, each = int(np.prod(core.shape)), core.steps_per_pass
    fired = np.zeros((passes * each, size), np.uint8)
    membranes = np.zeros((passes * each, size), np.int64)
    # Whole passes at a time, so that a block maps onto rows of the result.
    block = max(_CHUNK // visits, 1)
    for start, (address, spike, membrane) in _blocks(path, widths, block * visits):
        _check_addresses(core, address, start // visits, path)
        bits = _lanes(spike, core.columns, 1).reshape(-1, visits, core.columns)
        value = _lanes(membrane, core.columns, core.state_bits)
        value -= (value >> (core.state_bits - 1)) << core.state_bits
        if bits[:, ~neurons].any():
            raise CheckFailed(f"core {core.node!r}: a padding neuron fired (see {path})")
        step = start // visits * each
        fired[step : step + len(bits) * each] = by_neuron(core, bits)
        membranes[step : step + len(bits) * each] = by_neuron(core, value)
    return fired, membranes


def _check_addresses(core: CoreImage, address: NDArray[np.uint8], number: int, path: Path) -> None:
    captured, order = _lanes(address, 1, core.visit_bits)[:, 0], visit_order(core)
    expected = np.tile(order, len(captured) // len(order))
    words = (1 << core.address_bits) - 1
    for wrong in np.flatnonzero(captured != expected)[:1]:
        step = (number + wrong // len(order)) * core.steps_per_pass
        raise CheckFailed(
            f"core {core.node!r}: in sweep {step + int(expected[wrong] >> core.address_bits)} "
            f"word {expected[wrong] & words} was due, {captured[wrong] & words} of sweep "
            f"{step + int(captured[wrong] >> core.address_bits)} came (see {path})"
        )


def _lanes(bits: NDArray[np.uint8], lanes: int, width: int) -> Ints:
    """(n, lanes) unsigned numbers from bits (n, lanes * width), lane 0 in the lowest."""
    numbers = bits.reshape(len(bits), lanes, width)[:, ::-1].astype(np.int64)
    return numbers @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))


def _line_length(widths: Sequence[int]) -> int:
    return sum((width + 3) // 4 + 1 for width in widths)


def _count_lines(path: Path, widths: Sequence[int]) -> int:
    try:
        size = path.stat().st_size
    except OSError:
        raise CheckFailed(f"{path}: the bench did not write it") from None
    if size % _line_length(widths):
        raise CheckFailed(
            f"{path}: {size} bytes are no whole number of lines of {_line_length(widths)} bytes"
        )
    return size // _line_length(widths)


def _blocks(
    path: Path, widths: Sequence[int], lines: int
) -> Iterator[tuple[int, list[NDArray[np.uint8]]]]:
    """(first line, bits of each field (n, width), most significant first), `lines` at a time."""
    length = _line_length(widths)
    start = 0
    with path.open("rb") as file:
        while text := file.read(lines * length):
            rows = np.frombuffer(text, np.uint8).reshape(-1, length)
            fields, at = [], 0
            for width in widths:
                digits = _DIGITS[rows[:, at : at + (width + 3) // 4]]
                for wrong in np.argwhere(digits > 15)[:1]:
                    line = rows[wrong[0]].tobytes().decode(errors="replace").strip()
                    raise CheckFailed(
                        f"{path}: unknown value in line {start + wrong[0] + 1}: {line}"
                    )
                nibbles = np.unpackbits(digits[:, :, None], axis=2)[:, :, 4:]
                fields.append(nibbles.reshape(len(rows), -1)[:, -width:])
                at += (width + 3) // 4 + 1
            yield start, fields
            start += len(rows)


def _columns(path: Path, widths: Sequence[int]) -> list[Ints]:
    """Every field of a short file as int64 (lines,); 63 bits at most."""
    _count_lines(path, widths)
    blocks = [
        [_lanes(bits, 1, bits.shape[1])[:, 0] for bits in fields]
        for _, fields in _blocks(path, widths, _CHUNK)
    ]
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)] or [
        np.zeros(0, np.int64) for _ in widths
    ]


def _read_logits(image: Image, path: Path, batch: int) -> tuple[Ints, Ints]:
    layout = image.output_layout
    last, data, cycle = _columns(path, (1, layout.width, 32))
    classes = int(np.prod(image.cores[-1].shape))
    if len(data) != batch * classes:
        raise CheckFailed(f"{len(data)} logits came, {batch * classes} expected (see {path})")
    index = layout.unpack(data, "index").reshape(batch, classes)
    expected = np.arange(classes) == classes - 1
    for wrong in np.flatnonzero((last.reshape(batch, classes) != expected).any(axis=1))[:1]:
        raise CheckFailed(
            f"image {wrong}: out_last is not exactly at the last of {classes} logits (see {path})"
        )
    for wrong in np.flatnonzero((np.sort(index, axis=1) != np.arange(classes)).any(axis=1))[:1]:
        raise CheckFailed(
            f"image {wrong}: logits carry the indices {index[wrong].tolist()} (see {path})"
        )
    logits = np.zeros((batch, classes), np.int64)
    value = layout.unpack(data, "value", signed=True).reshape(batch, classes)
    np.put_along_axis(logits, index, value, axis=1)
    return logits, cycle.reshape(batch, classes)


def _read_frames(image: Image, path: Path, batch: int) -> tuple[Ints, Ints]:
    first, last = _columns(path, (32, 32))
    frames = 1 if image.input.direct else image.passes
    if len(first) != batch * frames:
        raise CheckFailed(
            f"{len(first)} input frames were taken, {batch * frames} sent (see {path})"
        )
    return first.reshape(batch, frames)[:, 0], last.reshape(batch, frames)[:, -1]
