"""The report's pictures, drawn as SVG text by hand: spike maps, cycles, energy.

Colours are CSS variables of the page, so that light and dark need one drawing. Every mark that
carries a figure has a `<title>`, which browsers show on hovering.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH = 1080
LABEL = 150  # room for a name at the left of every chart
THIN = "\N{NARROW NO-BREAK SPACE}"
MAPS_UP_TO = 12  # time steps; longer runs are drawn as a raster over time


def quantity(value: float, digits: int = 3) -> str:
    """A figure for a reader: thousands set apart, or three digits that count.

    >>> quantity(1234567).split(THIN), quantity(0.012345), quantity(12.0)
    (['1', '234', '567'], '0.0123', '12')
    """
    if value == int(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace(",", THIN)
    return f"{value:.{digits}g}"


def _svg(height: float, body: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {math.ceil(height)}" role="img" aria-label="{escape(label)}">'
        f"{body}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
    )


def _rect(
    x: float, y: float, width: float, height: float, kind: str, title: str = "", radius: float = 0
) -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{height:.2f}" '
        f'rx="{radius:g}" class="{kind}">{inner}</rect>'
    )


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
        _rect(
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
        _text(LABEL + column * t + (column - 14) / 2, 14, f"step {t + 1}", "axis", "middle")
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
            _text(0, y + 12, name, "name"),
            _text(0, y + 29, f"{fired[0].size} neurons", "axis"),
        ]
        parts.append(_text(0, y + 45, f"rate {rate:.3f}", "axis"))
        for t in range(steps):
            left = LABEL + column * t
            left += (column - 14 - cell * (across * (wide + 1) - 1)) / 2
            parts += [_tiles(fired.shape[1:], cell, left, y), _dots(fired[t], cell, left, y)]
        y += max(down * (tall + 1) * cell, 50) + 18
    drawn, height = _readout(readout, y, column, label)
    return _svg(y + height, "".join(parts) + drawn, "Spikes of one image through all layers")


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
    parts = [_text(0, y + 12, "input", "name"), _text(0, y + 29, f"{tall} × {wide}", "axis")]
    for number, image in enumerate(images):
        left = LABEL + gap * number
        left += (gap - 14 - wide * cell) / 2
        parts.append(_rect(left, y, wide * cell, tall * cell, "tile"))
        for row, line in enumerate(image):
            for place in np.flatnonzero(line):
                shade = abs(int(line[place])) / top
                parts.append(
                    f'<rect x="{left + place * cell:.1f}" y="{y + row * cell:.1f}" '
                    f'width="{cell:.2f}" height="{cell:.2f}" class="ink" opacity="{shade:.2f}"/>'
                )
    if len(images) == 1:
        parts.append(_text(0, y + 45, "one frame for all steps", "axis"))
    return "".join(parts), max(cell * tall, 50)


def _readout(
    readout: NDArray[np.int64], y: float, column: float, label: int | None
) -> tuple[str, float]:
    tall = 88.0
    top = max(int(np.abs(readout).max()), 1)
    low, high = min(int(readout.min()), 0), max(int(readout.max()), 0)
    scale = tall / max(high - low, 1)
    zero = y + high * scale
    parts = [_text(0, y + 12, "readout", "name"), _text(0, y + 29, "membranes", "axis")]
    parts.append(_text(0, y + 45, f"largest {top}", "axis"))
    classes = readout.shape[1]
    for t, values in enumerate(readout):
        left, wide = LABEL + column * t + 6, (column - 26) / classes
        winner = int(values.argmax())
        for c, value in enumerate(values):
            kind = "winner" if c == winner else "bar"
            high_end = zero - max(int(value), 0) * scale
            title = f"class {c}: {value}"
            parts.append(
                _rect(
                    left + c * wide, high_end, wide * 0.72, abs(int(value)) * scale, kind, title, 1
                )
            )
            if wide >= 11:
                mark = "name" if c == label else "axis"
                parts.append(_text(left + (c + 0.36) * wide, y + tall + 15, str(c), mark, "middle"))
        parts.append(_rect(left - 3, zero, column - 20, 0.7, "rule"))
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
            _text(0, y + 12, name, "name"),
            _text(0, y + 29, f"{flat.shape[1]} neurons", "axis"),
        ]
        parts.append(_text(0, y + 45, f"rate {float(fired.mean()):.3f}", "axis"))
        parts.append(_rect(LABEL, y, steps * column, tall, "tile"))
        size, wide = max(row, 1.2), column * 0.85
        marks = (
            f"M{LABEL + t * column:.1f} {y + n * row:.1f}h{wide:.1f}v{size:.1f}h-{wide:.1f}z"
            for t, n in np.argwhere(flat)
        )
        parts.append(f'<path d="{"".join(marks)}" class="spike"/>')
        y += tall + 16
    parts.append(_curves(readout, y, column))
    parts.append(_text(LABEL, y + 108, f"steps 1 to {steps}", "axis"))
    return _svg(y + 114, "".join(parts), "Spike raster of one image")


def _curves(readout: NDArray[np.int64], y: float, column: float) -> str:
    """The readout's membranes over time, one line for each class, the winner's on top."""
    tall, low, high = 88.0, min(int(readout.min()), 0), max(int(readout.max()), 0)
    scale = tall / max(high - low, 1)
    winner = int(readout[-1].argmax())
    parts = [_text(0, y + 12, "readout", "name"), _text(0, y + 29, "membranes", "axis")]
    parts.append(_text(0, y + 45, f"class {winner} wins", "axis"))
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


CYCLE_KINDS = ("busy", "sweep", "waiting", "stalled", "idle")


def cycles(cores: Sequence[tuple[str, int, Mapping[str, float]]]) -> str:
    """One bar per core: what its cycles were spent on, per inference.

    Parameters
    ----------
    cores
        (node, lanes, cycles per inference of each of `CYCLE_KINDS`).
    """
    top = max((sum(spent.values()) for _, _, spent in cores), default=1.0) or 1.0
    parts, y = [], 4.0
    for node, lanes, spent in cores:
        parts.append(_text(0, y + 15, node, "name"))
        parts.append(_text(0, y + 31, f"{lanes} lane{'s' if lanes > 1 else ''}", "axis"))
        x = float(LABEL)
        for kind in CYCLE_KINDS:
            wide = (WIDTH - LABEL - 90) * spent[kind] / top
            share = spent[kind] / max(sum(spent.values()), 1)
            title = f"{node}, {kind}: {quantity(spent[kind])} cycles ({share:.1%})"
            parts.append(_rect(x, y, max(wide - 1.5, 0), 30, kind, title, 2))
            if wide > 52:
                parts.append(
                    _text(
                        x + wide / 2, y + 19.5, quantity(round(spent[kind])), f"on-{kind}", "middle"
                    )
                )
            x += wide
        parts.append(_text(x + 8, y + 19.5, quantity(round(sum(spent.values()))), "value"))
        y += 46
    return _svg(y, "".join(parts), "Cycles of each core")


def bars(rows: Sequence[tuple[str, str, float, str]], unit: str) -> str:
    """Horizontal bars on one linear scale.

    Parameters
    ----------
    rows
        (name, second line, value, CSS class of the bar).
    """
    top = max((value for _, _, value, _ in rows), default=1.0) or 1.0
    room, parts, y = LABEL + 130, [], 4.0
    for name, note, value, kind in rows:
        wide = (WIDTH - room - 150) * value / top
        parts += [_text(0, y + 13, name, "name"), _text(0, y + 29, note, "axis")]
        parts.append(
            _rect(room, y + 2, max(wide, 1.5), 24, kind, f"{name}: {quantity(value)} {unit}", 2)
        )
        parts.append(_text(room + max(wide, 1.5) + 8, y + 19, f"{quantity(value)} {unit}", "value"))
        y += 44
    return _svg(y, "".join(parts), "Energy per inference")
