"""What running a network takes in memory, and what may be taken: refused before work begins."""

from __future__ import annotations

import math
import resource
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from spikewright.golden.errors import BadInput, require
from spikewright.golden.network.graph import Network

TRACED_BYTES = 48
"""Of a neuron at a step of an image while programs are compared: 30 to 47 were measured."""

INPUT_BYTES = 12
"""Of an input value: as it was made, checked, and on its way into a file."""

SPIKE_BYTES, MEMBRANE_BYTES = 1, 8
SHARE = 0.75  # of what is available, by default: the rest is for other programs
UNKNOWN = 8 << 30  # where the machine does not say

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_allowed: ContextVar[int | None] = ContextVar("allowed", default=None)


@contextmanager
def memory_limit(size: int | None) -> Generator[None]:
    """Within it, runs of networks may take `size` bytes; None: what the machine has."""
    token = _allowed.set(size)
    try:
        yield
    finally:
        _allowed.reset(token)


def allowed() -> int:
    """Bytes that a run may take."""
    chosen = _allowed.get()
    return int(SHARE * available()) if chosen is None else chosen


def available() -> int:
    """Bytes that this process can still allocate: of the machine, its control group, its limit."""
    free = [value for value in (_of_machine(), _of_group(), _of_process()) if value is not None]
    return max(min(free, default=UNKNOWN), 0)


def _of_machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _of_group() -> int | None:
    most, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    return int(most[0]) - int(used[0]) if most and used and most[0].isdecimal() else None


def _of_process() -> int | None:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if most == resource.RLIM_INFINITY or not pages:
        return None
    return most - int(pages[0].split()[0]) * resource.getpagesize()


def _lines(path: str) -> list[str]:
    """The lines of a file of the system; none where there is no such file."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def parse_size(text: str) -> int:
    """The bytes of a size.

    >>> parse_size("12G"), parse_size("1.5M"), parse_size("4096")
    (12884901888, 1572864, 4096)
    """
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), ""
    if number[-1:] in _UNITS:
        number, unit = number[:-1], number[-1:]
    try:
        size = float(number) * _UNITS[unit]
    except ValueError:
        size = math.nan
    require(0 < size < math.inf, "--memory", "size", repr(text), "a size such as 8G or 500M")
    return int(size)


def words(size: int) -> str:
    """A size for people.

    >>> words(3 << 29), words(700 << 20), words(5)
    ('1.5 GiB', '700 MiB', '1 MiB')
    """
    if size >= 1 << 30:
        return f"{size / (1 << 30):,.1f} GiB"
    return f"{max(size >> 20, 1)} MiB"


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run takes: for every image that is kept, and for every one under way."""

    kept: int
    traced: int

    @classmethod
    def of_inputs(cls, network: Network) -> Footprint:
        """The inputs alone."""
        node = network.input
        frames = 1 if node.coding == "direct" else network.timesteps
        return cls(frames * math.prod(node.shape) * INPUT_BYTES, 0)

    @classmethod
    def of_comparison(cls, network: Network, runs: int = 0, membranes: bool = False) -> Footprint:
        """Programs of the chain of equality compared; spikes of one of them are kept.

        Parameters
        ----------
        runs
            Simulations whose whole traces wait for the comparison.
        membranes
            Whether membranes are kept too.
        """
        steps = network.timesteps * sum(math.prod(node.shape) for node in network.neurons)
        trace = SPIKE_BYTES + MEMBRANE_BYTES
        kept = runs * trace + (trace if membranes else SPIKE_BYTES)
        inputs = cls.of_inputs(network).kept
        return cls(inputs + steps * kept, inputs + steps * TRACED_BYTES)

    def batch(self, images: int, most: int) -> int:
        """How many of so many images may be under way at once: 1 to `most`.

        Raises
        ------
        BadInput
            If the images do not fit into what is allowed, naming how many do.
        """
        room = allowed() - self.traced - images * self.kept
        if room < 0:
            raise BadInput(self._refusal(images))
        return max(1, min(most, 1 + room // max(self.traced, 1)))

    def _refusal(self, images: int) -> str:
        fitting = (allowed() - self.traced) // max(self.kept, 1)
        need = f"{words(self.traced + images * self.kept)}, must be at most {words(allowed())}"
        what = f"memory: {images} images of the network take {need} (--memory); "
        if fitting >= 1:
            return f"{what}{fitting} images fit"
        one = words(self.traced + self.kept)
        return f"{what}not even one fits, which takes {one}: allow more, or use a larger machine"
