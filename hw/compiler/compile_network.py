"""From the integer network to the memory image: every node becomes a core, every edge its rows.

`hw.compiler.core_plan` settles lanes and codes, `hw.compiler.lower` turns every kind of edge into
rows, `hw.compiler.decoder_tables` and `hw.compiler.pack` fill the memories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
from spikewright.golden.image.rows import MACHINE_BITS, Layout
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

MAX_CORES = 32
"""Cores whose counters `count_select` can name."""


def compile_network(
    network: Network, lanes: int | dict[str, int] = 8, *, steps_per_pass: int = 1,
    channels_per_word: int | Mapping[str, int] = 1, reloadable: bool = False, borders: bool = True,
) -> Image:  # fmt: skip
    """Compile a network for cores of at most `lanes` lanes, or of the lanes given per node.

    Parameters
    ----------
    steps_per_pass
        P: time steps whose events are accumulated together; it divides the network's, and is 1 if
        an edge is delayed.
    channels_per_word
        W: adjacent channels that share weight entries and membrane words; a power of two, for
        every node (bounded by its channels) or by node (1 for those that are not named).
    reloadable
        Every choice depends on the network's shape alone, so that others of this shape get the
        same formats: no rows of one length, no distances between entries, no rows near borders.
    borders
        Convolutions may have rows of their own near borders, which save cycles and take pointers.

    Raises
    ------
    BadInput
        If the network cannot be built; the message names the node, the limit and the remedy.
    """
    whole = counted(network)
    counting = whole is not network
    for node in whole.neurons[MAX_CORES:][:1]:
        require(False, f"node {node.name!r}", "number of cores up to it", MAX_CORES + 1,
                f"at most {MAX_CORES}; drop {len(whole.neurons) - MAX_CORES} nodes")  # fmt: skip
    check_steps(network, steps_per_pass)
    check_names("channels_per_word", channels_per_word, [node.name for node in network.neurons])
    merged, widths = windows(whole), node_widths(whole)
    plans = {
        node.name: plan(
            whole,
            node,
            merged,
            {node.name: 1} if counts else lanes,
            1 if counts else channels_per_word,
            borders and not reloadable,
        )
        for node in whole.neurons
        for counts in [counting and node is whole.output]
    }
    given = _input_image(network.input, steps_per_pass)
    senders = _senders(whole, plans, merged, given, steps_per_pass)
    depths = queue_depths(whole, plans, merged, steps_per_pass, reloadable)
    compiled = tuple(
        _core(whole, node, plans[node.name], senders, depths, widths[node.name],
              merged[node.name], steps_per_pass, reloadable)
        for node in whole.neurons
    )  # fmt: skip
    return Image(network.timesteps, given, compiled, fingerprint(network), counting)


def counted(network: Network) -> Network:
    """The network with a readout behind a spiking output: its membranes count the spikes."""
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
    network: Network, plans: Mapping[str, Plan], merged: Mapping[str, Window], given: InputImage,
    steps: int,
) -> dict[str, Sender]:  # fmt: skip
    """What every node sends."""
    channels = tuple(range(given.shape[0]))
    first = Sender(given.name, given.shape, channels, given.event, given.direct, given.signed)
    found = {given.name: first}
    for node in network.neurons:
        shape = sent_shape(node.shape, merged[node.name])
        _, height, width = (*shape, 1, 1)[:3]
        of = plans[node.name]
        event = spike_layout((height, width), bits_for(of.columns) + bits_for(of.local), steps)
        found[node.name] = Sender(node.name, shape, of.codes, event)
    return found


def _core(
    network: Network, node: LIF | Readout, of: Plan, senders: Mapping[str, Sender],
    depths: Mapping[Edge, int], widths: Widths, window: Window, steps: int, reloadable: bool,
) -> CoreImage:  # fmt: skip
    where, lif = f"node {node.name!r}", node if isinstance(node, LIF) else None
    channels, height, width = (*node.shape, 1, 1)[:3]
    words = height * width * of.local
    fit = min(channels, -(-channels * height * width // (MAX_WORDS * of.width)))
    require(words <= MAX_WORDS, where, f"membrane words in each of {of.lanes} lanes", words,
            f"at most {MAX_WORDS}; it takes at least {fit} lanes, or a smaller map")  # fmt: skip
    address_bits = max(bits_for(words), 1)
    into = network.into(node.name)
    arriving = arrivals(of.edges, [senders[edge.source].codes for edge in into], reloadable)
    packed = pack_lanes(where, arriving, of.codes, of.lanes, of.width, of.local, reloadable)
    memories = {}
    for index, synapses in enumerate(of.edges):
        tables = decoder_tables(synapses, of.local, address_bits)
        memories[f"table_y_{index}"], memories[f"table_x_{index}"] = tables
    memories["taps"] = tap_table(of.edges, of.local, address_bits)
    memories |= packed.memories
    constants = constant_tables(node, of.codes, of.columns, of.local)
    memories |= {f"constants_{column}": memory for column, memory in enumerate(constants)}
    edges = tuple(
        _edge_image(edge, senders[edge.source], arrival, depths[edge])
        for edge, arrival in zip(into, arriving, strict=True)
    )
    return CoreImage(
        node=node.name, kind="lif" if lif else "readout", shape=node.shape,
        lanes=of.lanes, channels_per_word=of.width, steps_per_pass=steps, local_channels=of.local,
        codes=of.codes, window=window, edges=edges,
        relative=packed.relative, row_lengths=packed.row_lengths,
        leak_mul=node.leak_mul, leak_shift=node.leak_shift,
        reset=lif.reset if lif else "none", clamp_bits=lif.membrane_bits if lif else 0,
        state_bits=widths.state_bits, acc_bits=widths.acc_bits, drive_bits=widths.drive_bits,
        memories=memories,
    )  # fmt: skip


def _edge_image(edge: Edge, sender: Sender, arrival: Arrival, depth: int) -> EdgeImage:
    return EdgeImage(
        source=sender.name, delay=edge.delay, depth=depth,
        direct=sender.direct, event=sender.event, value_signed=sender.signed,
        row_bits=arrival.synapses.row_bits,
        row_start=arrival.row_start, rows=arrival.rows,
    )  # fmt: skip
