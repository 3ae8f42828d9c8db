"""The commands that train: one recipe, or an experiment of many."""

from __future__ import annotations

from pathlib import Path

import click

from spikewright import torchrun
from spikewright.cli import options as opt
from spikewright.cli import text, values
from spikewright.console import Console
from spikewright.layout import BuildFolder


@click.command()
@click.argument("recipe")
@opt.out("RECIPE/train")
@opt.data
@opt.seed("training, instead of the recipe's", None)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="Change a value of the recipe: training.epochs=5. May be repeated.")  # fmt: skip
@opt.trained_on
@opt.force
@opt.as_json
def train(
    recipe: str, out: Path | None, data: Path | None, seed: int | None, changes: tuple[str, ...],
    device: str, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train RECIPE, a built-in name or a .toml file, to an integer network.

    Interrupted training resumes where it stopped, and ends in the same bytes. Started by torchrun,
    several processes share every batch.
    """
    from spikewright import pipeline
    from spikewright.step_cache import Steps
    from spikewright.training import load_recipe

    content = load_recipe(recipe, values.parse_changes(changes, seed))
    folder = BuildFolder(out or Path("build") / Path(recipe).stem / "train")
    result = pipeline.train(content, data, device, Steps(folder, Console(), force)).as_dict()
    if torchrun.leads():
        opt.finish(result, text.of_training(result), as_json)


@click.command()
@click.argument("name")
@opt.out("experiments/NAME")
@opt.data
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="How many runs train at the same time, each in a process.")  # fmt: skip
@opt.trained_on
@opt.as_json
def experiment(
    name: str, out: Path | None, data: Path | None, jobs: int, device: str, as_json: bool
) -> None:
    """Train NAME, a built-in experiment or a .toml file: a method against baselines, over seeds.

    Finished runs are kept; an interrupted one resumes where it stopped.
    """
    from spikewright import experiments

    folder = out or Path("build") / "experiments" / Path(name).stem
    result = experiments.experiment(name, folder, data, jobs, device, Console())
    opt.finish(result.as_dict(), experiments.lines_of(result), as_json)
