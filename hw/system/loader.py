"""The load stream's receiver: header, memories, checksum; see `golden.image.load_stream`."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib.crc.catalog import (  # pyright: ignore[reportMissingTypeStubs] (stub gap)
    CRC32_ETHERNET,
)

from spikewright.golden.bits import bits_for
from spikewright.golden.image.load_stream import (
    HEADER,
    MAGIC,
    body_words,
    memories,
    parts,
    shape_hash,
)
from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.registers import FINGERPRINT_WORDS, SHAPE_WORDS, hash_words
from spikewright.golden.image.rows import Memory
from spikewright.hw.hdl import Component, In, Out, like
from spikewright.hw.ram import LoadBus


class State(IntEnum):
    """The meaning of the next word of the stream; SKIP: the rest of a rejected stream."""

    HEADER = 0
    MEMORY = 1
    DEPTH = 2
    WORDS = 3
    CHECKSUM = 4
    SKIP = 5


class Loader(Component):
    """Writes the memories of a build of one shape from a stream of 32-bit words.

    One word per cycle; `ready` depends on registers only. A header of another kind or shape writes
    nothing and keeps the loaded network. From the fingerprint on no network is loaded, until the
    last word has arrived with `last` and matches the CRC. A faulty stream is skipped up to `last`,
    and flagged once. Inverse of `golden.image.load_stream.load_words`.

    Members
    -------
    valid, ready, last, data
        The load stream, accepted in load mode only.
    open : In(1)
        Load mode. When it ends inside a stream, the stream counts as cut short; its rest is
        skipped in the next load mode.
    loaded : Out(1)
        The memories hold a complete network.
    network : Out(256)
        Its fingerprint in the order of the registers; 0 while not `loaded`.
    bad_header, bad_length, bad_hash : Out(1)
        Pulses: the fault.
    bus_valid, bus_memory, bus_address, bus_data : Out
        See `hw.ram.LoadBus`; registers.
    """

    valid: Signal
    ready: Signal
    last: Signal
    data: Signal
    open: Signal
    loaded: Signal
    network: Signal
    bad_header: Signal
    bad_length: Signal
    bad_hash: Signal
    bus_valid: Signal
    bus_memory: Signal
    bus_address: Signal
    bus_data: Signal

    def __init__(self, image: Image) -> None:
        self.image = image
        bus = LoadBus(image)
        super().__init__({
            "valid": In(1), "ready": Out(1), "last": In(1), "data": In(32),
            "open": In(1), "loaded": Out(1), "network": Out(32 * FINGERPRINT_WORDS),
            "bad_header": Out(1), "bad_length": Out(1), "bad_hash": Out(1),
            "bus_valid": Out(1), "bus_memory": Out(bus.memory.shape()),
            "bus_address": Out(bus.address.shape()), "bus_data": Out(bus.data.shape()),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Header, number and depth of a memory, its words, the checksum; or skip to the end."""
        m = Module()
        listed = [memory for _, memory in memories(self.image)]
        state = Signal(State)
        count = Signal(range(HEADER))
        address = like(self.bus_address)
        number = like(self.bus_memory)
        part = Signal(range(max(*map(parts, listed), 2)))
        taken = Signal()
        was_open = Signal()
        hash_ = like(self.network)
        m.d.comb += self.network.eq(Mux(self.loaded, hash_, 0))
        m.d.comb += [self.ready.eq(self.open), taken.eq(self.valid & self.ready)]
        crc: Any = CRC32_ETHERNET(data_width=32).create()
        m.submodules.crc = crc
        m.d.comb += [crc.data.eq(self.data), crc.valid.eq(taken)]
        m.d.comb += crc.start.eq((state == State.HEADER) & (count == 0))
        m.d.sync += [was_open.eq(self.open), self.bus_valid.eq(0)]
        first = Array(Const(i | parts(each) << 16, 32) for i, each in enumerate(listed))
        depths = Array(Const(len(each.words), 32) for each in listed)

        with m.If(taken), m.Switch(state):
            with m.Case(State.HEADER):
                m.d.sync += [number.eq(0), part.eq(0), address.eq(0)]
                self._header(m, state, count, hash_)
            with m.Case(State.MEMORY):
                self._go_on(m, state, self.data == first[number], State.DEPTH)
            with m.Case(State.DEPTH):
                self._go_on(m, state, self.data == depths[number], State.WORDS)
            with m.Case(State.WORDS):
                self._word(m, listed, part, address, number)
                full = self._last_part(listed, part, number) & (address == depths[number] - 1)
                with m.If(full & (number == len(listed) - 1)):
                    self._go_on(m, state, Const(1), State.CHECKSUM)
                with m.Else():
                    self._go_on(m, state, Const(1), Mux(full, State.MEMORY, State.WORDS))
            with m.Case(State.CHECKSUM):
                with m.If(~self.last):
                    m.d.comb += self.bad_length.eq(1)
                with m.Elif(self.data != crc.crc):
                    m.d.comb += self.bad_hash.eq(1)
                with m.Else():
                    m.d.sync += self.loaded.eq(1)
                m.d.sync += state.eq(Mux(self.last, State.HEADER, State.SKIP))
            with m.Case(State.SKIP), m.If(self.last):
                m.d.sync += state.eq(State.HEADER)
        begun = (state != State.HEADER) | (count != 0)
        with m.If(was_open & ~self.open & begun & (state != State.SKIP)):
            m.d.comb += self.bad_length.eq(1)
            m.d.sync += [state.eq(State.SKIP), count.eq(0)]
        return m

    def _go_on(self, m: Module, state: Signal, right: Value, onward: ValueLike) -> None:
        """Go to the next state, unless this word is wrong or the stream ends with it."""
        m.d.sync += state.eq(onward)
        with m.If(~right):
            m.d.comb += self.bad_header.eq(1)
            m.d.sync += state.eq(State.SKIP)
        with m.Elif(self.last):
            m.d.comb += self.bad_length.eq(1)
        with m.If(self.last):
            m.d.sync += state.eq(State.HEADER)

    def _header(self, m: Module, state: Signal, count: Signal, hash_: Signal) -> None:
        """The fixed words of the header, then the fingerprint."""
        shape = hash_words(shape_hash(self.image), SHAPE_WORDS)
        must = [Const(word, 32) for word in (MAGIC, *shape, body_words(self.image))]
        fixed = Signal()
        done = Signal()
        m.d.comb += [fixed.eq(count < len(must)), done.eq(count == HEADER - 1)]
        right = ~fixed | (self.data == Array(must)[count[: bits_for(len(must))]])
        with m.If(~fixed):
            m.d.sync += [hash_.eq(Cat(hash_[32:], self.data)), self.loaded.eq(0)]
        m.d.sync += count.eq(Mux(done | ~right | self.last, 0, count + 1))
        self._go_on(m, state, right, Mux(done, State.MEMORY, State.HEADER))

    def _last_part(self, listed: Sequence[Memory], part: Signal, number: Signal) -> Value:
        """Whether the word of the stream completes a memory word."""
        return part == Array(parts(memory) - 1 for memory in listed)[number]

    def _word(
        self, m: Module, listed: Sequence[Memory], part: Signal, address: Signal, number: Signal
    ) -> None:
        """Gather the parts of a word, send it to its memory, count words and memories."""
        width = len(self.bus_data)
        for index in range(max(map(parts, listed))):
            with m.If(part == index):
                piece = self.bus_data[32 * index : min(32 * index + 32, width)]
                m.d.sync += piece.eq(self.data)
        m.d.sync += [part.eq(part + 1), self.bus_memory.eq(number), self.bus_address.eq(address)]
        with m.If(self._last_part(listed, part, number)):
            m.d.sync += [part.eq(0), self.bus_valid.eq(1), address.eq(address + 1)]
            with m.If(address == Array(len(memory.words) - 1 for memory in listed)[number]):
                m.d.sync += [address.eq(0), number.eq(number + 1)]
