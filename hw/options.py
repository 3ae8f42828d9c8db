"""The options of a build: one object, from the command line to the manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from spikewright.golden.errors import require
from spikewright.golden.image.host_interface import HostInterface

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network

Count = int | Mapping[str, int] | None
"""One number for all nodes, a number by node name, or the default."""

DEFAULT_LANES = 8
MOST_LETTERS = 64
"""Of a build's name: file names and identifiers of every tool hold it and what follows."""

_IDENTIFIER = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MOST_LETTERS - 1}}}")


@dataclass(frozen=True)
class BuildOptions:
    """Lanes, words, passes, target device and host interface of a build.

    Imports nothing heavy, so that commands can create it before they run.

    Attributes
    ----------
    lanes
        The most lanes of a core, or lanes by node name. None: 8 without a target, and with one as
        many as are useful.
    channels_per_word
        W: adjacent channels that share weight entries and membrane words; a power of two, for
        every node (bounded by its channels) or by node (1 for those that are not named). None: 1
        without a target, and with one as many as are useful where rows are dense.
    steps_per_pass
        P: time steps whose events are accumulated together; it divides the network's, and is 1 if
        an edge is delayed.
    target
        A device of `hw.compiler.fpga.TARGETS`. None: nothing is limited, and lanes follow the
        entries of an average row.
    budget
        Limits within the target: `ram` (block RAMs), `lut` (LUTs), `dsp` (multipliers).
    host
        Registers, counters and load stream around the cores.
    also
        Networks of the same shape that a loadable build must have room for.
    name
        Modules, memory files, macros and the files of `rtl/` begin with it and `_`, so that several
        builds fit one design. None: no prefix.

    Raises
    ------
    BadInput
        If there are other networks, but the build is not loadable; if the name is no identifier.
    """

    lanes: Count = None
    channels_per_word: Count = None
    steps_per_pass: int = 1
    target: str | None = None
    budget: Mapping[str, int] = field(default_factory=dict[str, int])
    host: HostInterface = field(default_factory=HostInterface)
    also: tuple[Network, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        require(self.host.loadable or not self.also, "build", "number of other networks",
                len(self.also), "0 unless the build is loadable")  # fmt: skip
        require(self.name is None or bool(_IDENTIFIER.fullmatch(self.name)), "build", "name",
                repr(self.name), f"a letter, then at most {MOST_LETTERS - 1} letters, digits and "
                "underscores")  # fmt: skip

    @property
    def prefix(self) -> str:
        """What the names of modules and files begin with."""
        return f"{self.name}_" if self.name else ""

    @property
    def lane_limit(self) -> int | Mapping[str, int]:
        """The most lanes of a core, or lanes by node name, where no target chooses them."""
        return DEFAULT_LANES if self.lanes is None else self.lanes

    @property
    def word_channels(self) -> int | Mapping[str, int]:
        """Channels of a word, of all nodes or by node name, where no target chooses them."""
        return 1 if self.channels_per_word is None else self.channels_per_word

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a network is its fingerprint."""
        from spikewright.golden.network.file import fingerprint

        return {
            "lanes": _plain(self.lanes),
            "channels_per_word": _plain(self.channels_per_word),
            "steps_per_pass": self.steps_per_pass,
            "target": self.target,
            "budget": dict(self.budget),
            "host": asdict(self.host),
            "also": [fingerprint(network) for network in self.also],
            "name": self.name,
        }


def _plain(count: Count) -> int | dict[str, int] | None:
    return dict(count) if isinstance(count, Mapping) else count
