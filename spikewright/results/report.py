"""The result of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes
    ----------
    folder, html
        The build folder, and the report's page in it.
    summary
        What `report/summary.json` holds: the keys are listed in docs/commands.md.
    """

    folder: Path
    html: Path
    summary: Mapping[str, Any]

    @property
    def accuracy(self) -> float | None:
        """Share of right answers, 0..1; None without labels."""
        return self.summary["accuracy"]

    @property
    def mismatches(self) -> int:
        """Values that differ on any link of the chain."""
        return self.summary["mismatches"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the summary."""
        return dict(self.summary)
