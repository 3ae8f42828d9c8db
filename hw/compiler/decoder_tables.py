"""Memories that hold geometry and constants: decoder tables, taps, thresholds and biases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikewright.golden.bits import bits_for, signed_bits
from spikewright.golden.image.rows import Layout, Memory
from spikewright.golden.network.nodes import LIF, Readout
from spikewright.hw.compiler.lower import Synapses


def decoder_tables(synapses: Synapses, local: int, address_bits: int) -> tuple[Memory, Memory]:
    """The tables indexed by an event's y and x: valid taps, part of row number and base."""
    tables: list[Memory] = []
    for axis, step in enumerate((synapses.target[1] * local, local)):
        mask, row, target = synapses.axis(axis)
        layout = Layout.of(mask=synapses.grid[axis], row=synapses.row_bits, base=address_bits)
        tables.append(Memory(layout, layout.pack(mask=mask, row=row, base=target * step)))
    return tables[0], tables[1]


def tap_table(edges: Sequence[Synapses], local: int, address_bits: int) -> Memory:
    """For all taps of a core, edge by edge: the offset to the base, and the mask bits."""
    parts: list[np.ndarray] = []
    for synapses in edges:
        down, along = (k.reshape(-1) for k in np.indices(synapses.grid))
        # A tap leads back from the window's base.
        offset = -(down * synapses.target[1] + along) * local
        parts.append(np.stack((offset, down, along)))
    offset, ky, kx = np.concatenate(parts, axis=1)
    grids = [synapses.grid for synapses in edges]
    layout = Layout.of(
        offset=address_bits,
        ky=bits_for(max(rows for rows, _ in grids)),
        kx=bits_for(max(columns for _, columns in grids)),
    )
    return Memory(layout, layout.pack(offset=offset, ky=ky, kx=kx))


def constant_tables(
    node: LIF | Readout, codes: tuple[int, ...], columns: int, local: int
) -> list[Memory]:
    """Threshold and bias of every local channel, by column; a padding channel can never fire."""
    bias = np.zeros((columns, local), np.int64)
    threshold = np.ones((columns, local), np.int64)
    local_channel, column = np.divmod(np.array(codes), 1 << bits_for(columns))
    lif = isinstance(node, LIF)
    bias[column, local_channel] = node.bias
    threshold[column, local_channel] = node.threshold if lif else 0
    layout = Layout.of(
        threshold=int(threshold.max()).bit_length() if lif else 0,
        bias=signed_bits(int(bias.min()), int(bias.max())),
    )
    packed = layout.pack(threshold=threshold, bias=bias)
    return [Memory(layout, words) for words in packed]
