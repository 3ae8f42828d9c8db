"""The register block of `golden.image.registers` with its AXI4-Lite slave."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikewright.golden.image.counters import STRIDE
from spikewright.golden.image.registers import ADDRESS_BITS, ERRORS, Identity, Register, register
from spikewright.hw.hdl import Component, In, Out
from spikewright.hw.system.axilite import AxiLite

BUS = (
    "awaddr", "awprot", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp",
    "bvalid", "bready", "araddr", "arprot", "arvalid", "arready", "rdata", "rresp", "rvalid",
    "rready",
)  # fmt: skip
"""The signals of the AXI4-Lite port; inputs and outputs as in `hw.system.axilite`."""

STATUS = tuple(field.name for field in register("STATUS").fields)


class Registers(Component):
    """The registers of a build: identification, control, status, errors, counters.

    Unknown addresses and writes to read-only registers are answered with SLVERR. Requests to run
    without a loaded network, or to load while running, are refused and flagged. Latencies are those
    of `hw.system.axilite`.

    Members
    -------
    awaddr ... rready
        AXI4-Lite, see `hw.system.axilite`.
    enable, load, flush : Out(1)
        The control bits in force.
    soft_reset, clear : Out(1)
        Pulses of one cycle, in the cycle after the write.
    status_<field> : In
        One per field of STATUS.
    errors : In(one bit per field of ERRORS)
        A 1 sets the flag; refusals are detected here.
    network : In(256)
        The fingerprint, the NETWORK registers lowest first.
    inferences, rejected, dropped : In(32)
    count_select : Out, count_value : In
        The accelerator's counters; the value one cycle after its number.
    """

    enable: Signal
    load: Signal
    flush: Signal
    soft_reset: Signal
    clear: Signal
    status_running: Signal
    status_loaded: Signal
    status_loading: Signal
    status_frame: Signal
    status_dropping: Signal
    status_busy: Signal
    status_offering: Signal
    status_in_flight: Signal
    errors: Signal
    network: Signal
    inferences: Signal
    rejected: Signal
    dropped: Signal
    count_select: Signal
    count_value: Signal

    def __init__(self, identity: Identity, select_bits: int) -> None:
        self.identity = identity
        self.bus = AxiLite(ADDRESS_BITS)
        ports = {name: self.bus.signature.members[name] for name in BUS}
        ports |= {name: Out(1) for name in ("enable", "load", "flush", "soft_reset", "clear")}
        ports |= {f"status_{field.name}": In(field.width) for field in register("STATUS").fields}
        ports |= {
            "errors": In(len(ERRORS)),
            "network": In(32 * register("NETWORK").count),
            "inferences": In(32),
            "rejected": In(32),
            "dropped": In(32),
            "count_select": Out(select_bits),
            "count_value": In(32),
        }
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        """The bus, the writable registers, the read multiplexer."""
        m = Module()
        m.submodules.bus = bus = self.bus
        for name in BUS:
            port, inner = getattr(self, name), getattr(bus, name)
            inward = self.signature.members[name].flow == In
            m.d.comb += inner.eq(port) if inward else port.eq(inner)
        flags = Signal(len(ERRORS))
        values = self._values(flags)
        self._control(m, values["CONTROL"][0], flags)
        self._read(m, values)
        writable = [each for each in self.identity.registers() if each.access != "ro"]
        known = Cat(bus.write_word == each.offset // 4 for each in writable).any()
        m.d.comb += bus.write_fails.eq(~known)
        return m

    def _values(self, flags: Signal) -> dict[str, list[Value]]:
        """The read values of every register but the counters."""
        read_values: dict[str, list[Value]] = {
            name: [Const(value, 32) for value in values]
            for name, values in self.identity.values().items()
        }
        count = register("NETWORK").count
        read_values["NETWORK"] = [self.network.word_select(i, 32) for i in range(count)]
        control: dict[str, Value] = {"enable": self.enable, "load": self.load, "flush": self.flush}
        read_values["CONTROL"] = [_placed("CONTROL", control)]
        status = {name: getattr(self, f"status_{name}") for name in STATUS}
        read_values["STATUS"] = [_placed("STATUS", status)]
        read_values["ERRORS"] = [flags]
        read_values["INFERENCES"] = [self.inferences]
        read_values["REJECTED"], read_values["DROPPED"] = [self.rejected], [self.dropped]
        return read_values

    def _hit(self, each: Register) -> Value:
        """Whether the register is written in this cycle."""
        return self.bus.write & (self.bus.write_word == each.offset // 4)

    def _control(self, m: Module, now: Value, flags: Signal) -> None:
        """Apply the allowed part of a write to CONTROL, and flag the rest."""
        bus, control = self.bus, register("CONTROL")
        # A build without initial contents has no network to run.
        enable = Signal(init=int(not self.identity.loadable))
        load = Signal()
        refused = Signal(len(ERRORS))
        asked = Signal(32)
        m.d.comb += [self.enable.eq(enable), self.load.eq(load)]
        m.d.comb += asked.eq((now & ~bus.write_mask) | (bus.write_data & bus.write_mask))
        wants = {field.name: asked[field.low] for field in control.fields}
        stopped = load | (~enable & ~self.status_busy)
        may_load = Signal()
        may_run = Signal()
        m.d.comb += may_load.eq(wants["load"] & stopped & self.identity.loadable)
        m.d.comb += may_run.eq(wants["enable"] & self.status_loaded & ~may_load)
        hit = self._hit(control)
        m.d.sync += [self.soft_reset.eq(hit & wants["soft_reset"]),
                     self.clear.eq(hit & wants["clear_counters"])]  # fmt: skip
        bit_of = {field.name: field.low for field in ERRORS}
        with m.If(hit):
            m.d.sync += [enable.eq(may_run), load.eq(may_load), self.flush.eq(wants["flush"])]
            m.d.comb += [
                refused[bit_of["load_refused"]].eq(wants["load"] & ~may_load),
                refused[bit_of["start_refused"]].eq(wants["enable"] & ~may_run),
            ]
        cleared = Mux(self._hit(register("ERRORS")), bus.write_data & bus.write_mask, 0)
        m.d.sync += flags.eq((flags & ~cleared[: len(flags)]) | self.errors | refused)

    def _read(self, m: Module, values: dict[str, list[Value]]) -> None:
        """A multiplexer and one register; unknown addresses read 0 with SLVERR."""
        bus, high = self.bus, len(self.count_select)
        word = Signal(32)
        fails = Signal()
        m.d.comb += [fails.eq(1), self.count_select.eq(bus.read_word)]
        with m.Switch(bus.read_word):
            for name, each in values.items():
                for index, value in enumerate(each):
                    with m.Case(register(name).offset // 4 + index):
                        m.d.comb += [word.eq(value), fails.eq(0)]
        if self.identity.counters:
            page = register("COUNTERS").offset // 4 >> high
            assert page << high == register("COUNTERS").offset // 4
            inside = self.count_select < self.identity.cores * STRIDE
            with m.If((bus.read_word[high:] == page) & inside):
                m.d.comb += [word.eq(self.count_value), fails.eq(0)]
        m.d.sync += [bus.read_data.eq(word), bus.read_fails.eq(fails)]


def _placed(name: str, fields: dict[str, Value]) -> Value:
    """The register's value from its fields; gaps, and pulses, read 0."""
    whole: Value = Const(0, 32)
    for field in register(name).fields:
        if field.name in fields:
            whole = whole | (fields[field.name] << field.low)
    return whole[:32]
