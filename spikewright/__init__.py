"""Spikewright casts a spiking neural network into silicon, and proves that nothing changed.

The names of this module are what a program needs: load or construct a network, run it with every
spike and membrane returned as arrays, train, build, verify, profile. Each is imported when it is
first used, so that `import spikewright` is quick.

>>> import numpy as np, spikewright as sw
>>> net = sw.Network(
...     timesteps=3,
...     nodes=(
...         sw.Input("pixels", (2,), "direct", bits=4),
...         sw.LIF("hidden", (2,), threshold=[5, 9], bias=[0, 0], leak_mul=0, leak_shift=0,
...                reset="subtract", membrane_bits=8),
...         sw.Readout("out", (2,), bias=[0, 0]),
...     ),
...     edges=(
...         sw.Edge("pixels", "hidden", (sw.Linear(np.array([[1, 0], [0, 2]]), 4),)),
...         sw.Edge("hidden", "out", (sw.Linear(np.array([[1, -1], [0, 3]]), 4),)),
...     ),
... )
>>> trace = sw.run(net, np.array([[3, 2]]))
>>> trace.membranes["hidden"][0].tolist()
[[3, 4], [1, 8], [4, 3]]
>>> trace.spikes["hidden"][0].tolist()
[[0, 0], [1, 0], [0, 1]]
>>> trace.logits.tolist()
[[0, 3]]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "BadInput": "golden.errors",
    "CheckFailed": "golden.errors",
    "Conv2d": "golden.edges",
    "Edge": "golden.edges",
    "Identity": "golden.edges",
    "Input": "golden.nodes",
    "LIF": "golden.nodes",
    "Linear": "golden.edges",
    "MaxPool2d": "golden.edges",
    "Network": "golden.network",
    "Readout": "golden.nodes",
    "SumPool2d": "golden.edges",
    "ToolMissing": "golden.errors",
    "Trace": "golden.trace",
    "build": "spikewright.tasks",
    "fingerprint": "golden.file",
    "load": "golden.file",
    "load_data": "spikewright.tasks",
    "load_recipe": "spikewright.tasks",
    "profile": "spikewright.tasks",
    "run": "spikewright.tasks",
    "save": "golden.file",
    "train": "spikewright.tasks",
    "verify": "spikewright.tasks",
}

__all__ = [
    "LIF",
    "BadInput",
    "CheckFailed",
    "Conv2d",
    "Edge",
    "Identity",
    "Input",
    "Linear",
    "MaxPool2d",
    "Network",
    "Readout",
    "SumPool2d",
    "ToolMissing",
    "Trace",
    "build",
    "fingerprint",
    "load",
    "load_data",
    "load_recipe",
    "profile",
    "run",
    "save",
    "train",
    "verify",
]

if TYPE_CHECKING:
    from golden.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
    from golden.errors import BadInput, CheckFailed, ToolMissing
    from golden.file import fingerprint, load, save
    from golden.network import Network
    from golden.nodes import LIF, Input, Readout
    from golden.trace import Trace
    from spikewright.tasks import build, load_data, load_recipe, profile, run, train, verify


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spikewright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
