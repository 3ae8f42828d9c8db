"""Runs an accelerator in Amaranth's own simulator: no tools, a few thousand cycles per second.

For small networks, tests of components and planted faults; `sim.verify` simulates the Verilog.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import ge

import numpy as np
from amaranth.sim import (
    Simulator,
    SimulatorContext,  # pyright: ignore[reportAttributeAccessIssue] (stub gap)
)
from numpy.typing import NDArray

from spikewright.golden.cycles.stalls import EXTRA, Stalls
from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.counters import COUNTERS, STRIDE, Counters
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.network.trace import Trace
from spikewright.hw.system.accelerator import Accelerator, stream_names
from spikewright.sim.harness.counters import READ_LAG, from_values
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.harness.visits import by_neuron, visit_order

PERIOD = 1e-8  # seconds; results do not depend on it
BEAT = ("valid", "last", "data")
_DRAIN = 300  # cycles after the last beat in which no beat may arrive
_READ = 2  # cycles to read a counter


@dataclass(frozen=True, eq=False)
class Run:
    """The result of a run.

    Attributes
    ----------
    trace
        Spikes, membranes and logits, in golden's form.
    counters
        The counters of every core, `counted` cycles after reset.
    logits
        int64 (batch, classes): the cycle in which each logit left; 0 is the first after reset.
    """

    trace: Trace
    counters: tuple[Counters, ...]
    logits: NDArray[np.int64]
    counted: int

    @property
    def cycles(self) -> int:
        """Cycles from reset until the last logit has left."""
        return int(self.logits[-1, -1]) + 1


@dataclass
class _Record:
    """The raw beats that the monitor saw; `names` are those of the checked streams."""

    names: tuple[str, ...]
    sweeps: list[list[tuple[int, int, int]]]
    logits: list[tuple[int, int, int]] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    cycles: int = 0


def simulate(
    image: Image, inputs: NDArray[np.generic], stall: float = 0.0, seed: int = 0, start: int = 1,
    deadline: int = 100_000,
) -> Run:  # fmt: skip
    """Runs a batch, back to back, with random stalls on every stream.

    Parameters
    ----------
    inputs
        Those of `golden.image.interpreter.run`.
    stall
        The share of cycles in which a stream is stalled (0..1): input, output, and between cores;
        drawn by `golden.cycles.stalls`.
    start
        The first cycle in which a beat is offered, at least 1.
    deadline
        Cycles after which the run counts as a deadlock.

    Raises
    ------
    CheckFailed
        If the logits do not arrive before the deadline, beats are missing or left over, or a stream
        violates the handshake.
    """
    accelerator = Accelerator(image)
    record = _Record(stream_names(image), [[] for _ in image.cores])
    expected = len(inputs) * image.cores[-1].shape[0]
    swept = [len(inputs) * image.timesteps * core.words for core in image.cores]
    gates = len(accelerator.hold)
    source = _Source(accelerator, input_beats(image, inputs).tolist(), start)
    held = Stalls.from_percent(round(100 * stall), seed).bits(gates - 1 + EXTRA)

    async def run_cycles(ctx: SimulatorContext) -> None:
        drain = _DRAIN
        while drain:
            if record.cycles > deadline:
                raise CheckFailed(
                    f"{len(record.logits)} of {expected} logits after {deadline} cycles"
                )
            bits = next(held)
            ctx.set(
                accelerator.hold, sum(int(bit) << gate for gate, bit in enumerate(bits[:gates]))
            )
            accepted = await _cycle(ctx, accelerator, record, ready=not bits[gates + 1])
            source.step(ctx, record.cycles, accepted, gap=bool(bits[gates]))
            beats = [len(sweeps) for sweeps in record.sweeps]
            drain -= len(record.logits) >= expected and all(map(ge, beats, swept))
        await _read_counters(ctx, accelerator, record)

    simulator = Simulator(accelerator)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(run_cycles)
    simulator.run()
    logits = np.array([beat[2] for beat in record.logits]).reshape(len(inputs), -1)
    trace = _trace(image, record, len(inputs))
    counters = from_values([core.node for core in image.cores], record.values)
    return Run(trace, tuple(_at_first_read(counters)), logits, record.cycles - READ_LAG)


class _Source:
    """The driver of the input, cycle by cycle the same as that of the Verilog bench."""

    def __init__(self, accelerator: Accelerator, beats: list[int], start: int) -> None:
        self.accelerator, self.start = accelerator, start
        self.beats, self.offers = iter(beats), False

    def step(self, ctx: SimulatorContext, cycle: int, accepted: bool, gap: bool) -> None:
        """Drives cycle `cycle`; `accepted`: the accelerator was ready in the one before."""
        if self.offers and not accepted:
            return
        beat = next(self.beats, None) if cycle >= self.start and not gap else None
        self.offers = beat is not None
        ctx.set(self.accelerator.in_valid, self.offers)
        if beat is not None:
            width = len(self.accelerator.in_data)
            ctx.set(self.accelerator.in_last, beat >> width)
            ctx.set(self.accelerator.in_data, beat & ((1 << width) - 1))


async def _cycle(
    ctx: SimulatorContext, accelerator: Accelerator, record: _Record, ready: bool
) -> bool:
    """The monitor: one clock cycle, recorded; True if the accelerator was ready for a beat."""
    cores = len(record.sweeps)
    ctx.set(accelerator.out_ready, ready)
    names = [
        f"trace_{i}_{name}"
        for i in range(cores)
        for name in ("valid", "address", "fired", "membranes")
    ]
    traced = [getattr(accelerator, name) for name in names]
    outputs = [getattr(accelerator, f"out_{name}") for name in BEAT]
    watched = (accelerator.in_ready, accelerator.broken, *outputs, *traced)
    _, _, accepted, broken, valid, last, data, *shown = await ctx.tick().sample(*watched)
    if broken:
        name = record.names[(broken & -broken).bit_length() - 1]
        raise CheckFailed(f"cycle {record.cycles}: stream {name!r} breaks the protocol")
    if valid and ready:
        record.logits.append((last, data, record.cycles))
    record.cycles += 1
    for core, (shows, *beat) in enumerate(zip(*[iter(shown)] * 4, strict=True)):
        if shows:
            record.sweeps[core].append((beat[0], beat[1], beat[2]))
    return bool(accepted)


async def _read_counters(ctx: SimulatorContext, accelerator: Accelerator, record: _Record) -> None:
    """Reads every counter, one after the other."""
    for select in range(STRIDE * len(record.sweeps)):
        ctx.set(accelerator.count_select, select)
        await ctx.tick().repeat(_READ)
        record.values.append(ctx.get(accelerator.count_value))


def _at_first_read(counters: Sequence[Counters]) -> Iterator[Counters]:
    """The counters in the cycle in which the first was read: since then all cores were idle."""
    idle_register = list(COUNTERS).index("idle") + 1
    for index, core in enumerate(counters):
        yield replace(core, idle=core.idle - _READ * (index * STRIDE + idle_register))


def _trace(image: Image, record: _Record, batch: int) -> Trace:
    spikes, membranes = {}, {}
    for core, beats in zip(image.cores, record.sweeps, strict=True):
        fired, membrane = _core_trace(core, beats, batch * image.passes)
        if core not in image.traced:
            continue
        shape = (batch, image.timesteps, *core.shape)
        membranes[core.node] = membrane.reshape(shape)
        if core.kind == "lif":
            spikes[core.node] = fired.reshape(shape)
    classes = image.cores[-1].shape[0]
    logits = np.zeros((batch, classes), np.int64)
    for beat, (last, data, _) in enumerate(record.logits):
        inference, nth = divmod(beat, classes)
        if last != (nth == classes - 1):
            raise CheckFailed(
                f"inference {inference}: out_last is {last} at logit {nth} of {classes}"
            )
        index = int(image.output_layout.unpack(data, "index"))
        logits[inference, index] = image.output_layout.unpack(data, "value", signed=True)
    return Trace(spikes, membranes, logits)


def _core_trace(
    core: CoreImage, beats: list[tuple[int, int, int]], passes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Spikes and membranes (steps, neurons) from the beats of a core's sweeps."""
    if [beat[0] for beat in beats] != visit_order(core).tolist() * passes:
        raise CheckFailed(f"core {core.node!r}: {len(beats)} words swept, or not in order")
    bits, columns = core.state_bits, range(core.columns)
    fired = np.array([[beat[1] >> column & 1 for column in columns] for beat in beats], np.uint8)
    value = np.array(
        [[beat[2] >> column * bits & (1 << bits) - 1 for column in columns] for beat in beats]
    )
    value -= value >> (bits - 1) << bits
    return by_neuron(core, fired), by_neuron(core, value)
