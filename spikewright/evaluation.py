"""A network on the golden models: its traces, its accuracy, and that both models agree."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.atomic import require_writable
from spikewright.golden.equality_chain import (
    BATCH,
    Progress,
    Recorder,
    engine_program,
    follow,
    reference_program,
)
from spikewright.golden.footprint import Footprint
from spikewright.golden.image.image_file import load_image
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import engine
from spikewright.golden.network import file, operations
from spikewright.golden.network.graph import Network
from spikewright.golden.network.trace import Trace
from spikewright.golden.processes.locks import reading
from spikewright.layout import BuildFolder, write_bytes
from spikewright.results.base import facts, layer_work
from spikewright.results.models import Evaluation, compared
from spikewright.results.stuck import rates_of, stuck_layers
from spikewright.stimulus import InputChoice, Stimulus, choose_stimulus


def run(network: Network, inputs: NDArray[np.generic]) -> Trace:
    """Run `inputs` through the golden engine.

    Parameters
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.

    Returns
    -------
    Trace
        `spikes[name]` uint8 and `membranes[name]` int64, each (batch, timesteps, *shape); `logits`
        int64 (batch, classes).

    Raises
    ------
    BadInput
        If the inputs do not fit the network.
    """
    return engine.run(network, inputs)


def evaluate(
    network: Network | str | Path, stimulus: Stimulus | None = None, compare: int = 100,
    trace_file: str | Path | None = None, progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """Measure a network on the golden models: its accuracy, and that they agree in every value.

    Parameters
    ----------
    network
        A network, its file, or a build folder, for which the cycles are predicted too.
    stimulus
        None takes what a build folder keeps; of a network, test images of its data set, or 100
        random inputs without one.
    compare
        On how many of them, at most, reference and engine are compared value by value.
    trace_file
        An `.npz` file to write these images' spikes, membranes and logits to.
    progress
        Called with images compared, images in all, and words.

    Raises
    ------
    BadInput
        If network or folder cannot be read, inputs or labels do not fit, the file cannot be
        written, or the run takes more memory than `golden.footprint.allowed`.
    """
    image = None
    if trace_file is not None:
        require_writable(trace_file)  # before the work
    if not isinstance(network, Network):
        path = Path(network)
        with reading(path):
            network, image = open_network(path)
            stimulus = stimulus or inputs_of(path, network, InputChoice())
    stimulus = stimulus or choose_stimulus(network)
    stimulus.require_fit(network)
    part = stimulus.first(min(compare, len(stimulus)))
    footprint = Footprint.of_comparison(network, membranes=trace_file is not None)
    batch = footprint.batch(len(part), BATCH)
    logits = engine.logits(network, stimulus.inputs)
    frames = network.check_inputs(part.inputs)
    recorder = Recorder("engine", membranes=trace_file is not None)
    programs = (reference_program(network, frames), engine_program(network, frames))
    equality = follow(programs, len(frames), recorder, progress, batch)
    trace = recorder.trace
    counts = operations.count(network, frames, trace)
    if trace_file:
        _save_trace(Path(trace_file), trace)
    return Evaluation(
        **facts(network), **compared(equality, equality.links[-1]), stimulus=stimulus.source,
        accuracy=stimulus.accuracy(logits), accuracy_images=stimulus.labelled, images=len(part),
        mismatches=equality.mismatches, first_mismatch=equality.first,
        synops=counts.synops_per_inference, spike_rate=counts.spike_rate, zeta=counts.zeta,
        layers=layer_work(counts), stuck_layers=stuck_layers(rates_of(counts)),
        **_predicted(image, frames, trace),
    )  # fmt: skip


def open_network(path: Path) -> tuple[Network, Image | None]:
    """The network of a file; of a build folder its memory image too.

    Raises
    ------
    BadInput
        If it is no network file and no finished build, or a build that is being written.
    """
    if not path.is_dir():
        return file.load(path), None
    folder = BuildFolder(path)
    with reading(path):
        folder.require_built()
        return file.load(folder.network), load_image(path)


def inputs_of(path: Path, network: Network, choice: InputChoice) -> Stimulus:
    """What is chosen for `network`, which is that of a file or a build folder `path`."""
    return choice.of_folder(BuildFolder(path), network) if path.is_dir() else choice.of(network)


def _predicted(image: Image | None, inputs: NDArray[np.int64], trace: Trace) -> dict[str, Any]:
    """Cycles and utilization of these inputs in the accelerator of `image`; none without one."""
    if image is None or not len(inputs):
        return {}
    from spikewright.golden.cycles.prediction import Source, predict

    # As `verify` runs it: the first beat is offered in the seventh cycle after the reset.
    prediction = predict(image, inputs, trace, Source(start=7))
    lane_cycles = sum(core.lanes for core in image.cores) * prediction.busy_cycles
    return {
        "cycles_per_inference": prediction.cycles_per_inference,
        "latency_cycles": prediction.latency_cycles,
        "utilization": sum(core.synops for core in prediction.cores) / lane_cycles,
    }


def _save_trace(path: Path, trace: Trace) -> None:
    arrays = {f"spikes.{name}": values for name, values in trace.spikes.items()}
    arrays |= {f"membranes.{name}": values for name, values in trace.membranes.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, logits=trace.logits)  # pyright: ignore[reportArgumentType]
    write_bytes(path, buffer.getvalue())
