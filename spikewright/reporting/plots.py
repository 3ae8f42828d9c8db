"""Curves with error bars as SVG text: a mean and its deviation for each point, a dot for each run.

Every picture is one file that needs nothing else. Colours are those of Okabe and Ito, which differ
for every kind of colour vision; marks and dashes differ too. Names stand at the right, beside the
end of their line, in the order of the ends.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#2b3338")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
LEFT, TOP, WIDE, TALL, BOTTOM = 58, 40, 560, 330, 58
ROW, CHARACTER = 18, 7.8
STYLE = (
    "text{font:13px 'Helvetica Neue',Arial,sans-serif;fill:#2b3338}"
    ".axis{fill:#5d676e;font-size:12px}.note{font-size:11px}"
    ".halo{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px}"
    ".grid{stroke:#e3e0d8}.frame{stroke:#5d676e}"
)


@dataclass(frozen=True)
class Point:
    """What the runs of one setting found: an x and an accuracy of each; a `note` for its place."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    note: str = ""

    @property
    def x(self) -> float:
        """The mean over the runs."""
        return statistics.fmean(self.xs)

    @property
    def y(self) -> float:
        """The mean over the runs."""
        return statistics.fmean(self.ys)


@dataclass(frozen=True)
class Series:
    """A name, points in the order in which a line joins them, numbers of its colour, mark, dash."""

    name: str
    points: tuple[Point, ...]
    colour: int
    mark: int
    dash: int = 0


@dataclass(frozen=True)
class Axis:
    """What x is, with its unit; whether its scale is logarithmic.

    The values of x are few and shared by all series if it is `discrete`: each has a tick, and
    points of one value stand side by side.
    """

    label: str
    log: bool = False
    discrete: bool = False


def steps(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them.

    >>> steps(0.31, 0.92), steps(0, 7)
    ([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [0.0, 2.0, 4.0, 6.0])
    """
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= 0.75 * rough)
    found = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [float(f"{k * step:.10g}") for k in found]


def decades(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high` for a logarithmic scale.

    >>> decades(0.5, 30), decades(3, 22)
    ([0.5, 1.0, 2.0, 5.0, 10.0, 20.0], [3.0, 5.0, 7.0, 10.0, 20.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in ((1, 2, 5), (1, 2, 3, 5, 7)):
        every = [float(f"{m * 10.0**p:.10g}") for p in powers for m in mantissas]
        found = [value for value in every if low <= value <= high]
        if len(found) >= 5:
            break
    return found


def plot(axis: Axis, series: Sequence[Series], notes: str = "") -> str:
    """An SVG file: accuracy on test images against what `axis` says.

    Bars are sample standard deviations over the runs of a point, of x too where runs differ in it.
    `notes` says what the notes of points are.
    """
    frame = _Frame(axis, series)
    labels = "".join(_labels(frame, series))
    curves = "".join(_curve(frame, one, place, len(series)) for place, one in enumerate(series))
    width = LEFT + WIDE + 62 + CHARACTER * max(len(one.name) for one in series)
    height = TOP + TALL + BOTTOM
    legend = "means; bars: standard deviation over seeds; dots: single runs"
    legend += f"; numbers: {notes}" if notes else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="Accuracy against {escape(axis.label)}"><style>{STYLE}</style>'
        f'<rect width="{width:.0f}" height="{height}" fill="#fff"/>'
        + _text(20, 16, "accuracy on test images, %")
        + _text(width - 12, 16, legend, "note", "end")
        + "".join(frame.drawn())
        + curves
        + "".join(_notes(frame, one) for one in series)
        + labels
        + "</svg>\n"
    )


class _Frame:
    """The scales, with room for every run and bar."""

    def __init__(self, axis: Axis, series: Sequence[Series]) -> None:
        points = [point for one in series for point in one.points]
        self.settings = sorted({x for point in points for x in point.xs})
        if self.settings[0] <= 0:  # as the density of a network without weights is
            axis = replace(axis, log=False)
        self.axis = axis
        scale: Callable[[float], float] = math.log10 if axis.log else float
        self._scale = scale
        ends = scale(self.settings[0]), scale(self.settings[-1])
        margin = 0.06 * (ends[1] - ends[0]) or 0.1
        self._x = ends[0] - margin, ends[1] + margin
        if not axis.log and ends[0] >= 0 and not axis.discrete:
            self._x = max(self._x[0], 0.0), self._x[1]
        every = [y for point in points for y in point.ys]
        every += [point.y + sign * _deviation(point.ys) for point in points for sign in (-1, 1)]
        margin = max(0.06 * (max(every) - min(every)), 0.002)
        self._y = max(min(every) - margin, 0.0), min(max(every) + margin, 1.0)

    def x(self, value: float) -> float:
        low, high = self._x
        return LEFT + WIDE * (self._scale(value) - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self._y
        return TOP + TALL * (high - min(max(value, low), high)) / (high - low)

    def drawn(self) -> Iterator[str]:
        """Grid, ticks and the label of x."""
        bottom = TOP + TALL
        for value in steps(100 * self._y[0], 100 * self._y[1]):
            y = self.y(value / 100)
            yield _line("grid", LEFT, y, LEFT + WIDE, y)
            yield _text(LEFT - 8, y + 4, f"{value:g}", "axis", "end")
        for value in self._ticks():
            yield _line("frame", self.x(value), bottom, self.x(value), bottom + 5)
            yield _text(self.x(value), bottom + 20, f"{value:g}", "axis", "middle")
        yield _line("frame", LEFT, bottom, LEFT + WIDE, bottom)
        yield _text(LEFT + WIDE / 2, bottom + 44, self.axis.label, "", "middle")

    def _ticks(self) -> list[float]:
        if self.axis.discrete:
            return self.settings
        low, high = self._x
        return decades(10**low, 10**high) if self.axis.log else steps(low, high, 6)


def _curve(frame: _Frame, series: Series, place: int, of: int) -> str:
    """The line, then for each point its runs, its bars and its mark."""
    colour = COLOURS[series.colour % len(COLOURS)]
    aside = 5 * (place - (of - 1) / 2) * min(1.0, 6 / of) if frame.axis.discrete else 0.0
    spots = [(frame.x(point.x) + aside, frame.y(point.y)) for point in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    dash = _dash(series)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    for point, (x, y) in zip(series.points, spots, strict=True):
        parts += [
            f'<circle cx="{frame.x(run) + aside:.1f}" cy="{frame.y(found):.1f}" r="2.6" '
            f'stroke="none" fill-opacity=".5"/>'
            for run, found in zip(point.xs, point.ys, strict=True)
        ]
        parts += _bars(frame, point, x, aside)
        parts.append(_mark(series.mark, x, y, _title(series.name, point, frame.axis)))
    return f'<g stroke="{colour}" fill="{colour}" stroke-width="1.4">{"".join(parts)}</g>'


def _notes(frame: _Frame, series: Series) -> str:
    """What stands beside points, on top of all lines."""
    texts = (
        _text(frame.x(point.x) + 8, frame.y(point.y) - 7, point.note, "halo")
        for point in series.points
        if point.note
    )
    return "".join(texts)


def _bars(frame: _Frame, point: Point, x: float, aside: float) -> list[str]:
    """The deviation of accuracy with caps, and that of x where it can be seen."""
    parts, spread = [], _deviation(point.ys)
    if len(point.ys) > 1:
        top, bottom = frame.y(point.y + spread), frame.y(point.y - spread)
        parts.append(_line("", x, top, x, bottom))
        parts += [_line("", x - 4, end, x + 4, end) for end in (top, bottom)]
    wide, y = _deviation(point.xs), frame.y(point.y)
    low = point.x - wide
    if low > 0 or not frame.axis.log:
        left, right = frame.x(low) + aside, frame.x(point.x + wide) + aside
        if right - left > 6:
            parts.append(_line("", left, y, right, y))
            parts += [_line("", end, y - 4, end, y + 4) for end in (left, right)]
    return parts


def _labels(frame: _Frame, series: Sequence[Series]) -> Iterator[str]:
    """Names beside the ends of their lines, pushed apart until none covers another."""
    order = sorted(series, key=lambda one: -one.points[-1].y)
    places = _apart([frame.y(one.points[-1].y) for one in order])
    x = LEFT + WIDE + 14
    for one, y in zip(order, places, strict=True):
        colour = COLOURS[one.colour % len(COLOURS)]
        swatch = (
            f'<line x1="{x}" x2="{x + 28}" y1="{y:.1f}" y2="{y:.1f}" stroke-width="2"'
            f"{_dash(one)}/>{_mark(one.mark, x + 14, y)}"
        )
        yield f'<g stroke="{colour}" fill="{colour}">{swatch}</g>'
        yield _text(x + 36, y + 4.5, one.name)


def _apart(wanted: Sequence[float]) -> list[float]:
    """Places in the same order, at least a row apart, near the wanted ones and inside the frame.

    >>> _apart([100, 101, 300])
    [91.5, 109.5, 300.0]
    """
    groups: list[list[float]] = []  # of neighbours that touch: the places that each wanted
    for place in wanted:
        groups.append([float(place)])
        while len(groups) > 1 and _ends(groups[-2])[1] + ROW > _ends(groups[-1])[0]:
            last = groups.pop()
            groups[-1] += last
    return [_ends(group)[0] + ROW * k for group in groups for k in range(len(group))]


def _ends(group: Sequence[float]) -> tuple[float, float]:
    half = ROW * (len(group) - 1) / 2
    middle = max(TOP + half, min(statistics.fmean(group), TOP + TALL - half))
    return middle - half, middle + half


def _mark(number: int, x: float, y: float, title: str = "") -> str:
    """A circle, square, triangle, diamond, or a triangle upside down, with a white rim."""
    shapes = (
        f"M{x - 5:.1f} {y:.1f}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
        f"M{x - 4.5:.1f} {y - 4.5:.1f}h9v9h-9z",
        f"M{x:.1f} {y - 6:.1f}l5.5 10h-11z",
        f"M{x:.1f} {y - 6.2:.1f}l6.2 6.2l-6.2 6.2l-6.2 -6.2z",
        f"M{x:.1f} {y + 6:.1f}l5.5 -10h-11z",
    )
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<path d="{shapes[number % len(shapes)]}" stroke="#fff" stroke-width="1">{inner}</path>'


def _dash(series: Series) -> str:
    pattern = DASHES[series.dash % len(DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def _title(name: str, point: Point, axis: Axis) -> str:
    spread = f" ± {100 * _deviation(point.ys):.2f}" if len(point.ys) > 1 else ""
    return f"{name}: {point.y:.2%}{spread} at {point.x:.4g} ({axis.label})"


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<line{name} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
