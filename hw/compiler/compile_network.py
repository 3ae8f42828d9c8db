"""From the integer network to the memory image: every node becomes a core, every edge its rows.

`hw.compiler.core_plan` decides lanes and codes, `hw.compiler.lower` turns every kind of edge into
rows, `hw.compiler.decoder_tables` and `hw.compiler.pack` fill the memories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikewright.golden.bits import bits_for
from spikewright.golden.errors import require
from spikewright.golden.image.memory_image import (
    CoreImage,
    EdgeImage,
    Image,
    InputImage,
    spike_layout,
)
from spikewright.golden.image.rows import MACHINE_BITS, Layout, Memory
from spikewright.golden.network.edges import Edge, Identity
from spikewright.golden.network.file import fingerprint
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.widths import Widths, node_widths
from spikewright.hw.compiler.core_plan import (  # fmt: skip
    Plan,
    Sender,
    Window,
    check_steps,
    plan,
    sent_shape,
    windows,
)
from spikewright.hw.compiler.decoder_tables import constant_tables, decoder_tables, tap_table
from spikewright.hw.compiler.lane_count import check_names
from spikewright.hw.compiler.pack import MAX_WORDS, Arrival, arrivals, pack_lanes
from spikewright.hw.compiler.queue_depth import queue_depths
from spikewright.hw.options import BuildOptions

MAX_CORES = 32
"""Cores whose counters `count_select` can name."""

_ONE_LANE = BuildOptions(lanes=1)
"""The name of the core that counts the spikes of the output."""


@dataclass(frozen=True, eq=False)
class _Settled:
    """Decisions for all nodes, made before any memory is packed; mappings are by node or edge.

    `network` has the core that counts the spikes of a spiking output as its last node.
    """

    network: Network
    options: BuildOptions
    windows: Mapping[str, Window]
    plans: Mapping[str, Plan]
    senders: Mapping[str, Sender]
    depths: Mapping[Edge, int]
    widths: Mapping[str, Widths]


def compile_network(
    network: Network, options: BuildOptions | None = None, *, borders: bool = True
) -> Image:
    """Compile a network with the lanes and channels per word that the options give.

    Parameters
    ----------
    options
        Without a target: `hw.compiler.build_plan` chooses lanes for one. In a loadable build every
        choice depends on the network's shape alone, so that others of this shape get the same
        formats: no rows of equal length, no relative entries, no border rows.
    borders
        Convolutions may have border rows (`hw.compiler.lower.bordered`), which save cycles and need
        pointers.

    Raises
    ------
    BadInput
        If the network cannot be built; the message names the node, the limit and the remedy.
    """
    options = options or BuildOptions()
    assert options.target is None, "a plan settles lanes for a target first"
    whole = counted(network)
    counting = whole is not network
    for node in whole.neurons[MAX_CORES:][:1]:
        require(False, f"node {node.name!r}", "number of cores up to it", MAX_CORES + 1,
                f"at most {MAX_CORES}; drop {len(whole.neurons) - MAX_CORES} nodes")  # fmt: skip
    steps, loadable = options.steps_per_pass, options.host.loadable
    check_steps(network, steps)
    names = [node.name for node in network.neurons]
    check_names("channels_per_word", options.channels_per_word, names)
    merged = windows(whole)
    plans = {
        node.name: plan(
            whole, node, merged, options if node.name in names else _ONE_LANE,
            borders and not loadable,
        )
        for node in whole.neurons
    }  # fmt: skip
    stimulus = _input_image(network.input, steps)
    settled = _Settled(
        whole, options, merged, plans, _senders(whole, plans, merged, stimulus, steps),
        queue_depths(whole, plans, merged, steps, loadable), node_widths(whole),
    )  # fmt: skip
    cores = tuple(_core(settled, node) for node in whole.neurons)
    return Image(network.timesteps, stimulus, cores, fingerprint(network), counting)


def counted(network: Network) -> Network:
    """The network with a readout after a spiking output: its membranes count the spikes."""
    output = network.output
    if isinstance(output, Readout):
        return network
    name = f"{output.name}_count"
    names = [node.name for node in network.nodes]
    require(name not in names, f"node {name!r}", "name", repr(name),
            f"another, as the core that counts the spikes of {output.name!r} has it")  # fmt: skip
    ones = np.ones(output.shape, np.int64)
    return replace(
        network,
        nodes=(*network.nodes, Readout(name, output.shape, 0 * ones)),
        edges=(*network.edges, Edge(output.name, name, (Identity(ones, 2),))),
    )


def _input_image(node: Input, steps: int) -> InputImage:
    channels, height, width = (*node.shape, 1, 1)[:3]
    # A plain spike has no value field, and then its core has no multiplier.
    value = node.bits if node.bits > 1 or node.signed else 0
    direct = node.coding == "direct"
    widths = {
        "x": bits_for(width), "y": bits_for(height), "c": bits_for(channels), "value": value,
        "steps": steps if steps > 1 and not direct else 0,
    }  # fmt: skip
    bits = sum(widths.values())
    require(bits < MACHINE_BITS, f"node {node.name!r}", "bits of an input event", bits,
            f"less than {MACHINE_BITS}; take fewer time steps a pass")  # fmt: skip
    return InputImage(node.name, node.shape, direct, Layout.of(**widths), node.signed)


def _senders(
    network: Network, plans: Mapping[str, Plan], merged: Mapping[str, Window],
    stimulus: InputImage, steps: int,
) -> dict[str, Sender]:  # fmt: skip
    """The output of every node."""
    senders = {
        stimulus.name: Sender(
            stimulus.name, stimulus.shape, tuple(range(stimulus.shape[0])), stimulus.event,
            stimulus.direct, stimulus.signed,
        )
    }  # fmt: skip
    for node in network.neurons:
        shape = sent_shape(node.shape, merged[node.name])
        _, height, width = (*shape, 1, 1)[:3]
        core = plans[node.name]
        event = spike_layout((height, width), bits_for(core.columns) + bits_for(core.local), steps)
        senders[node.name] = Sender(node.name, shape, core.codes, event)
    return senders


def _core(settled: _Settled, node: LIF | Readout) -> CoreImage:
    """Pack the memories of one node's core."""
    where, lif = f"node {node.name!r}", node if isinstance(node, LIF) else None
    core, senders, widths = settled.plans[node.name], settled.senders, settled.widths[node.name]
    into, loadable = settled.network.into(node.name), settled.options.host.loadable
    address_bits = max(bits_for(_membrane_words(node, core)), 1)
    arriving = arrivals(core.edges, [senders[edge.source].codes for edge in into], loadable)
    packed = pack_lanes(where, arriving, core.codes, core.lanes, core.width, core.local, loadable)
    memories: dict[str, Memory] = {}
    for index, synapses in enumerate(core.edges):
        tables = decoder_tables(synapses, core.local, address_bits)
        memories[f"table_y_{index}"], memories[f"table_x_{index}"] = tables
    memories["taps"] = tap_table(core.edges, core.local, address_bits)
    memories |= packed.memories
    constants = constant_tables(node, core.codes, core.columns, core.local)
    memories |= {f"constants_{column}": memory for column, memory in enumerate(constants)}
    edges = tuple(
        _edge_image(edge, senders[edge.source], arrival, settled.depths[edge])
        for edge, arrival in zip(into, arriving, strict=True)
    )
    return CoreImage(
        node=node.name, kind="lif" if lif else "readout", shape=node.shape,
        lanes=core.lanes, channels_per_word=core.width,
        steps_per_pass=settled.options.steps_per_pass, local_channels=core.local,
        codes=core.codes, window=settled.windows[node.name], edges=edges,
        relative=packed.relative, row_lengths=packed.row_lengths,
        leak_mul=node.leak_mul, leak_shift=node.leak_shift,
        reset=lif.reset if lif else "none", clamp_bits=lif.membrane_bits if lif else 0,
        state_bits=widths.state_bits, acc_bits=widths.acc_bits, drive_bits=widths.drive_bits,
        memories=memories,
    )  # fmt: skip


def _membrane_words(node: LIF | Readout, core: Plan) -> int:
    """Words of membranes in each lane of a core, which its memory must hold."""
    channels, height, width = (*node.shape, 1, 1)[:3]
    words = height * width * core.local
    fit = min(channels, -(-channels * height * width // (MAX_WORDS * core.width)))
    require(words <= MAX_WORDS, f"node {node.name!r}",
            f"membrane words in each of {core.lanes} lanes", words,
            f"at most {MAX_WORDS}; it takes at least {fit} lanes, or a smaller map")  # fmt: skip
    return words


def _edge_image(edge: Edge, sender: Sender, arrival: Arrival, depth: int) -> EdgeImage:
    return EdgeImage(
        source=sender.name, delay=edge.delay, depth=depth,
        direct=sender.direct, event=sender.event, value_signed=sender.signed,
        row_bits=arrival.synapses.row_bits,
        row_start=arrival.row_start, rows=arrival.rows,
    )  # fmt: skip
