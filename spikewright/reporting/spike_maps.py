"""The picture of one inference: its input, the spikes of every layer, the readout."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spikewright.reporting.shapes import LABEL, WIDTH, box, caption, drawing

MAPS_UP_TO = 12  # time steps; longer runs are drawn as a raster over time


def _grid(neurons: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(tiles across, tiles down, tile height, tile width) for a layer's shape."""
    if len(neurons) == 1:
        across = math.ceil(math.sqrt(neurons[0] * 2))
        return 1, 1, math.ceil(neurons[0] / across), across
    channels, height, width = neurons

    def score(across: int) -> float:
        down = math.ceil(channels / across)
        whole = 1.0 if across * down == channels else 0.75  # a ragged last row looks like a fault
        return whole * min(1.15 / (across * (width + 1)), 1 / (down * (height + 1)))

    across = max(range(1, channels + 1), key=score)
    return across, math.ceil(channels / across), height, width


def _dots(fired: NDArray[np.uint8], cell: float, x0: float, y0: float) -> str:
    """One path with a square for every spike of one layer in one step."""
    across, _, height, width = _grid(fired.shape)
    pieces = []
    for index in np.flatnonzero(fired):
        if fired.ndim == 1:
            y, x = divmod(int(index), width)
        else:
            channel, place = divmod(int(index), height * width)
            y, x = divmod(place, width)
            y += (channel // across) * height + channel // across
            x += (channel % across) * width + channel % across
        pieces.append(
            f"M{x0 + x * cell:.1f} {y0 + y * cell:.1f}h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
        )
    return f'<path d="{"".join(pieces)}" class="spike"/>' if pieces else ""


def _tiles(shape: tuple[int, ...], cell: float, x0: float, y0: float) -> str:
    across, _, height, width = _grid(shape)
    channels = shape[0] if len(shape) == 3 else 1
    return "".join(
        box(
            x0 + (c % across) * (width + 1) * cell, y0 + (c // across) * (height + 1) * cell,
            width * cell, height * cell, "tile",
        )
        for c in range(channels)
    )  # fmt: skip


def spike_maps(
    frame: NDArray[np.generic],
    spikes: Mapping[str, NDArray[np.uint8]],
    readout: NDArray[np.int64],
    label: int | None,
) -> str:
    """One image through all layers.

    Parameters
    ----------
    frame
        The input: (C, H, W) or (N,), or with a leading axis of steps.
    spikes
        For each layer (timesteps, *shape).
    readout
        Membranes of the readout (timesteps, classes).
    label
        The right class, if known: its bar is marked.
    """
    steps = len(readout)
    if steps > MAPS_UP_TO:
        return _raster(spikes, readout)
    column = (WIDTH - LABEL) / steps
    parts = [
        caption(LABEL + column * t + (column - 14) / 2, 14, f"step {t + 1}", "axis", "middle")
        for t in range(steps)
    ]
    y = 26.0
    drawn, height = _input(frame, y)
    parts.append(drawn)
    y += height + 22
    for name, fired in spikes.items():
        across, down, tall, wide = _grid(fired.shape[1:])
        cell = min((column - 14) / (across * (wide + 1) - 1), 190 / (down * (tall + 1) - 1), 7)
        rate = float(fired.mean())
        parts += [
            caption(0, y + 12, name, "name"),
            caption(0, y + 29, f"{fired[0].size} neurons", "axis"),
        ]
        parts.append(caption(0, y + 45, f"rate {rate:.3f}", "axis"))
        for t in range(steps):
            left = LABEL + column * t
            left += (column - 14 - cell * (across * (wide + 1) - 1)) / 2
            parts += [_tiles(fired.shape[1:], cell, left, y), _dots(fired[t], cell, left, y)]
        y += max(down * (tall + 1) * cell, 50) + 18
    drawn, height = _readout(readout, y, column, label)
    return drawing(y + height, "".join(parts) + drawn, "Spikes of one image through all layers")


def _input(frame: NDArray[np.generic], y: float) -> tuple[str, float]:
    steps = frame if frame.ndim in (2, 4) else frame[None]
    images = [
        step.reshape(step.shape if step.ndim == 3 else (1, 1, -1)).sum(axis=0) for step in steps
    ]
    if images[0].shape[0] == 1:  # a flat input: fold it, so that it can be seen
        side = math.ceil(math.sqrt(images[0].size))
        images = [np.pad(i.ravel(), (0, side * side - i.size)).reshape(side, side) for i in images]
    tall, wide = images[0].shape
    top = max(int(np.abs(i).max()) for i in images) or 1
    gap = (WIDTH - LABEL) / len(images)
    cell = min(112 / tall, (gap - 14) / wide)
    parts = [caption(0, y + 12, "input", "name"), caption(0, y + 29, f"{tall} × {wide}", "axis")]
    for number, image in enumerate(images):
        left = LABEL + gap * number
        left += (gap - 14 - wide * cell) / 2
        parts.append(box(left, y, wide * cell, tall * cell, "tile"))
        for row, line in enumerate(image):
            for place in np.flatnonzero(line):
                shade = abs(int(line[place])) / top
                parts.append(
                    f'<rect x="{left + place * cell:.1f}" y="{y + row * cell:.1f}" '
                    f'width="{cell:.2f}" height="{cell:.2f}" class="ink" opacity="{shade:.2f}"/>'
                )
    if len(images) == 1:
        parts.append(caption(0, y + 45, "one frame for all steps", "axis"))
    return "".join(parts), max(cell * tall, 50)


def _readout(
    readout: NDArray[np.int64], y: float, column: float, label: int | None
) -> tuple[str, float]:
    tall = 88.0
    top = max(int(np.abs(readout).max()), 1)
    low, high = min(int(readout.min()), 0), max(int(readout.max()), 0)
    scale = tall / max(high - low, 1)
    zero = y + high * scale
    parts = [caption(0, y + 12, "readout", "name"), caption(0, y + 29, "membranes", "axis")]
    parts.append(caption(0, y + 45, f"largest {top}", "axis"))
    classes = readout.shape[1]
    for t, values in enumerate(readout):
        left, wide = LABEL + column * t + 6, (column - 26) / classes
        winner = int(values.argmax())
        for c, value in enumerate(values):
            kind = "winner" if c == winner else "bar"
            high_end = zero - max(int(value), 0) * scale
            title = f"class {c}: {value}"
            parts.append(
                box(left + c * wide, high_end, wide * 0.72, abs(int(value)) * scale, kind, title, 1)
            )
            if wide >= 11:
                mark = "name" if c == label else "axis"
                parts.append(
                    caption(left + (c + 0.36) * wide, y + tall + 15, str(c), mark, "middle")
                )
        parts.append(box(left - 3, zero, column - 20, 0.7, "rule"))
    return "".join(parts), tall + 24


def _raster(spikes: Mapping[str, NDArray[np.uint8]], readout: NDArray[np.int64]) -> str:
    """Time to the right, neurons downwards: for runs of many steps."""
    steps = len(readout)
    column = (WIDTH - LABEL) / steps
    parts, y = [], 8.0
    for name, fired in spikes.items():
        flat = fired.reshape(steps, -1)
        tall = float(np.clip(flat.shape[1], 60, 240))
        row = tall / flat.shape[1]
        parts += [
            caption(0, y + 12, name, "name"),
            caption(0, y + 29, f"{flat.shape[1]} neurons", "axis"),
        ]
        parts.append(caption(0, y + 45, f"rate {float(fired.mean()):.3f}", "axis"))
        parts.append(box(LABEL, y, steps * column, tall, "tile"))
        size, wide = max(row, 1.2), column * 0.85
        marks = (
            f"M{LABEL + t * column:.1f} {y + n * row:.1f}h{wide:.1f}v{size:.1f}h-{wide:.1f}z"
            for t, n in np.argwhere(flat)
        )
        parts.append(f'<path d="{"".join(marks)}" class="spike"/>')
        y += tall + 16
    parts.append(_curves(readout, y, column))
    parts.append(caption(LABEL, y + 108, f"steps 1 to {steps}", "axis"))
    return drawing(y + 114, "".join(parts), "Spike raster of one image")


def _curves(readout: NDArray[np.int64], y: float, column: float) -> str:
    """The readout's membranes over time, one line for each class, the winner's on top."""
    tall, low, high = 88.0, min(int(readout.min()), 0), max(int(readout.max()), 0)
    scale = tall / max(high - low, 1)
    winner = int(readout[-1].argmax())
    parts = [caption(0, y + 12, "readout", "name"), caption(0, y + 29, "membranes", "axis")]
    parts.append(caption(0, y + 45, f"class {winner} wins", "axis"))
    for c in sorted(range(readout.shape[1]), key=lambda c: c == winner):
        points = " ".join(
            f"{LABEL + (t + 0.5) * column:.1f},{y + (high - int(value)) * scale:.1f}"
            for t, value in enumerate(readout[:, c])
        )
        kind = "curve-winner" if c == winner else "curve"
        parts.append(
            f'<polyline points="{points}" class="{kind}"><title>class {c}</title></polyline>'
        )
    return "".join(parts)
