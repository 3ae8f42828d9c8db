"""The memory image: every table, row and constant that the accelerator executes, word by word.

The compiler makes it, hardware memories are filled from it, `golden.image.interpreter` executes it.
`golden.image.image_file` keeps it on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.bits import bits_for
from spikewright.golden.image.rows import Layout, Memory, Rows, read_rows
from spikewright.golden.image.timing import block
from spikewright.golden.network.nodes import Input


@dataclass(frozen=True, eq=False)
class InputImage:
    """The input: its name and shape, and the fields of its events.

    Attributes
    ----------
    direct
        One frame and one token per inference, not per step.
    event
        Fields `x`, `y`, `c` (the channel number), `value` (1 if absent) and, where a pass has
        several steps and the input is not direct, `steps`, the mask of the steps it belongs to.
    signed
        `value` is two's complement.
    """

    name: str
    shape: tuple[int, ...]
    direct: bool
    event: Layout
    signed: bool

    @property
    def sizes(self) -> dict[str, int]:
        """How many columns, rows and channels there are: what `x`, `y` and `c` stay below."""
        channels, rows, columns = (*self.shape, 1, 1)[:3]
        return {"x": columns, "y": rows, "c": channels}

    @property
    def full(self) -> bool:
        """Whether every pattern of the coordinates' bits is inside the map."""
        return all(size == 1 << self.event.bits(name) for name, size in self.sizes.items())

    @property
    def node(self) -> Input:
        """The network's input node, which checks what may enter."""
        bits = max(self.event.bits("value"), 1)
        return Input(
            self.name, self.shape, "direct" if self.direct else "events", bits, self.signed
        )


@dataclass(frozen=True, eq=False)
class EdgeImage:
    """One incoming edge of a core.

    An event of the sender owns row `row_start + (code << row_bits | position)`, where `position`
    is the sum of the `row` fields of the edge's two tables; `rows` of them belong to the edge.

    Attributes
    ----------
    source
        The node that sends.
    delay, depth
        1 if it carries the events of the previous step; the depth of its FIFO, 0 without one.
    direct
        Its frame comes in the first step of an inference and goes into the drive.
    event
        The fields of an event as the sender sends them; without `value` its value is 1.
    value_signed
        `value` is two's complement.
    """

    source: str
    delay: int
    depth: int
    direct: bool
    event: Layout
    value_signed: bool
    row_bits: int
    row_start: int
    rows: int


@dataclass(frozen=True, eq=False)
class CoreImage:
    """One core: the lanes that compute one node, and the decoder that feeds them.

    Membranes are stored in columns: lane l owns columns l * W .. l * W + W - 1, W being
    `channels_per_word`, and each of its words holds one neuron of each. So entries have W weights,
    and a local channel is a group of W channels. A neuron (channel, y, x) is in column
    `code & (2^column_bits - 1)` at address
    `(y * width + x) * local_channels + (code >> column_bits)`, where `code = codes[channel]`.

    A pass is the P = `steps_per_pass` time steps between two tokens. Their events come together,
    each with the mask of its steps, and are added into P slots of the membrane word.

    The sweep visits windows of `window` = (rows, columns) in raster order, partial ones at the
    border included; in a window every local channel, and for each channel the window's positions
    in raster order. Blocks of `golden.image.timing.block` words of this order are visited P times,
    once for every step of the pass. After the last visit of the last position of a whole window,
    the spikes of all columns are sent, each the OR over the window, lowest column first, with the
    window's y and x, and the mask of the steps in which it fired.

    Memories (`_e` per incoming edge, `_l` per lane)
        table_y_e, table_x_e: for every source row, column: `mask` of valid taps, `row` (under a
        stride the residue) and `base` (the quotient) to add. taps: edge after edge,
        for every kernel position (under a stride its quotient) the `offset` and the bit numbers
        `ky`, `kx` in the masks of its edge. pointers_l, entries_l: the weight rows of all
        edges, as `golden.image.rows` says.
    Memories (`_k` per column)
        constants_k: `threshold` and `bias` of every local channel.

    Attributes
    ----------
    relative
        Entries hold the distance to the previous entry instead of tap and channel.
    row_lengths
        By lane: the length that all its rows have, and then there is no `pointers_l`; or None.
    """

    node: str
    kind: Literal["lif", "readout"]
    shape: tuple[int, ...]
    lanes: int
    channels_per_word: int
    steps_per_pass: int
    local_channels: int
    codes: tuple[int, ...]
    window: tuple[int, int]
    edges: tuple[EdgeImage, ...]
    relative: bool
    row_lengths: tuple[int | None, ...]
    leak_mul: int
    leak_shift: int
    reset: Literal["subtract", "zero", "none"]
    clamp_bits: int
    state_bits: int
    acc_bits: int
    drive_bits: int
    memories: Mapping[str, Memory]

    @property
    def size(self) -> tuple[int, int, int]:
        """The node's shape as (channels, height, width)."""
        channels, height, width = (*self.shape, 1, 1)[:3]
        return channels, height, width

    @property
    def words(self) -> int:
        """Membrane words in each lane."""
        _, height, width = self.size
        return height * width * self.local_channels

    @property
    def address_bits(self) -> int:
        """Bits of a membrane address; at least 1."""
        return max(bits_for(self.words), 1)

    @property
    def columns(self) -> int:
        """Neurons that one address of all lanes holds, lane 0 lowest."""
        return self.lanes * self.channels_per_word

    @property
    def column_bits(self) -> int:
        """Bits of a column number, the low bits of a channel code."""
        return bits_for(self.columns)

    @property
    def code_bits(self) -> int:
        """Bits of a channel code."""
        return self.column_bits + bits_for(self.local_channels)

    @property
    def direct(self) -> bool:
        """Some edge is direct: a membrane word holds state and drive side by side."""
        return any(edge.direct for edge in self.edges)

    @property
    def framed(self) -> bool:
        """All edges are direct: one token per inference, after which all steps are swept."""
        return all(edge.direct for edge in self.edges)

    @property
    def value_bits(self) -> int:
        """Bits of the value that the lanes multiply with; 0 if every value is 1."""
        return max(edge.event.bits("value") for edge in self.edges)

    @property
    def value_signed(self) -> bool:
        """That value is two's complement."""
        return any(edge.value_signed for edge in self.edges)

    @property
    def sent(self) -> tuple[int, int]:
        """Rows and columns of the map that leaves the sweep: its whole windows."""
        _, height, width = self.size
        return height // self.window[0], width // self.window[1]

    @property
    def event(self) -> Layout:
        """The fields of an event as this core sends it; a readout's beats are logits."""
        return spike_layout(self.sent, self.code_bits, self.steps_per_pass)

    @property
    def slots(self) -> int:
        """Slots of a membrane word beside the state, which takes the events of the first step."""
        return 0 if self.framed else self.steps_per_pass - 1

    @property
    def held_bits(self) -> int:
        """Bits of the state in a membrane word, which takes events unless all edges are direct."""
        return self.state_bits if self.framed else self.acc_bits

    @property
    def word_bits(self) -> int:
        """Bits that a membrane word has for each of its neurons: state, direct drive, slots."""
        return self.held_bits + self.drive_bits * (self.direct + self.slots)

    @property
    def neurons(self) -> NDArray[np.int32]:
        """(columns, words): the flat C-order index of each neuron, or -1 for padding."""
        _, height, width = self.size
        table = np.full((self.columns, height * width, self.local_channels), -1, np.int32)
        positions = np.arange(height * width)
        for channel, code in enumerate(self.codes):
            column, local = code & ((1 << self.column_bits) - 1), code >> self.column_bits
            table[column, :, local] = channel * height * width + positions
        return table.reshape(self.columns, self.words)

    @property
    def row_count(self) -> int:
        """Row numbers of all edges."""
        return self.edges[-1].row_start + self.edges[-1].rows

    def rows(self, lane: int) -> Rows:
        """The weight rows of one lane, read from its memories."""
        return read_rows(
            self.memories.get(f"pointers_{lane}"), self.memories[f"entries_{lane}"],
            self.row_lengths[lane] or 0, bits_for(self.local_channels), self.relative,
            self.channels_per_word,
        )  # fmt: skip

    @property
    def order(self) -> NDArray[np.int64]:
        """(words,): the membrane addresses in the order in which a sweep visits them."""
        _, height, width = self.size
        (ky, kx), local = self.window, self.local_channels
        y, x, channel = np.indices((height, width, local)).reshape(3, -1)
        return np.lexsort((x % kx, y % ky, channel, x // kx, y // ky))

    @property
    def visit_bits(self) -> int:
        """Bits of a visit as the trace shows it: the step of the pass above the address."""
        return self.address_bits + bits_for(self.steps_per_pass)

    @property
    def visits(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(words * P,) each: the steps and the membrane addresses of a pass's visits, in order."""
        length = block(self.words, self.steps_per_pass)
        step, index = np.divmod(np.arange(self.steps_per_pass * self.words), self.words)
        order = np.lexsort((index, step, index // length))
        return step[order], self.order[index[order]]

    @property
    def memory_bits(self) -> dict[str, int]:
        """Storage in bits: weights (entries), pointers, membranes, and tables with constants."""
        total = {"weights": 0, "pointers": 0, "tables": 0}
        for name, memory in self.memories.items():
            key = {"entries": "weights", "pointers": "pointers"}.get(
                name.rsplit("_", 1)[0], "tables"
            )
            total[key] += memory.bits
        return total | {"membranes": self.columns * self.words * self.word_bits}


@dataclass(frozen=True, eq=False)
class Image:
    """All cores of an accelerator, in the order of the network's nodes; the last sends logits.

    `fingerprint` is that of the network it was compiled from. `counting`: the last core counts
    the spikes of the one before it, the network's output; the network has no such node.
    """

    timesteps: int
    input: InputImage
    cores: tuple[CoreImage, ...]
    fingerprint: str
    counting: bool = False

    @property
    def steps_per_pass(self) -> int:
        """Time steps between two tokens; every core has the same."""
        return self.cores[0].steps_per_pass

    @property
    def passes(self) -> int:
        """Passes of an inference."""
        return self.timesteps // self.steps_per_pass

    @property
    def traced(self) -> tuple[CoreImage, ...]:
        """The cores that are nodes of the network."""
        return self.cores[:-1] if self.counting else self.cores

    @property
    def output_layout(self) -> Layout:
        """The fields of one logit, as `out_data` carries them."""
        last = self.cores[-1]
        return Layout.of(index=max(bits_for(int(np.prod(last.shape))), 1), value=last.state_bits)


def spike_layout(size: tuple[int, int], code: int, steps: int) -> Layout:
    """The fields of a spike from a map of `size` (rows, columns), by its bits of channel code.

    `steps` is the mask of the steps of the pass in which the neuron fired; absent where a pass is
    one step.
    """
    down, along = size
    mask = steps if steps > 1 else 0
    return Layout.of(x=bits_for(along), y=bits_for(down), c=code, steps=mask)
