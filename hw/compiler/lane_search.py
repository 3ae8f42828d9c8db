"""Chooses the lanes of every core, so that cores take equal time within the limits of a device.

All cores work at once, each on another step or inference: the slowest limits the throughput. So the
slowest core's lanes are doubled, again and again, while that gains something and the device has
room. A core with dense rows may get wider words instead: as many adders, with fewer FIFOs and
walkers. The other cores need no more lanes: they wait for the slowest anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikewright.golden.errors import require
from spikewright.hw.compiler.core_demand import Demand, Load, load
from spikewright.hw.compiler.cost import Need, need
from spikewright.hw.compiler.fpga import TARGETS, Device
from spikewright.hw.compiler.lane_count import MAX_COLUMNS, MAX_LANES
from spikewright.hw.compiler.workload import Work

GAIN = 0.97
"""Doubling the lanes must reduce a core's cycles below this share."""

WIDEST = 128
"""Bits of an entry's weights where the width is chosen."""

FILLED = 0.8
"""The least share of nonzero weights in wider words, since zero weights are added too."""

_WORDS = {"ram": "block RAMs", "lut": "LUTs", "dsp": "multipliers"}


@dataclass(frozen=True, eq=False)
class Provision:
    """Lanes of every core, and why.

    Attributes
    ----------
    loads, needs
        Of every core, in the order of the network.
    reasons
        Why each core has no more lanes.
    """

    device: Device
    loads: tuple[Load, ...]
    needs: tuple[Need, ...]
    reasons: tuple[str, ...]

    @property
    def interval(self) -> float:
        """Cycles between two inferences in a full pipeline, on average: those of the slowest."""
        return max(load.cycles for load in self.loads)

    @property
    def total(self) -> Need:
        """All cores together."""
        return _together(self.needs)

    @property
    def lanes(self) -> dict[str, int]:
        """By node."""
        return {load.node: load.lanes for load in self.loads}

    @property
    def widths(self) -> dict[str, int]:
        """Channels of a word by node."""
        return {load.node: load.width for load in self.loads}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        cores = [
            {
                "node": load.node,
                "lanes": load.lanes,
                "channels_per_word": load.width,
                "cycles_per_inference": round(load.cycles, 1),
                "event_cycles": round(load.events, 1),
                "entry_cycles": round(load.entries, 1),
                "sweep_cycles": round(load.sweep, 1),
                "output_cycles": round(load.output, 1),
                "bound": load.bound,
                "busy_share": round(load.cycles / self.interval, 4),
                "block_rams": taken.ram,
                "luts": taken.lut,
                "dsps": taken.dsp,
                "reason": reason,
            }
            for load, taken, reason in zip(self.loads, self.needs, self.reasons, strict=True)
        ]
        total = self.total
        return {
            "target": self.device.name,
            "interval_cycles": round(self.interval, 1),
            "block_rams": {"taken": total.ram, "of": self.device.ram},
            "luts": {"taken": total.lut, "of": self.device.lut},
            "dsps": {"taken": total.dsp, "of": self.device.dsp},
            "cores": cores,
        }


def provide(
    demands: Sequence[Demand], device: Device, limit: int = MAX_LANES,
    given: Mapping[str, int] | None = None, widen: bool = False,
) -> Provision:  # fmt: skip
    """Choose the lanes of every core.

    Parameters
    ----------
    limit
        The most lanes of a core.
    given
        Lanes of some nodes, which are not to be changed.
    widen
        Choose the channels of a word too.

    Raises
    ------
    BadInput
        If the cores do not fit the device however few lanes they have, or with those that are
        given: the node that takes most, the limit, and what would fit.
    """
    narrow = _searched(demands, device, limit, given or {}, False)
    if not widen:
        return narrow
    return _better(narrow, _searched(demands, device, limit, given or {}, True))


def _searched(
    demands: Sequence[Demand], device: Device, limit: int, given: Mapping[str, int], widen: bool
) -> Provision:
    search = _Search(demands, device, limit, given, widen)
    refuse(search.result(), demands)
    while search.give_to_slowest():
        pass
    return search.result()


def _better(narrow: Provision, wide: Provision) -> Provision:
    """The faster one; of two with nearly equal speed, the smaller one."""
    if wide.interval < GAIN * narrow.interval:
        return wide
    saves = wide.total.share(wide.device) < narrow.total.share(wide.device)
    return wide if saves and GAIN * wide.interval < narrow.interval else narrow


def _why(load: Load, work: Work) -> str:
    if load.bound == "sweep":
        return "its sweeps are mostly pauses"
    if load.bound == "output":
        return "its spikes leave one by one"
    return f"{work.entries_per_event / load.lanes:.2g} entries a lane and event"


def refuse(plan: Provision, demands: Sequence[Demand] = ()) -> None:
    """Refuse a plan that the device cannot hold, with the nearest that fits.

    Parameters
    ----------
    demands
        Where they are given, fewer lanes are looked at too.

    Raises
    ------
    BadInput
        Naming the node that takes most of what is lacking.
    """
    lacking = plan.total.exceeds(plan.device)
    if lacking is None:
        return
    worst = max(range(len(plan.needs)), key=lambda k: getattr(plan.needs[k], lacking))
    most, own = getattr(plan.device, lacking), getattr(plan.needs[worst], lacking)
    require(False, f"node {plan.loads[worst].node!r}", f"{_WORDS[lacking]} of all cores together",
            getattr(plan.total, lacking),
            f"at most {most} of {plan.device.name}, and this core takes {own}; "
            f"{_remedy(plan, demands)}")  # fmt: skip


def _remedy(plan: Provision, demands: Sequence[Demand]) -> str:
    least = [load(demand, demand.least_lanes) for demand in demands]
    if least and _fits(least, plan.device):
        return "fewer lanes fit, as without --lanes"
    for device in TARGETS.values():
        if _fits(plan.loads, device):
            return f"the nearest target that holds it is {device.name}"
    return "no known target holds it: prune it or make it smaller"


def _fits(loads: Sequence[Load], device: Device) -> bool:
    return _together(need(core.shape, device) for core in loads).exceeds(device) is None


def _together(needs: Iterable[Need]) -> Need:
    return sum(needs, Need(0, 0, 0))


class _Search:
    """The lanes so far."""

    def __init__(
        self, demands: Sequence[Demand], device: Device, limit: int, given: Mapping[str, int],
        widen: bool,
    ) -> None:  # fmt: skip
        self.demands = {demand.node: demand for demand in demands}
        self.device, self.limit, self.given, self.widen = device, limit, given, widen
        self.loads = {
            name: load(d, given.get(name, d.least_lanes)) for name, d in self.demands.items()
        }
        self.needs = {name: need(core.shape, device) for name, core in self.loads.items()}
        self.stopped: dict[str, str] = {}

    def slowest(self) -> str:
        return max(self.loads, key=lambda name: self.loads[name].cycles)

    def give_to_slowest(self) -> bool:
        """Double the lanes of the slowest core, or the channels of its words, whichever takes less.

        False, with the reason why it gets no more lanes, if neither is of use.
        """
        name = self.slowest()
        demand, lanes = self.demands[name], 2 * self.loads[name].lanes
        barred = self._barred(name, lanes)
        reason = barred or self._lacking(name, demand, lanes)
        options = [] if reason else [(demand, lanes)]
        wider = replace(demand, width=2 * demand.width)
        if self._may_widen(name, wider) and not self._lacking(name, wider, lanes // 2):
            options.append((wider, lanes // 2))
        if not options:
            assert reason is not None
            self.stopped[name] = reason
            return False
        loads = [load(*option) for option in options]
        shares = [need(core.shape, self.device).share(self.device) for core in loads]
        best = shares.index(min(shares))
        self.demands[name], self.loads[name] = options[best][0], loads[best]
        self.needs[name] = need(loads[best].shape, self.device)
        return True

    def _lacking(self, name: str, demand: Demand, lanes: int) -> str | None:
        """Why a core does not become this one; None if that gains something and fits."""
        wider = load(demand, lanes)
        taken = need(wider.shape, self.device)
        if wider.cycles > GAIN * self.loads[name].cycles:
            return f"{lanes} lanes gain nothing: {_why(wider, demand.work)}"
        lacking = _together({**self.needs, name: taken}.values()).exceeds(self.device)
        return f"{lanes} lanes take more {_WORDS[lacking]} than there are" if lacking else None

    def _may_widen(self, name: str, wider: Demand) -> bool:
        lanes = self.loads[name].lanes
        return (
            self.widen
            and name not in self.given
            and not wider.value_bits  # every channel of a word would need its multiplier
            and wider.filled >= FILLED
            and lanes * wider.width <= min(wider.channels, MAX_COLUMNS)
            and wider.width * wider.weight_bits <= WIDEST
        )

    def _barred(self, name: str, lanes: int) -> str | None:
        channels = self.demands[name].channels
        if name in self.given:
            return "as given"
        if lanes > self.limit:
            return f"the limit of {self.limit} lanes"
        return f"its {channels} channels" if lanes * self.demands[name].width > channels else None

    def result(self) -> Provision:
        slowest = self.slowest()
        reasons = [
            self.stopped.get(name) or ("as given" if name in self.given else f"waits for {slowest}")
            for name in self.loads
        ]
        return Provision(
            self.device, tuple(self.loads.values()), tuple(self.needs.values()), tuple(reasons)
        )
