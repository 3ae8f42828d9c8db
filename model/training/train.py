"""The training loop: from a recipe to an integer network, resumable at any moment.

`FOLDER/checkpoint.pt` is written after every epoch. Whatever stops a run, the same call goes on
from there, and the final network file is, byte for byte, that of a run that was never stopped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils import deterministic

from spikewright.golden.atomic import made, write_bytes
from spikewright.golden.errors import CheckFailed, require
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.model.data.batches import evenly_spaced
from spikewright.model.equality import check_logits, check_trace
from spikewright.model.export import dead_channels, export
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.runtime import distributed, torchrun
from spikewright.model.runtime.device import exact_on, select_device
from spikewright.model.runtime.memory import keep_freed_memory
from spikewright.model.training import checkpoint, stage_reuse
from spikewright.model.training.activity import measure
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.ratios import ratios, spikes_per_neuron
from spikewright.model.training.run import Run
from spikewright.model.training.trainer import History

NETWORK_NAME = "network.safetensors"
HISTORY_NAME = "history.json"
CHECKED_IMAGES = 16


@dataclass(frozen=True)
class Progress:
    """Where a run is: called after every few steps, and after every epoch with its validation."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    density: float
    validation_accuracy: float | None
    seconds: float


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a finished run leaves; `history` has an entry per epoch, `summary` is in the file."""

    network: Network
    network_path: Path
    validation_accuracy: float
    test_accuracy: float
    history: History
    summary: dict[str, Any]


@contextmanager
def exact_settings(threads: int) -> Iterator[None]:
    """Same numbers on every run: deterministic kernels, full float32, a fixed number of threads.

    Memory is not filled before use, as torch would do to find errors: that only costs time.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined] (stub gap)
    )
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] (stub gap)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_float32_matmul_precision(before[1])
        torch.set_num_threads(before[2])
        deterministic.fill_uninitialized_memory = before[3]  # type: ignore[attr-defined] (stub gap)


def train(
    recipe: Recipe,
    folder: str | Path,
    data_root: str | Path | None = None,
    progress: ProgressCallback | None = None,
    others: Sequence[Path] = (),
    device: str = "cpu",
    restart: bool = False,
) -> TrainResult:
    """Train `recipe`, or go on where an earlier call stopped, and write the network into `folder`.

    Writes `network.safetensors`, `history.json` and, after every epoch, `checkpoint.pt`. A run that
    had finished is only scored again. A checkpoint of one device goes on on any other.

    Called in every process that torchrun started, they train together, each on its slice of every
    batch; all read the same folder, the first writes and reports progress.

    Parameters
    ----------
    others
        Folders of other runs, whose finished stages are taken up where they are the same.
    device
        "cpu", "cuda", "cuda:N" or "auto": see `model.runtime.device.select_device`.
    restart
        Start anew; a checkpoint that is there, of whatever recipe, stays until the first epoch is
        over.

    Raises
    ------
    BadInput
        If data are missing or damaged, the folder cannot be written, its checkpoint is damaged
        or belongs to another recipe, the device is not there, or a batch cannot be shared out
        among the processes.
    CheckFailed
        If the exported network differs from the trained one in any spike, membrane or logit, if
        processes differ from each other, or if training gives numbers that are not finite, or a
        layer without weights: then the checkpoint of the last good epoch stays.
    """
    place = select_device(device, torchrun.local_rank())
    folder = Path(folder)
    state = None if restart else checkpoint.load(folder, recipe)
    saved = state is not None
    keep_freed_memory()
    with (
        made(folder), distributed.process_group(place), exact_settings(recipe.training.threads),
        exact_on(place),
    ):  # fmt: skip
        require(os.access(folder, os.W_OK), f"folder {folder}", "access", "read-only", "writable")
        run = Run(recipe, data_root, place)
        if state is not None:
            run.restore(state, folder / checkpoint.NAME)
        else:
            run.resume(stage_reuse.finished(recipe, run.trainer.data_crc32, others))
        run.trainer.require_equal()
        started = time.monotonic()

        def report(step: int, loss: float, accuracy: float | None) -> None:
            if progress is not None and distributed.rank() == 0:
                trainer = run.trainer
                rate = trainer.optimizer.param_groups[0]["lr"]
                last = trainer.recipe.training.epochs
                epoch = run.epochs_before + min(trainer.epoch + (accuracy is None), last)
                position = (epoch, run.epochs, run.steps_before + step, run.steps)
                seconds = time.monotonic() - started
                progress(Progress(*position, loss, rate, trainer.density(), accuracy, seconds))

        while not run.finished:
            good, path = run.epochs_before + run.trainer.epoch, folder / checkpoint.NAME
            try:
                run.one_epoch(report)
            except CheckFailed as error:
                kept = f"{path} still holds epoch {good} of {run.epochs}"
                # stages taken up from another run are in no checkpoint of this one
                raise CheckFailed(f"{error}; {kept if saved else 'no epoch was over'}") from None
            if distributed.rank() == 0:
                checkpoint.save(folder, recipe, run.state())
            saved = True
        return finish(run, folder)


def finish(run: Run, folder: Path) -> TrainResult:
    """Export the best epoch, check it, count its activity, score it on the test images.

    Checked is every value of the golden reference on a few test images, and the logits of the
    golden engine on all; activity is counted on training images. Of several processes all do the
    work, and the first writes the files.
    """
    trainer, network = run.trainer, run.chosen()
    dataset = trainer.dataset
    exported = export(network)
    check_trace(network, exported, _entering(network, dataset.test_x[:CHECKED_IMAGES]))
    chosen_images = evenly_spaced(trainer.images, trainer.recipe.training.calibration)
    exported = measure(exported, _entering(network, chosen_images))
    logits: list[NDArray[np.floating]] = []
    score = evaluate(network, dataset.test_x, dataset.test_y, logits)
    compared = check_logits(exported, network.coder, dataset.test_x, logits)
    chosen = trainer.history[trainer.best.epoch - 1]
    spikes = spikes_per_neuron(score.sent, trainer.layers, exported.timesteps)
    summary = {
        "chosen_epoch": trainer.best.epoch,
        "validation_accuracy": chosen["validation_accuracy"],
        "test_accuracy": score.accuracy,
        "test_images": len(dataset.test_x),
        "golden_images": compared,
        "timesteps": exported.timesteps,
        "weight_bits": exported.weight_bits,
        "density": exported.density,
        "spike_rate": score.sent,
        "spikes_per_neuron": spikes,
        "dead_channels": dead_channels(exported),
    }
    if run.recipe.stages:
        summary["stages"] = run.summary(score.accuracy)
        summary |= ratios(exported, spikes, run.reference_spikes()).as_dict()
    record = {
        "schema": 1,
        "recipe": run.recipe.as_dict(),
        "summary": summary,
        "epochs": run.history,
    }
    if distributed.rank() == 0:
        file.save(exported, folder / NETWORK_NAME)
        text = json.dumps(record, indent=1, sort_keys=True) + "\n"
        write_bytes(folder / HISTORY_NAME, text.encode())
    distributed.barrier()
    return TrainResult(
        exported,
        folder / NETWORK_NAME,
        summary["validation_accuracy"],
        score.accuracy,
        run.history,
        summary,
    )


def _entering(network: SpikingNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The integers that enter the network for `images`."""
    return network.coder.integers(np.asarray(images, np.uint8), np.arange(len(images)))
