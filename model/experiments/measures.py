"""Measures on the network of every finished run: accuracy at other weight bits and under noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.golden.errors import require
from spikewright.model.recipes.fields import field, integers, numbers
from spikewright.model.recipes.recipe import Recipe


@dataclass(frozen=True)
class Measure:
    """Test accuracy at other weight bits, without training, and under noise on the input.

    `noise` lists standard deviations as a share of the largest pixel; each is drawn with every one
    of `noise_seeds`. Empty: not measured.
    """

    bits: tuple[int, ...] = field(integers(2, 8), (), quiet=True)
    noise: tuple[float, ...] = field(numbers(0, 10), (), quiet=True)
    noise_seeds: tuple[int, ...] = field(integers(0, 2**31 - 1), (0,), quiet=True)

    def check(self, where: str) -> None:
        """Checks that no value is given twice.

        Raises
        ------
        BadInput
            Naming the key.
        """
        for key in ("bits", "noise", "noise_seeds"):
            values = getattr(self, key)
            right = "of different values"
            require(len({*values}) == len(values), where, f"measure.{key}", list(values), right)

    def missing(self, recorded: Mapping[str, Any]) -> bool:
        """Whether `recorded`, the measures of a record, lacks any of these."""
        bits, noise = recorded.get("bits", {}), recorded.get("noise", {})
        seeds = {str(seed) for seed in self.noise_seeds}
        return not (
            all(str(b) in bits for b in self.bits)
            and all(seeds <= {*noise.get(str(n), {})} for n in self.noise)
        )

    def measure_run(
        self, recipe: Recipe, folder: Path, data_root: str | Path | None
    ) -> dict[str, Any]:
        """The measures of the finished run of `recipe` in `folder`: accuracies (0..1), test images.

        `bits` has one for each number of bits, `noise` one for each deviation and noise seed. Keys
        are strings, as in JSON.
        """
        if not (self.bits or self.noise):
            return {}
        from spikewright.model import data
        from spikewright.model.experiments import noise, ptq
        from spikewright.model.training import checkpoint  # torch only where something is measured
        from spikewright.model.training.run import trained
        from spikewright.model.training.train import exact_settings

        state = checkpoint.load(folder, recipe)
        assert state is not None, "the run is not finished"
        with exact_settings(recipe.training.threads):
            network = trained(recipe, state)
            dataset = data.load(recipe.data, data_root, network.timesteps)
            test = dataset.test_x, dataset.test_y
            measures: dict[str, Any] = {}
            if self.bits:
                scores = ptq.sweep_bits(network, *test, self.bits, dataset.train_x)
                measures["bits"] = {str(bits): score.accuracy for bits, score in scores.items()}
            if self.noise:
                measures["noise"] = {str(share): {} for share in self.noise}
            for seed in self.noise_seeds if self.noise else ():
                for share, score in noise.scores_under_noise(
                    network, *test, self.noise, seed
                ).items():
                    measures["noise"][str(share)][str(seed)] = score.accuracy
            return measures
