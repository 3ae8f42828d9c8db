"""The shell: registers, load stream and gates around the accelerator, in one clock."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.registers import Identity, hash_words, register
from spikewright.hw.hdl import Component, In, Out
from spikewright.hw.system.accelerator import LOAD, SELECT_BITS
from spikewright.hw.system.gates import InputGate, OutputGate
from spikewright.hw.system.loader import Loader
from spikewright.hw.system.registers import BUS, Registers

RESET_CYCLES = 4
"""Duration of a soft reset: the load bus in the cores, which has no reset, drains meanwhile."""


class Shell(Component):
    """Registers, loader and gates around the `accelerator` in `top`; it computes nothing.

    The cores' reset (`core_reset`, a register) is held after reset for `RESET_CYCLES`, by a soft
    reset, by a flush, in load mode, and as long as no network is loaded.

    Members
    -------
    awaddr ... rready
        The AXI4-Lite port.
    events_*, logits_* : valid, ready, last, data
        The streams of the host.
    load_* : valid, ready, last, data
        The load stream, in loadable builds.
    core_reset : Out(1)
    in_*, out_* : valid, ready, last, data
        The streams of the accelerator.
    bus_* : valid, memory, address, data
        Its load bus, in loadable builds.
    count_select, count_value, count_clear
        Its counters.
    """

    events_data: Signal
    logits_data: Signal
    core_reset: Signal
    count_select: Signal
    count_value: Signal
    count_clear: Signal

    def __init__(self, image: Image, identity: Identity) -> None:
        self.image, self.identity = image, identity
        self.registers = Registers(identity, SELECT_BITS)
        self.loader = Loader(image) if identity.loadable else None
        wide, narrow = max(image.input.event.width, 1), image.output_layout.width
        ports = {name: self.registers.signature.members[name] for name in BUS}
        ports |= _stream("events", In, wide) | _stream("in", Out, wide)
        ports |= _stream("logits", Out, narrow) | _stream("out", In, narrow)
        ports |= {"core_reset": Out(1, init=1)}
        ports |= {"count_select": Out(SELECT_BITS), "count_value": In(32), "count_clear": Out(1)}
        if self.loader:
            ports |= _stream("load", In, 32)
            ports |= {f"bus_{name}": self.loader.signature.members[f"bus_{name}"] for name in LOAD}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        """Registers control the gates."""
        m = Module()
        m.submodules.registers = registers = self.registers
        m.submodules.input = entry = InputGate.of(self.image)
        m.submodules.output = leave = OutputGate(len(self.logits_data))
        for name in BUS:
            mine, its = getattr(self, name), getattr(registers, name)
            inward = self.signature.members[name].flow == In
            m.d.comb += its.eq(mine) if inward else mine.eq(its)
        _join(m, self, "events", entry, "")
        _join(m, entry, "inner", self, "in")
        _join(m, self, "out", leave, "inner")
        _join(m, leave, "", self, "logits")
        loaded, failed = self._load(m)
        restart = self._reset(m, loaded)
        lost = Signal()
        m.d.comb += lost.eq(restart & (registers.status_busy | leave.begun))
        for gate in (entry, leave):
            m.d.comb += [gate.in_reset.eq(self.core_reset), gate.restart.eq(restart)]
        m.d.comb += [
            entry.enable.eq(registers.enable),
            entry.flush.eq(registers.flush),
            registers.errors.eq(Cat(failed, Const(0, 2), entry.dropped, lost, entry.rejected)),
            registers.count_value.eq(self.count_value),
            self.count_select.eq(registers.count_select),
            self.count_clear.eq(registers.clear),
        ]
        self._status(m, entry, leave, loaded, restart)
        return m

    def _load(self, m: Module) -> tuple[Any, Any]:
        """Whether a network is there, and what went wrong with the last one that came."""
        registers, loader = self.registers, self.loader
        if loader is None:
            words = hash_words(self.identity.network, register("NETWORK").count)
            whole = sum(word << 32 * index for index, word in enumerate(words))
            m.d.comb += registers.network.eq(whole)
            return Const(1), Const(0, 3)
        m.submodules.loader = loader
        _join(m, self, "load", loader, "")
        m.d.comb += [loader.open.eq(registers.load), registers.network.eq(loader.network)]
        m.d.comb += [
            getattr(self, f"bus_{name}").eq(getattr(loader, f"bus_{name}")) for name in LOAD
        ]
        return loader.loaded, Cat(loader.bad_header, loader.bad_length, loader.bad_hash)

    def _reset(self, m: Module, loaded: Any) -> Signal:
        """The cores' reset, and the pulse at the beginning of a soft one or of a flush."""
        registers = self.registers
        restart = Signal()
        flushed = Signal()
        reset_left = Signal(range(RESET_CYCLES + 1), init=RESET_CYCLES)
        m.d.sync += [
            reset_left.eq(
                Mux(registers.soft_reset, RESET_CYCLES, Mux(reset_left == 0, 0, reset_left - 1))
            ),
            self.core_reset.eq(
                registers.soft_reset
                | registers.flush
                | (reset_left != 0)
                | registers.load
                | ~loaded
            ),
            flushed.eq(registers.flush),
            restart.eq(registers.soft_reset | (registers.flush & ~flushed)),
        ]
        return restart

    def _status(
        self, m: Module, entry: InputGate, leave: OutputGate, loaded: Any, restart: Signal
    ) -> None:
        """The status registers, and the count of inferences under way."""
        registers = self.registers
        in_flight = Signal(16)
        completed = Signal(32)
        rejected = Signal(32)
        dropped = Signal(32)
        m.d.sync += [
            in_flight.eq(in_flight + entry.complete - leave.complete),
            completed.eq(completed + leave.complete),
            rejected.eq(rejected + entry.rejected),
            dropped.eq(dropped + entry.dropped),
        ]
        with m.If(restart):
            m.d.sync += in_flight.eq(0)
        with m.If(registers.clear):
            m.d.sync += [completed.eq(0), rejected.eq(0), dropped.eq(0)]
        m.d.comb += [
            registers.inferences.eq(completed),
            registers.rejected.eq(rejected),
            registers.dropped.eq(dropped),
            registers.status_running.eq(registers.enable & ~registers.load),
            registers.status_loaded.eq(loaded),
            registers.status_loading.eq(registers.load),
            registers.status_frame.eq(entry.begun),
            registers.status_dropping.eq(entry.dropping),
            registers.status_busy.eq((in_flight != 0) | (entry.begun & ~entry.dropping)),
            registers.status_offering.eq(leave.offering),
            registers.status_in_flight.eq(in_flight),
        ]


def _stream(name: str, flow: Any, bits: int) -> dict[str, Any]:
    """The ports of one stream whose valid has the direction `flow`."""
    back = Out if flow == In else In
    return {f"{name}_valid": flow(1), f"{name}_ready": back(1), f"{name}_last": flow(1),
            f"{name}_data": flow(bits)}  # fmt: skip


def _join(m: Module, sender: Any, source: str, receiver: Any, target: str) -> None:
    """Connect two streams by their prefixes."""

    def part(component: Any, prefix: str, name: str) -> Any:
        return getattr(component, f"{prefix}_{name}" if prefix else name)

    for name in ("valid", "last", "data"):
        m.d.comb += part(receiver, target, name).eq(part(sender, source, name))
    m.d.comb += part(sender, source, "ready").eq(part(receiver, target, "ready"))
