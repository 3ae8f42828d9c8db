"""Bar charts of the report: cycles by layer, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikewright.reporting.shapes import LABEL, WIDTH, box, caption, drawing, quantity

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
        parts.append(caption(0, y + 15, node, "name"))
        parts.append(caption(0, y + 31, f"{lanes} lane{'s' if lanes > 1 else ''}", "axis"))
        x = float(LABEL)
        for kind in CYCLE_KINDS:
            wide = (WIDTH - LABEL - 90) * spent[kind] / top
            share = spent[kind] / max(sum(spent.values()), 1)
            title = f"{node}, {kind}: {quantity(spent[kind])} cycles ({share:.1%})"
            parts.append(box(x, y, max(wide - 1.5, 0), 30, kind, title, 2))
            if wide > 52:
                parts.append(
                    caption(
                        x + wide / 2, y + 19.5, quantity(round(spent[kind])), f"on-{kind}", "middle"
                    )
                )
            x += wide
        parts.append(caption(x + 8, y + 19.5, quantity(round(sum(spent.values()))), "value"))
        y += 46
    return drawing(y, "".join(parts), "Cycles of each core")


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
        parts += [caption(0, y + 13, name, "name"), caption(0, y + 29, note, "axis")]
        parts.append(
            box(room, y + 2, max(wide, 1.5), 24, kind, f"{name}: {quantity(value)} {unit}", 2)
        )
        parts.append(
            caption(room + max(wide, 1.5) + 8, y + 19, f"{quantity(value)} {unit}", "value")
        )
        y += 44
    return drawing(y, "".join(parts), "Energy per inference")
