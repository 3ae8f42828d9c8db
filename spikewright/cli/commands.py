"""The commands, thin: options in, a call of `pipeline`, lines or JSON out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikewright import torchrun
from spikewright.cli import options as opt
from spikewright.cli import text
from spikewright.console import Console
from spikewright.golden.errors import CheckFailed, ToolMissing
from spikewright.hw.options import BuildOptions
from spikewright.layout import BuildFolder
from spikewright.sim.options import SimulationOptions

if TYPE_CHECKING:
    from spikewright.step_cache import Steps
    from spikewright.stimulus import InputChoice

NETWORK = click.argument("network", type=opt.FOLDER)
BUILD = click.argument("folder", type=opt.FOLDER)


@click.command()
@click.option(
    "--recipe", default="digits", show_default=True, help="A built-in recipe, or a .toml file."
)
@opt.out
@opt.data
@opt.seed("training, instead of the recipe's", None)
@opt.lanes
@opt.simulator
@opt.images("Test images to verify in the Verilog.  [default: all, at most 360]")
@opt.force
@opt.as_json
def demo(
    recipe: str, out: Path | None, data: Path | None, seed: int | None, lanes: str | None,
    simulator: str, images: int | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train, compile, verify, profile, report: real digits to verified Verilog."""
    from spikewright import pipeline

    options = BuildOptions(opt.parse_count("--lanes", lanes))
    settings = pipeline.DemoSettings(recipe, data, seed, options, simulator, images)
    folder = BuildFolder(out or Path("build") / Path(recipe).stem)
    console = Console(len(pipeline.DEMO_STEPS))
    summary = pipeline.demo(folder.path, settings, console, force).as_dict()
    opt.finish(summary, text.of_demo(summary, folder), as_json)
    _judge(summary)


@click.command()
@click.argument("recipe")
@click.option(
    "--out", type=opt.FOLDER, help="The folder to write into.  [default: build/RECIPE/train]"
)
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

    content = load_recipe(recipe, opt.parse_changes(changes, seed))
    folder = BuildFolder(out or Path("build") / Path(recipe).stem / "train")
    result = pipeline.train(content, data, device, Steps(folder, Console(), force)).as_dict()
    if torchrun.leads():
        opt.finish(result, text.of_training(result), as_json)


@click.command()
@click.argument("name")
@click.option(
    "--out", type=opt.FOLDER, help="The folder to write into.  [default: build/experiments/NAME]"
)
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


@click.command()
@NETWORK
@opt.stimulus
@opt.images("Images for the accuracy.  [default: all of them]")
@click.option("--compare", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="Images on which reference and engine are compared, by value.")  # fmt: skip
@opt.seed("random inputs")
@opt.save
@opt.as_json
def run(
    network: Path, choice: InputChoice, images: int | None, compare: int, seed: int,
    save: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run NETWORK, a file or a build folder, on the golden models."""
    from spikewright import evaluation

    console, choice = Console(), replace(choice, images=images, seed=seed)
    stimulus = choice.of(evaluation.open_network(network)[0])
    with console.step("run"):
        result = evaluation.evaluate(network, stimulus, compare, save, console.progress).as_dict()
    opt.finish(result, text.of_run(result), as_json)
    _judge(result)


@click.command()
@NETWORK
@opt.out
@opt.target
@opt.build_options
@opt.stimulus
@opt.images("Inputs that the folder keeps for `verify` and `profile`.", opt.DEFAULT_IMAGES)
@opt.seed("random inputs")
@opt.loadable
@opt.also
@opt.name
@opt.registers
@opt.counters
@opt.force
@opt.as_json
def build(
    network: Path, out: Path | None, options: BuildOptions, choice: InputChoice, images: int,
    seed: int, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compile NETWORK to Verilog and its memory image.

    With --target, lanes are chosen for that device, and what it cannot hold is refused.
    """
    steps = _steps(network, out, force)
    result = _build(network, options, replace(choice, seed=seed), images, steps)
    opt.finish(result, text.of_build(result, steps.folder), as_json)


@click.command()
@click.argument("path", metavar="FOLDER|NETWORK", type=opt.FOLDER)
@opt.simulator
@opt.images("How many of the folder's inputs.  [default: all]")
@opt.stall
@opt.seed("the stalls")
@click.option("--waves", is_flag=True, help="Keep the waves of the simulation.")
@click.option("--out", type=opt.FOLDER, help="Where a NETWORK is built.  [default: build/NAME]")
@opt.target
@opt.build_options
@opt.stimulus
@opt.force
@opt.as_json
def verify(
    path: Path, simulator: str, images: int | None, stall: str, seed: int, waves: bool,
    out: Path | None, options: BuildOptions, choice: InputChoice, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Simulate the Verilog of a build FOLDER, and compare every value with golden.

    A NETWORK file is built first; the options of `build` are for that.
    """
    from spikewright import pipeline

    simulation = SimulationOptions(simulator, opt.parse_stalls(stall), seed, waves)
    steps = _steps(path, out, force)
    if not path.is_dir():
        _build(path, options, choice, images or opt.DEFAULT_IMAGES, steps)
    result = pipeline.verify(simulation, images, steps).as_dict()
    opt.finish(result, text.of_verification(result, steps.folder), as_json)
    _judge(result)


@click.command()
@click.argument("path", metavar="FOLDER|NETWORK", type=opt.FOLDER)
@opt.device
@opt.seeds
@click.option("--out", type=opt.FOLDER, help="Where a NETWORK is built.  [default: build/NAME]")
@opt.build_options
@opt.stimulus
@opt.force
@opt.as_json
def synth(
    path: Path, seeds: str, out: Path | None, options: BuildOptions, choice: InputChoice,
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Synthesise, place and route a build FOLDER: clock, what limits it, and area.

    Needs nextpnr, which the extra `synth` installs. A NETWORK file is built for the target first;
    the options of `build` are for that.
    """
    from spikewright import pipeline, synthesis

    numbers, target = opt.parse_seeds(seeds), options.target
    assert target is not None  # --target has a default here
    synthesis.require_tools(target)
    steps = _steps(path, out, force)
    if not path.is_dir():
        _build(path, options, choice, opt.DEFAULT_IMAGES, steps)
    result = pipeline.synth(target, numbers, steps).as_dict()
    opt.finish(result, text.of_synthesis(result, steps.folder), as_json)


@click.command()
@BUILD
@opt.simulator
@opt.images("How many of the folder's inputs.  [default: all]")
@opt.force
@opt.as_json
def profile(folder: Path, simulator: str, images: int | None, force: bool, as_json: bool) -> None:
    """Measure cycles and utilization of a build FOLDER, layer by layer, and count its energy."""
    from spikewright import pipeline
    from spikewright.step_cache import Steps

    steps = Steps(BuildFolder(folder), Console(), force)
    result = pipeline.profile(simulator, images, steps).as_dict()
    opt.finish(result, text.of_profile(result), as_json)


@click.command()
@BUILD
@opt.as_json
def report(folder: Path, as_json: bool) -> None:
    """Write report.html and summary.json of a verified and profiled build FOLDER."""
    from spikewright import pipeline

    written = pipeline.report(BuildFolder(folder), Console())
    opt.finish(written.as_dict(), [f"report  {written.html}"], as_json)


@click.command()
@click.option(
    "--warm-up", is_flag=True, help="Also run Yosys once, so that its first real use is quick."
)
@opt.as_json
def doctor(warm_up: bool, as_json: bool) -> None:
    """Say what is installed, what is missing, and how to mend it."""
    from spikewright import tool_check

    diagnosis = tool_check.doctor()
    if warm_up:
        with Console().step("warm-up"), tool_check.WarmUp() as running:
            running.wait()
    opt.finish(diagnosis.as_dict(), tool_check.lines(diagnosis), as_json)
    for missing in diagnosis.missing[:1]:
        raise ToolMissing(f"{missing.name} is missing: {missing.remedy}")


ALL = (demo, train, experiment, run, build, verify, synth, profile, report, doctor)


def _steps(path: Path, out: Path | None, force: bool) -> Steps:
    """The steps of a build folder, or of the folder that a network file is built into."""
    from spikewright.step_cache import Steps

    if path.is_dir():
        return Steps(BuildFolder(path), Console(), force)
    return Steps(BuildFolder(out or Path("build") / path.stem), Console(), force)


def _build(
    path: Path, options: BuildOptions, choice: InputChoice, images: int, steps: Steps
) -> dict[str, Any]:
    """Build a network file with so many inputs, or all that there are."""
    from spikewright import pipeline
    from spikewright.golden.network import file

    network = file.load(path)
    return pipeline.build(network, options, choice.up_to(network, images), steps).as_dict()


def _judge(result: dict[str, Any]) -> None:
    """End with exit code 1 if values differ; the result is out already."""
    if result["mismatches"]:
        count, first = result["mismatches"], result["first_mismatch"]
        raise CheckFailed(f"{count} values differ; first: {first}")
