"""What a build may be asked to look like, as the commands that build take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Count = int | dict[str, int] | None


@dataclass(frozen=True)
class Machine:
    """Lanes, words, passes, and the part of a device: see `hw.build.build`.

    Nothing heavy is imported for it, so that commands can hold it before they run.
    """

    lanes: Count = None
    budget: Mapping[str, int] = field(default_factory=dict)
    channels_per_word: Count = None
    steps_per_pass: int = 1
