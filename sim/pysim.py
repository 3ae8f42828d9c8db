"""Runs an accelerator in Amaranth's own simulator: no tools, a few thousand cycles per second.

For small networks, tests of parts and planted faults; `sim.verify` simulates the Verilog.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
from amaranth.sim import (
    Simulator,
    SimulatorContext,  # pyright: ignore[reportAttributeAccessIssue] (stub gap)
)
from numpy.typing import NDArray

from golden.counters import COUNTERS, STRIDE, Counters
from golden.errors import CheckFailed
from golden.image import CoreImage, Image
from golden.trace import Trace
from hw.accelerator import Accelerator, stream_names
from sim.counters import from_values
from sim.stimulus import input_beats
from sim.visits import by_neuron, due

PERIOD = 1e-8  # seconds; any number does
BEAT = ("valid", "last", "data")


@dataclass(frozen=True, eq=False)
class Run:
    """What a run showed: trace, counters of every core, and the cycles until the last logit."""

    trace: Trace
    counters: tuple[Counters, ...]
    cycles: int


@dataclass
class _Record:
    """Raw beats as they come; `names` of the streams that are watched."""

    names: tuple[str, ...]
    sweeps: list[list[tuple[int, int, int]]]
    logits: list[tuple[int, int]] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    cycles: int = 0


def simulate(
    image: Image, inputs: NDArray[np.generic], stall: float = 0.0, seed: int = 0,
    deadline: int = 100_000,
) -> Run:  # fmt: skip
    """Run a batch, back to back, with every stream held at random.

    Parameters
    ----------
    inputs
        As `golden.interpreter.run` takes them.
    stall
        The probability with which a stream is held in a cycle: input, output, and between cores.
    deadline
        Cycles after which the run counts as hung.

    Raises
    ------
    CheckFailed
        If the logits do not come in time, beats are missing or left over, or a stream breaks a
        rule.
    """
    accelerator = Accelerator(image)
    record = _Record(stream_names(image), [[] for _ in image.cores])
    rng = random.Random(seed)
    wanted = len(inputs) * image.cores[-1].shape[0]

    async def drive(ctx: SimulatorContext) -> None:
        width = max(image.input.event.width, 1)
        for beat in input_beats(image, inputs).tolist():
            while rng.random() < stall:
                await ctx.tick()
            ctx.set(accelerator.in_valid, 1)
            ctx.set(accelerator.in_last, beat >> width)
            ctx.set(accelerator.in_data, beat & ((1 << width) - 1))
            await ctx.tick().until(accelerator.in_ready)
            ctx.set(accelerator.in_valid, 0)

    async def watch(ctx: SimulatorContext) -> None:
        while len(record.logits) < wanted:
            await _cycle(ctx, accelerator, record, rng, stall)
            if record.cycles > deadline:
                raise CheckFailed(
                    f"{len(record.logits)} of {wanted} logits after {deadline} cycles"
                )
        await _read_counters(ctx, accelerator, record)

    simulator = Simulator(accelerator)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(drive, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    counters = from_values([core.node for core in image.cores], record.values)
    return Run(_trace(image, record, len(inputs)), counters, record.cycles)


async def _cycle(
    ctx: SimulatorContext,
    accelerator: Accelerator,
    record: _Record,
    rng: random.Random,
    stall: float,
) -> None:
    """One clock: draw the holds, keep what the edge shows."""
    cores = len(record.sweeps)
    ready = rng.random() >= stall
    ctx.set(accelerator.out_ready, ready)
    gates = range(len(accelerator.hold))
    ctx.set(accelerator.hold, sum((rng.random() < stall) << gate for gate in gates))
    names = [
        f"trace_{i}_{name}"
        for i in range(cores)
        for name in ("valid", "address", "fired", "membranes")
    ]
    traced = [getattr(accelerator, name) for name in names]
    outputs = (accelerator.broken, *(getattr(accelerator, f"out_{name}") for name in BEAT))
    _, _, broken, valid, last, data, *shown = await ctx.tick().sample(*outputs, *traced)
    if broken:
        name = record.names[(broken & -broken).bit_length() - 1]
        raise CheckFailed(f"cycle {record.cycles}: stream {name!r} breaks the protocol")
    record.cycles += 1
    if valid and ready:
        record.logits.append((last, data))
    for core, (shows, *beat) in enumerate(zip(*[iter(shown)] * 4, strict=True)):
        if shows:
            record.sweeps[core].append((beat[0], beat[1], beat[2]))


async def _read_counters(ctx: SimulatorContext, accelerator: Accelerator, record: _Record) -> None:
    """Every counter, when the last increments have arrived."""
    await ctx.tick().repeat(3)
    for select in range(STRIDE * len(record.sweeps)):
        if select % STRIDE < len(COUNTERS):
            ctx.set(accelerator.count_select, select)
            await ctx.tick().repeat(2)
            record.values.append(ctx.get(accelerator.count_value))


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
    for place, (last, data) in enumerate(record.logits):
        inference, nth = divmod(place, classes)
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
    if [beat[0] for beat in beats] != due(core).tolist() * passes:
        raise CheckFailed(f"core {core.node!r}: {len(beats)} words swept, or not in order")
    bits, columns = core.state_bits, range(core.columns)
    fired = np.array([[beat[1] >> column & 1 for column in columns] for beat in beats], np.uint8)
    value = np.array(
        [[beat[2] >> column * bits & (1 << bits) - 1 for column in columns] for beat in beats]
    )
    value -= value >> (bits - 1) << bits
    return by_neuron(core, fired), by_neuron(core, value)
