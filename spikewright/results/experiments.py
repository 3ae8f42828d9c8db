"""The result of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikewright.results.base import Result


@dataclass(frozen=True)
class VariantResult(Result):
    """The runs of one variant, at one value of the key that is swept; tuples are by seed.

    Attributes
    ----------
    accuracy, accuracy_mean, accuracy_deviation
        On the test images, 0..1; the deviation is the sample's, 0 for a single run.
    density, spike_rate
        Kept / all weights; spikes per neuron and step, as training measured them.
    measures
        Other values that these runs have, by name.
    value
        Of the key that is swept; None if none is.
    bits, noise
        Accuracies with fewer weight bits, and with noise, by setting.
    """

    name: str
    variant: str
    accuracy: tuple[float, ...]
    accuracy_mean: float
    accuracy_deviation: float
    density: tuple[float, ...]
    spike_rate: tuple[Any, ...]
    measures: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    value: Any = None
    bits: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    noise: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: measures by their names, without what this variant lacks."""
        values = super().as_dict()
        measures = values.pop("measures")
        optional = {name: values.pop(name) for name in ("value", "bits", "noise")}
        present = {name: held for name, held in optional.items() if held not in (None, {})}
        return {**values, **measures, **present}


@dataclass(frozen=True)
class SweptKey(Result):
    """A key of the recipe, and the values that it takes."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class ExperimentResult(Result):
    """A method against baselines, over seeds.

    Attributes
    ----------
    variants
        In order; the first is the baseline.
    folder, plots
        Where table, plots and runs are, and the plots' names.
    sweep
        None if every variant has one value only.
    """

    name: str
    question: str
    seeds: tuple[int, ...]
    variants: tuple[VariantResult, ...]
    folder: Path
    plots: tuple[str, ...]
    sweep: SweptKey | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `sweep` only if there is one."""
        values = super().as_dict()
        if self.sweep is None:
            del values["sweep"]
        return values
