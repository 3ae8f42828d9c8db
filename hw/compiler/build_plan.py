"""A build's plan: how many lanes, on what device, and what that takes; settled before any RTL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from spikewright.golden.errors import BadInput, require
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network.graph import Network
from spikewright.hw.compiler.core_demand import Demand
from spikewright.hw.compiler.cost import need, shape_of
from spikewright.hw.compiler.fpga import Device, limited
from spikewright.hw.compiler.lane_count import MAX_LANES, check_names, lanes_of, width_of
from spikewright.hw.compiler.lane_search import Provision, provide, refuse
from spikewright.hw.compiler.network_demand import demands

DEFAULT_LANES = 8


@dataclass(frozen=True)
class Request:
    """What a build may take.

    Attributes
    ----------
    lanes
        The most lanes of a core, or lanes by node name. None: 8 without a target, and with one as
        many as are of use.
    target
        A device of `hw.compiler.fpga.TARGETS`. None: nothing is limited, and lanes follow the
        entries of an average row.
    budget
        What of the target may be taken: `ram`, `lut`, `dsp`.
    channels_per_word
        As `hw.compiler.compile_network.compile_network` takes it. None: 1 without a target, and
        with one as many as are of use where rows are dense.
    """

    lanes: int | dict[str, int] | None = None
    target: str | None = None
    budget: Mapping[str, int] = field(default_factory=dict)
    channels_per_word: int | Mapping[str, int] | None = None


def settle(network: Network, request: Request, room: Device | None = None) -> Provision:
    """The lanes of every core, and what they are expected to do and to take.

    Parameters
    ----------
    room
        What of the target is left to plan with; by default all that the request allows.

    Raises
    ------
    BadInput
        If names or numbers in the request are wrong, or the network does not fit the target.
    """
    lanes, target = request.lanes, request.target
    check_names("lanes", lanes, [node.name for node in network.neurons])
    require(target is not None or not request.budget, "budget", "target", "not given",
            "named, as in --target ecp5-25k")  # fmt: skip
    if isinstance(lanes, int):
        require(1 <= lanes <= MAX_LANES, "lanes", "limit", lanes, f"1..{MAX_LANES}")
    device = limited(target, request.budget) if room is None else room
    asked, names = request.channels_per_word, [node.name for node in network.neurons]
    widths = 1 if asked is None else asked
    check_names("channels_per_word", widths, names)
    # The core that counts the spikes of the output is no node: it has one lane of one channel.
    cores = [
        replace(core, width=width_of(widths, core.node, core.channels))
        if core.node in names
        else core
        for core in demands(network)
    ]
    limit = DEFAULT_LANES if lanes is None else lanes
    fixed = {core.node: 1 for core in cores if core.node not in names}
    fixed |= {
        core.node: _given(core, limit)
        for core in cores
        if core.node in names
        and (target is None or (isinstance(limit, dict) and core.node in limit))
    }
    most = lanes if isinstance(lanes, int) else MAX_LANES
    return provide(cores, device, most, fixed, widen=target is not None and asked is None)


def _given(core: Demand, lanes: int | dict[str, int]) -> int:
    """The lanes of a core where none are chosen for a target."""
    count = lanes_of(lanes, core.node, core.channels, core.work.entries_per_row, core.width)
    even = 1 << (count.bit_length() - 1)
    require(not core.ordered or count == even, f"node {core.node!r}", "lanes", count,
            f"a power of two for a readout, as {even}")  # fmt: skip
    return count


def realise(
    network: Network, request: Request,
    compiled: Callable[[dict[str, int], dict[str, int], bool], Image],
) -> tuple[Provision, Image]:  # fmt: skip
    """The plan, and the image of its lanes, its channels of a word, and rows near borders or none.

    What is taken is counted on the image's memories. Where that is more than was estimated and
    than the target holds, rows of their own near borders are given up first; then the plan is made
    again with as much less room.

    Raises
    ------
    BadInput
        As `settle`, and if a core cannot be compiled.
    """
    held = room = limited(request.target, request.budget)
    found = settle(network, request)
    while True:
        plan = found
        names = [node.name for node in network.neurons]
        for borders in (True, False):
            image = compiled(plan.lanes, {name: plan.widths[name] for name in names}, borders)
            needs = tuple(need(shape_of(core), held) for core in image.cores)
            plan = replace(plan, device=held, needs=needs)
            if plan.total.exceeds(held) is None:
                return plan, image
        lacking = plan.total.exceeds(held)
        assert lacking is not None
        excess = getattr(plan.total, lacking) - getattr(held, lacking)
        room = replace(room, **{lacking: max(getattr(room, lacking) - excess, 0)})
        try:
            found = settle(network, request, room)
        except BadInput:
            refuse(plan)
            raise
