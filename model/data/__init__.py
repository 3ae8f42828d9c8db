"""Readers for the data sets that recipes name. NumPy only: nothing here imports torch.

>>> digits = load("digits")
>>> digits.test_x.shape, digits.bits, digits.coding
((360, 1, 8, 8), 5, 'direct')
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spikewright.golden.errors import require
from spikewright.model.data import cifar, digits, idx, nmnist
from spikewright.model.data.dataset import DataSet

__all__ = ["NAMES", "DataSet", "load"]

_READERS: dict[str, Callable[[Path | None, int, bool], DataSet]] = {
    "digits": digits.read,
    "mnist": idx.read_mnist,
    "fashion-mnist": idx.read_fashion_mnist,
    "cifar-10": cifar.read,
    "n-mnist": nmnist.read,
}

NAMES = tuple(sorted(_READERS))


def load(
    name: str, root: str | Path | None = None, timesteps: int = 10, train: bool = True
) -> DataSet:
    """Read data set `name`: digits, mnist, fashion-mnist, cifar-10 or n-mnist.

    Parameters
    ----------
    name
        One of `NAMES`.
    root
        The folder that holds the data sets; without it the folder that SPIKEWRIGHT_DATA names.
        `digits` comes with scikit-learn and needs none.
    timesteps
        The number of bins into which event recordings are cut; frames ignore it.
    train
        False leaves the training part empty, which is quicker.

    Raises
    ------
    BadInput
        If the name is unknown, or a file is missing or damaged: which, and what was expected.
    """
    require(name in _READERS, "data", "name", repr(name), f"one of {', '.join(NAMES)}")
    require(timesteps >= 1, f"data {name!r}", "timesteps", timesteps, "at least 1")
    return _READERS[name](None if root is None else Path(root), timesteps, train)
