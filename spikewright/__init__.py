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
    "BadInput": "spikewright.golden.errors",
    "CheckFailed": "spikewright.golden.errors",
    "Conv2d": "spikewright.golden.network.edges",
    "Edge": "spikewright.golden.network.edges",
    "Identity": "spikewright.golden.network.edges",
    "Input": "spikewright.golden.network.nodes",
    "LIF": "spikewright.golden.network.nodes",
    "Linear": "spikewright.golden.network.edges",
    "MaxPool2d": "spikewright.golden.network.edges",
    "Network": "spikewright.golden.network.graph",
    "Readout": "spikewright.golden.network.nodes",
    "SumPool2d": "spikewright.golden.network.edges",
    "ToolMissing": "spikewright.golden.errors",
    "Trace": "spikewright.golden.network.trace",
    "build": "spikewright.api",
    "fingerprint": "spikewright.golden.network.file",
    "load": "spikewright.golden.network.file",
    "load_data": "spikewright.api",
    "load_recipe": "spikewright.api",
    "profile": "spikewright.api",
    "run": "spikewright.api",
    "save": "spikewright.golden.network.file",
    "train": "spikewright.api",
    "verify": "spikewright.api",
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
    from spikewright.api import build, load_data, load_recipe, profile, run, train, verify
    from spikewright.golden.errors import BadInput, CheckFailed, ToolMissing
    from spikewright.golden.network.edges import (
        Conv2d,
        Edge,
        Identity,
        Linear,
        MaxPool2d,
        SumPool2d,
    )
    from spikewright.golden.network.file import fingerprint, load, save
    from spikewright.golden.network.graph import Network
    from spikewright.golden.network.nodes import LIF, Input, Readout
    from spikewright.golden.network.trace import Trace


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spikewright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
