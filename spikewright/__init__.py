"""Spikewright casts a spiking neural network into silicon, and proves that nothing changed.

The names of this module are what a program needs: load or construct a network, run it with every
spike and membrane returned as arrays, train, build, verify, profile, synthesise. Each is imported
when it is first used, so that `import spikewright` is quick. No name is that of a module below.

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
    "Accelerator": "spikewright.driver",
    "BadInput": "spikewright.golden.errors",
    "Board": "spikewright.transport",
    "BuildOptions": "spikewright.hw.options",
    "BuildResult": "spikewright.results.builds",
    "CheckFailed": "spikewright.golden.errors",
    "Conv2d": "spikewright.golden.network.edges",
    "DataSet": "spikewright.model.data.dataset",
    "DemoSettings": "spikewright.pipeline",
    "Diagnosis": "spikewright.tool_check",
    "Edge": "spikewright.golden.network.edges",
    "Evaluation": "spikewright.results.models",
    "ExperimentResult": "spikewright.results.experiments",
    "Identity": "spikewright.golden.network.edges",
    "Image": "spikewright.golden.image.memory_image",
    "Input": "spikewright.golden.network.nodes",
    "LIF": "spikewright.golden.network.nodes",
    "Linear": "spikewright.golden.network.edges",
    "Link": "spikewright.golden.equality_chain",
    "MaxPool2d": "spikewright.golden.network.edges",
    "Network": "spikewright.golden.network.graph",
    "HostInterface": "spikewright.golden.image.host_interface",
    "ProfileResult": "spikewright.results.measured",
    "Readout": "spikewright.golden.network.nodes",
    "Recipe": "spikewright.model.recipes.recipe",
    "Report": "spikewright.results.report",
    "SimulationOptions": "spikewright.sim.options",
    "Stimulus": "spikewright.stimulus",
    "SumPool2d": "spikewright.golden.network.edges",
    "SynthesisResult": "spikewright.results.synthesis",
    "ToolMissing": "spikewright.golden.errors",
    "Trace": "spikewright.golden.network.trace",
    "TrainResult": "spikewright.results.models",
    "TrainingCheck": "spikewright.training_check",
    "Transport": "spikewright.transport",
    "Verification": "spikewright.results.measured",
    "build": "spikewright.api",
    "check_training": "spikewright.training_check",
    "choose_stimulus": "spikewright.stimulus",
    "compile_network": "spikewright.api",
    "demo": "spikewright.pipeline",
    "doctor": "spikewright.tool_check",
    "evaluate": "spikewright.evaluation",
    "experiment": "spikewright.experiments",
    "fingerprint": "spikewright.golden.network.file",
    "load_data": "spikewright.training",
    "load_network": "spikewright.golden.network.file",
    "load_recipe": "spikewright.training",
    "profile": "spikewright.api",
    "report": "spikewright.api",
    "run": "spikewright.evaluation",
    "save_network": "spikewright.golden.network.file",
    "synth": "spikewright.synthesis",
    "train": "spikewright.training",
    "verify": "spikewright.api",
}
"""The module of each name."""

_NAMES_THERE = {"load_network": "load", "save_network": "save"}
"""Names that are others in their module."""

__all__ = [
    "LIF",
    "Accelerator",
    "BadInput",
    "Board",
    "BuildOptions",
    "BuildResult",
    "CheckFailed",
    "Conv2d",
    "DataSet",
    "DemoSettings",
    "Diagnosis",
    "Edge",
    "Evaluation",
    "ExperimentResult",
    "HostInterface",
    "Identity",
    "Image",
    "Input",
    "Linear",
    "Link",
    "MaxPool2d",
    "Network",
    "ProfileResult",
    "Readout",
    "Recipe",
    "Report",
    "SimulationOptions",
    "Stimulus",
    "SumPool2d",
    "SynthesisResult",
    "ToolMissing",
    "Trace",
    "TrainResult",
    "TrainingCheck",
    "Transport",
    "Verification",
    "build",
    "check_training",
    "choose_stimulus",
    "compile_network",
    "demo",
    "doctor",
    "evaluate",
    "experiment",
    "fingerprint",
    "load_data",
    "load_network",
    "load_recipe",
    "profile",
    "report",
    "run",
    "save_network",
    "synth",
    "train",
    "verify",
]

if TYPE_CHECKING:
    from spikewright.api import build, compile_network, profile, report, verify
    from spikewright.driver import Accelerator
    from spikewright.evaluation import evaluate, run
    from spikewright.experiments import experiment
    from spikewright.golden.equality_chain import Link
    from spikewright.golden.errors import BadInput, CheckFailed, ToolMissing
    from spikewright.golden.image.host_interface import HostInterface
    from spikewright.golden.image.memory_image import Image
    from spikewright.golden.network.edges import (
        Conv2d,
        Edge,
        Identity,
        Linear,
        MaxPool2d,
        SumPool2d,
    )
    from spikewright.golden.network.file import fingerprint
    from spikewright.golden.network.file import load as load_network
    from spikewright.golden.network.file import save as save_network
    from spikewright.golden.network.graph import Network
    from spikewright.golden.network.nodes import LIF, Input, Readout
    from spikewright.golden.network.trace import Trace
    from spikewright.hw.options import BuildOptions
    from spikewright.model.data.dataset import DataSet
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.pipeline import DemoSettings, demo
    from spikewright.results.builds import BuildResult
    from spikewright.results.experiments import ExperimentResult
    from spikewright.results.measured import ProfileResult, Verification
    from spikewright.results.models import Evaluation, TrainResult
    from spikewright.results.report import Report
    from spikewright.results.synthesis import SynthesisResult
    from spikewright.sim.options import SimulationOptions
    from spikewright.stimulus import Stimulus, choose_stimulus
    from spikewright.synthesis import synth
    from spikewright.tool_check import Diagnosis, doctor
    from spikewright.training import load_data, load_recipe, train
    from spikewright.training_check import TrainingCheck, check_training
    from spikewright.transport import Board, Transport


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'spikewright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), _NAMES_THERE.get(name, name))


def __dir__() -> list[str]:
    return __all__
