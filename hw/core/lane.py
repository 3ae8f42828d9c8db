"""A lane: a slice of a node's channels, with the rows, membranes and constants that they need."""

from amaranth.hdl import Cat, Module, Signal

from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.fetch import Fetch
from spikewright.hw.core.lif import Neuron
from spikewright.hw.core.membrane import Membrane, sweep_layout
from spikewright.hw.core.walker import Walker
from spikewright.hw.hdl import Component, In, Out, View, connect
from spikewright.hw.ram import LoadBus
from spikewright.hw.shapes import request_layout, struct
from spikewright.hw.streams.monitor import Monitor


class Lane(Component):
    """One entry per cycle: request FIFO and pointers, row walker, membrane memories, W neurons.

    Nothing here waits for another lane within a step: requests arrive without back-pressure as
    `room` falls early enough, and additions never stall. At the token the lane stops (`waiting`);
    the core then sweeps all lanes together and releases them (`resume`). Latency: `hw.core.fetch`,
    then `hw.core.walker`, then `hw.core.membrane`. Bit-exact with one lane of
    `golden.image.interpreter`.

    Members
    -------
    request, valid : In
        The decoder's broadcast.
    room, waiting, busy : Out(1)
    broken : Out(1)
        For verification: the stream of rows breaks a handshake rule (`hw.streams.monitor`).
    synapse : Out(1)
        An addition enters the membrane pipeline in this cycle (for counting).
    resume : In(1)
        The sweep is over.
    sweep : In(`sweep_layout`), restart : In(1), write, write_last : In(1), write_address : In
        The common sweep; `restart` belongs to it `golden.image.timing.SWEEP` cycles later, the
        write one cycle after that. `write_last`: at the last step of the pass, so that slots
        are cleared.
    fired, membranes : Out
        Of the W columns, `golden.image.timing.RESULT` + 1 cycles after `sweep`.
    """

    request: View
    valid: Signal
    room: Signal
    waiting: Signal
    busy: Signal
    broken: Signal
    synapse: Signal
    resume: Signal
    sweep: View
    restart: Signal
    write: Signal
    write_last: Signal
    write_address: Signal
    fired: Signal
    membranes: Signal

    def __init__(self, core: CoreImage, lane: int, load: LoadBus | None = None) -> None:
        self.core, self.lane, self.load = core, lane, load
        super().__init__({
            "request": In(struct(request_layout(core))),
            "valid": In(1),
            "room": Out(1),
            "waiting": Out(1),
            "busy": Out(1),
            "broken": Out(1),
            "synapse": Out(1),
            "resume": In(1),
            "sweep": In(sweep_layout(core)),
            "restart": In(1),
            "write": In(1),
            "write_last": In(1),
            "write_address": In(core.address_bits),
            "fired": Out(core.channels_per_word),
            "membranes": Out(core.channels_per_word * core.state_bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Wires only."""
        m = Module()
        m.submodules.fetch = fetch = Fetch(self.core, self.lane, self.load)
        m.submodules.walker = walker = Walker(self.core, self.lane, self.load)
        m.submodules.membranes = membrane = Membrane(
            self.core, self.lane, walker.operand, self.load
        )
        m.submodules.monitor = monitor = Monitor(fetch.rows.payload.shape())
        connect(m, fetch.rows, walker.rows)
        m.d.comb += [
            fetch.request.eq(self.request),
            fetch.valid.eq(self.valid),
            self.room.eq(fetch.room),
            monitor.valid.eq(fetch.rows.valid),
            monitor.ready.eq(fetch.rows.ready),
            monitor.payload.eq(fetch.rows.payload),
            self.broken.eq(monitor.broken),
            walker.resume.eq(self.resume),
            self.waiting.eq(walker.waiting),
            self.busy.eq(walker.busy),
            self.synapse.eq(walker.valid),
            membrane.valid.eq(walker.valid),
            membrane.address.eq(walker.address),
            membrane.operands.eq(walker.operands),
            membrane.direct.eq(walker.direct),
            membrane.sweep.eq(self.sweep),
            membrane.write.eq(self.write),
            membrane.write_address.eq(self.write_address),
            membrane.clear_slots.eq(self.write_last),
        ]
        if self.core.slots:
            m.d.comb += membrane.steps.eq(walker.steps)
        m.d.sync += membrane.clear_drives.eq(self.restart)
        neurons = [Neuron(self.core) for _ in range(self.core.channels_per_word)]
        for column, neuron in enumerate(neurons):
            m.submodules[f"neuron_{column}"] = neuron
            m.d.comb += [
                neuron.summed.eq(membrane.summed[column]),
                neuron.drive.eq(membrane.drives[column]),
                neuron.threshold.eq(membrane.thresholds[column]),
                neuron.restart.eq(self.restart),
                membrane.write_states[column].eq(neuron.word),
            ]
        m.d.comb += [
            self.fired.eq(Cat(neuron.fired for neuron in neurons)),
            self.membranes.eq(Cat(neuron.membrane for neuron in neurons)),
        ]
        return m
