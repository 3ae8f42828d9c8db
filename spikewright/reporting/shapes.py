"""What the report's pictures are drawn with, as SVG text by hand.

Colours are CSS variables of the page, so that light and dark need one drawing. Every mark that
carries a figure has a `<title>`, which browsers show on hovering.
"""

from __future__ import annotations

import math
from html import escape

WIDTH = 1080
LABEL = 150  # room for a name at the left of every chart
THIN = "\N{NARROW NO-BREAK SPACE}"


def quantity(value: float, digits: int = 3) -> str:
    """A figure for a reader: thousands set apart, or three digits that count.

    >>> quantity(1234567).split(THIN), quantity(0.012345), quantity(12.0)
    (['1', '234', '567'], '0.0123', '12')
    """
    if value == int(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace(",", THIN)
    return f"{value:.{digits}g}"


def drawing(height: float, body: str, label: str) -> str:
    """A whole picture, `WIDTH` wide; `label` says what it shows to who cannot see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {math.ceil(height)}" role="img" aria-label="{escape(label)}">'
        f"{body}</svg>"
    )


def caption(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text; `kind` is its class in the page's style."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
    )


def box(
    x: float, y: float, width: float, height: float, kind: str, title: str = "", radius: float = 0
) -> str:
    """A rectangle; `title` is shown on hovering."""
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{height:.2f}" '
        f'rx="{radius:g}" class="{kind}">{inner}</rect>'
    )
