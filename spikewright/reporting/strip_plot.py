"""The picture of all runs of an experiment: a row for each variant, a dot for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from spikewright.reporting.plots import steps

WIDTH, CHARACTER, RIGHT, ROW = 860, 7.4, 90, 40
STYLE = (
    "text{font:14px 'Helvetica Neue',Arial,sans-serif;fill:#2b3338}"
    ".axis{fill:#5d676e;font-size:12px}.grid{stroke:#e3e0d8}"
    ".run{fill:#0b6e69;fill-opacity:.45}.mean{stroke:#0b6e69;stroke-width:3}"
)


def picture(rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """An SVG file: for every variant a dot for each seed, and a stroke at their mean.

    The scale runs from just below the lowest accuracy to just above the highest.
    """
    every = [value for _, values in rows for value in values]
    low, high = min(every), max(every)
    margin = max(0.1 * (high - low), 0.002)
    low, high = low - margin, high + margin
    height = ROW * len(rows) + 44
    label = max(210, 28 + CHARACTER * max(len(name) for name, _ in rows))

    def x(value: float) -> float:
        return label + (WIDTH - label - RIGHT) * (value - low) / (high - low)

    parts = []
    for percent in steps(100 * low, 100 * high):
        value = percent / 100
        parts.append(
            _stroke("grid", x(value), 8, height - 28)
            + f'<text class="axis" x="{x(value):.1f}" y="{height - 10}" text-anchor="middle">'
            f"{percent:g} %</text>"
        )
    for place, (name, values) in enumerate(rows):
        y, mean = ROW * place + 28, sum(values) / len(values)
        parts.append(f'<text x="8" y="{y + 5}">{escape(name)}</text>')
        parts += [
            f'<circle class="run" cx="{x(value):.1f}" cy="{y}" r="6">'
            f"<title>{escape(name)}: {value:.2%}</title></circle>"
            for value in values
        ]
        parts.append(
            _stroke("mean", x(mean), y - 12, y + 12)
            + f'<text x="{WIDTH - RIGHT + 14}" y="{y + 5}">{mean:.2%}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Accuracy of every run"><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _stroke(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
