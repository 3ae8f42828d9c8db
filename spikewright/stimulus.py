"""The inputs that a network is run on: test images of its data set, random ones, or a user's file.

A build folder keeps them in one file, so that `verify` and `profile` need nothing else.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden import npy, npz
from spikewright.golden.errors import BadInput, printable, require, show
from spikewright.golden.network.labels import check_labels
from spikewright.golden.reading import opened
from spikewright.layout import BuildFolder

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network

Array = NDArray[Any]


AUTO = "auto"
DEFAULT_IMAGES = 100
OF_CALLER = "inputs of the caller"


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Inputs of a network, their labels, and where they are from.

    Attributes
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
    labels
        Integers (batch,); None if unknown.
    source
        In words, for the report.

    Raises
    ------
    BadInput
        If the labels are not one class for each input.
    """

    inputs: Array
    labels: NDArray[np.int64] | None = None
    source: str = OF_CALLER

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", np.asarray(self.inputs))
        if self.labels is None:
            return
        object.__setattr__(self, "labels", check_labels(self.labels, len(self.inputs)))

    def __len__(self) -> int:
        return len(self.inputs)

    def require_fit(self, network: Network, where: str = "") -> None:
        """Raise `BadInput` unless the inputs, and the labels' classes, are those of `network`.

        `where` is what messages begin with.
        """
        try:
            network.check_inputs(self.inputs)
            if self.labels is not None:
                check_labels(self.labels, len(self), math.prod(network.output.shape))
        except BadInput as error:
            raise BadInput(f"{where}{error}") from None

    def first(self, images: int | None) -> Stimulus:
        """The first `images` of them; all if None.

        Raises
        ------
        BadInput
            If there are fewer.
        """
        if images is None:
            return self
        if not 1 <= images <= len(self):
            raise BadInput(
                f"--images is {images}, must be 1..{len(self)}, the images of {self.source}"
            )
        labels = None if self.labels is None else self.labels[:images]
        return Stimulus(self.inputs[:images], labels, self.source)

    @property
    def labelled(self) -> int | None:
        """On how many images an accuracy is taken; None without labels."""
        return None if self.labels is None else len(self.labels)

    def accuracy(self, logits: NDArray[np.int64]) -> float | None:
        """The share of right classes; ties go to the lowest index. None without labels."""
        if self.labels is None:
            return None
        right = logits.reshape(len(logits), -1).argmax(axis=1) == self.labels[: len(logits)]
        return float(right.mean())


@dataclass(frozen=True)
class InputChoice:
    """Which inputs to take: see `choose_stimulus`, whose parameters these are."""

    source: str = AUTO
    data: Path | None = None
    images: int | None = None
    seed: int = 0
    labels: Path | None = None

    def of(self, network: Network, at_most: int | None = None) -> Stimulus:
        """The stimulus for `network`; where the choice leaves open how many, `at_most` of them."""
        found = choose_stimulus(
            network, self.source, self.data, self.images, self.seed, self.labels
        )
        if self.images is None and at_most is not None:
            return found.first(min(at_most, len(found)))
        return found

    def of_folder(self, folder: BuildFolder, network: Network) -> Stimulus:
        """The stimulus for the build of `network` in `folder`: by default what it keeps."""
        if self.source == AUTO and self.labels is None:
            return load(folder.stimulus, network).first(self.images)
        return self.of(network)


def choose_stimulus(
    network: Network, source: str = AUTO, data: str | Path | None = None,
    images: int | None = None, seed: int = 0, labels: str | Path | None = None,
) -> Stimulus:  # fmt: skip
    """Choose inputs for `network`: test images, random integers, or those of a file.

    Parameters
    ----------
    source
        "test": test images of the data set named in the network's meta. "random": random
        integers. "auto": "test" if the network names a data set and a data folder is given or
        none is needed, else "random". Or the path of a `.npy` file, or of a `.npz` file that holds
        inputs `x` and perhaps labels `y`, or `test_x` and `test_y`.
    data
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`.
    images
        How many; None takes all test images, or 100 random ones.
    seed
        Of random integers.
    labels
        The path of a `.npy` file with the labels of the inputs in a file.

    Raises
    ------
    BadInput
        If there are fewer images, a file or data set is missing or damaged, or does not fit.
    """
    from_file = source not in (AUTO, "random", "test")
    require(labels is None or from_file, "--labels", "inputs", show(source),
            "those of a file, --inputs FILE, whose labels they are")  # fmt: skip
    name, data = network.meta.get("data"), None if data is None else Path(data)
    if source == AUTO:
        source = "test" if _has_test_images(name, data) else "random"
    if source == "random":
        return _random(network, images or DEFAULT_IMAGES, seed)
    if source == "test":
        if not name:
            raise BadInput(
                "the network names no data set in its meta; "
                "use --inputs random, or a .npy or .npz file"
            )
        return _test_images(network, name, data).first(images)
    return _from_file(network, Path(source), labels).first(images)


def _has_test_images(name: str | None, data: Path | None) -> bool:
    """Whether a data set can be expected: if its files are missing or damaged, that is an error."""
    from spikewright.model import data as datasets

    has_folder = data is not None or bool(os.environ.get("SPIKEWRIGHT_DATA"))
    return name in datasets.NAMES and (has_folder or name == "digits")


def _random(network: Network, images: int, seed: int) -> Stimulus:
    from spikewright.golden.footprint import Footprint
    from spikewright.golden.testing.random_chain import random_inputs

    Footprint.of_inputs(network).batch(images, 1)
    return Stimulus(random_inputs(network, images, seed), None, f"random integers, seed {seed}")


def _test_images(network: Network, name: str, data: Path | None) -> Stimulus:
    from spikewright.model import data as datasets

    data_set = datasets.load(name, data, timesteps=network.timesteps, train=False)
    images, source = data_set.test_x, f"test images of {name}"
    if network.meta.get("coding") == "poisson":
        images, source = _as_spikes(network, images, data_set.bits), f"{source}, Poisson coded"
    stimulus = Stimulus(images, data_set.test_y, source)
    stimulus.require_fit(network)
    return stimulus


def _as_spikes(network: Network, images: Array, bits: int) -> Array:
    """The spikes with which training scored the network: a function of its seed."""
    from spikewright.model.data import poisson

    seed = network.meta.get("seed", "0")
    fits = re.fullmatch("[0-9]{1,10}", seed) is not None and int(seed) < 2**31
    require(fits, "network", "seed in its meta", show(seed), f"a number within 0..{2**31 - 1}")
    return poisson.encode(images, np.arange(len(images)), network.timesteps, 2**bits - 1, int(seed))


def _from_file(network: Network, path: Path, labels: str | Path | None) -> Stimulus:
    if not os.path.lexists(path):
        raise BadInput(
            f"{path}: not found; --inputs takes auto, test, random, or a .npy or .npz file"
        )
    inputs, found = _of_archive(path) if path.suffix == ".npz" else (npy.load(path), None)
    where = str(path)
    if labels is not None:
        require(found is None, where, "number of labels", "two: its own, and --labels", "one")
        found, where = npy.load(labels), f"{path} with labels of {labels}"
    try:
        stimulus = Stimulus(inputs, found, printable(path.name))
        stimulus.require_fit(network)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    return stimulus


def _of_archive(path: Path) -> tuple[Array, Array | None]:
    """Inputs and labels of a `.npz` file: its test part, if it is a whole data set."""
    arrays = npz.load(path, ("test_x", "test_y", "x", "y"))
    for part in ("test_", ""):
        if f"{part}x" in arrays:
            return arrays[f"{part}x"], arrays.get(f"{part}y")
    raise BadInput(f"{path}: has no array x, must have inputs x, or test_x, by name")


def encode(stimulus: Stimulus) -> bytes:
    """It as safetensors; the same stimulus gives the same bytes."""
    from safetensors.numpy import save as to_bytes

    tensors = {"inputs": np.ascontiguousarray(stimulus.inputs)}
    if stimulus.labels is not None:
        tensors["labels"] = np.ascontiguousarray(stimulus.labels)
    # One key only: safetensors does not sort its metadata.
    return to_bytes(tensors, metadata={"source": stimulus.source})


def content_hash(stimulus: Stimulus) -> str:
    """SHA-256 of the file that a build keeps it in."""
    return hashlib.sha256(encode(stimulus)).hexdigest()


def load(path: Path, network: Network | None = None) -> Stimulus:
    """Read the file of a build folder.

    Raises
    ------
    BadInput
        If the file is missing or damaged, its labels are none, or it does not fit `network`.
    """
    from safetensors import SafetensorError, safe_open

    where, right = str(path), "the stimulus of a build; build again"
    try:
        with opened(path, where, right), safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        inputs, labels = tensors["inputs"], tensors.get("labels")
        integers = [array.dtype.kind in "biu" for array in tensors.values()]
        require(all(integers) and inputs.ndim > 0, where, "type", inputs.dtype, right)
        found = Stimulus(inputs, labels, about["source"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, BadInput) as error:
        raise BadInput(f"{where}: not a stimulus file ({error}), must be {right}") from None
    if network is not None:
        found.require_fit(network, f"{where}: ")
    return found
