"""The plan of a build: lanes, device, resources and expected cycles; made before any RTL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spikewright.golden.errors import BadInput, require
from spikewright.golden.image.load_stream import room as common_image
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network.graph import Network
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.core_demand import Demand
from spikewright.hw.compiler.cost import need, shape_of
from spikewright.hw.compiler.fpga import Device, limited
from spikewright.hw.compiler.lane_count import MAX_LANES, check_names, lanes_of, width_of
from spikewright.hw.compiler.lane_search import Provision, provide, refuse
from spikewright.hw.compiler.network_demand import demands
from spikewright.hw.options import BuildOptions


def settle(network: Network, options: BuildOptions, room: Device | None = None) -> Provision:
    """The lanes of every core, with their expected cycles and resources.

    Parameters
    ----------
    room
        The part of the target to plan with; by default all that the options allow.

    Raises
    ------
    BadInput
        If names or numbers in the options are wrong, or the network does not fit the target.
    """
    names = [node.name for node in network.neurons]
    _check(options, names)
    device = limited(options.target, options.budget) if room is None else room
    check_names("channels_per_word", options.channels_per_word, names)
    # The core that counts the output's spikes is not a node: it has one lane of one channel.
    cores = [
        replace(core, width=width_of(options.word_channels, core.node, core.channels))
        if core.node in names
        else core
        for core in demands(network)
    ]
    fixed = {core.node: 1 for core in cores if core.node not in names}
    fixed |= {
        core.node: _fixed_lanes(core, options.lane_limit)
        for core in cores
        if core.node in names and _is_fixed(core.node, options)
    }
    most = options.lanes if isinstance(options.lanes, int) else MAX_LANES
    widen = options.target is not None and options.channels_per_word is None
    return provide(cores, device, most, fixed, widen=widen)


def _check(options: BuildOptions, names: list[str]) -> None:
    """Check that lanes and budget are valid, and that lanes name nodes of the network."""
    check_names("lanes", options.lanes, names)
    require(options.target is not None or not options.budget, "budget", "target", "not given",
            "named, as in --target ecp5-25k")  # fmt: skip
    if isinstance(options.lanes, int):
        require(1 <= options.lanes <= MAX_LANES, "lanes", "limit", options.lanes,
                f"1..{MAX_LANES}")  # fmt: skip


def _is_fixed(node: str, options: BuildOptions) -> bool:
    """Whether the lanes of this node are given, not chosen for a target."""
    given = isinstance(options.lanes, Mapping) and node in options.lanes
    return options.target is None or given


def _fixed_lanes(core: Demand, lanes: int | Mapping[str, int]) -> int:
    """The lanes of a core where none are chosen for a target."""
    count = lanes_of(lanes, core.node, core.channels, core.work.entries_per_row, core.width)
    even = 1 << (count.bit_length() - 1)
    require(not core.ordered or count == even, f"node {core.node!r}", "lanes", count,
            f"a power of two for a readout, as {even}")  # fmt: skip
    return count


def plan_and_compile(network: Network, options: BuildOptions) -> tuple[Provision, Image]:
    """The plan, and the image with its lanes and channels per word.

    Resources are counted from the image's memories. Where these exceed the estimate and the
    target, border rows are dropped first; then the network is planned again with the budget
    reduced by the excess.

    Raises
    ------
    BadInput
        As `settle`, and if a core cannot be compiled.
    """
    device = room = limited(options.target, options.budget)
    estimate = settle(network, options)
    while True:
        plan = estimate
        for borders in (True, False):
            image = _compiled(network, options, plan, borders)
            needs = tuple(need(shape_of(core), device) for core in image.cores)
            plan = replace(plan, device=device, needs=needs)
            if plan.total.exceeds(device) is None:
                return plan, image
        lacking = plan.total.exceeds(device)
        assert lacking is not None
        excess = getattr(plan.total, lacking) - getattr(device, lacking)
        room = replace(room, **{lacking: max(getattr(room, lacking) - excess, 0)})
        try:
            estimate = settle(network, options, room)
        except BadInput:
            refuse(plan)
            raise


def _compiled(network: Network, options: BuildOptions, plan: Provision, borders: bool) -> Image:
    """The image of the plan's lanes; of a loadable build with room for the other networks too."""
    widths = {node.name: plan.widths[node.name] for node in network.neurons}
    settled = replace(options, lanes=plan.lanes, channels_per_word=widths, target=None, budget={})
    images = [compile_network(one, settled, borders=borders) for one in (network, *options.also)]
    return common_image(images) if options.host.loadable else images[0]
