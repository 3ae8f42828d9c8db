"""The commands, thin: options in, a call of `pipeline`, lines or JSON out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikewright.cli import options as opt
from spikewright.cli import text, values
from spikewright.cli.training import experiment, train
from spikewright.console import Console
from spikewright.golden.errors import CheckFailed, ToolMissing
from spikewright.golden.processes.locks import reading, writing
from spikewright.hw.options import BuildOptions
from spikewright.layout import BuildFolder
from spikewright.sim.options import SimulationOptions

if TYPE_CHECKING:
    from spikewright.results.builds import BuildResult
    from spikewright.step_cache import Steps
    from spikewright.stimulus import InputChoice, Stimulus

BUILD = click.argument("folder", type=opt.FOLDER)


@click.command()
@click.option(
    "--recipe", default="digits", show_default=True, help="A built-in recipe, or a .toml file."
)
@opt.out("NAME")
@opt.data
@opt.seed("training, instead of the recipe's", None)
@opt.lanes
@opt.simulator
@opt.images("all, at most 360")
@opt.force
@opt.as_json
def demo(
    recipe: str, out: Path | None, data: Path | None, seed: int | None, lanes: str | None,
    simulator: str, images: int | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train, compile, verify, profile, report: real digits to verified Verilog."""
    from spikewright import pipeline

    options = BuildOptions(values.parse_count("--lanes", lanes))
    settings = pipeline.DemoSettings(recipe, data, seed, options, simulator, images)
    folder = BuildFolder(out or Path("build") / Path(recipe).stem)
    console = Console(len(pipeline.DEMO_STEPS))
    summary = pipeline.demo(folder.path, settings, console, force).as_dict()
    opt.finish(summary, text.of_demo(summary, folder), as_json)
    _judge(summary)


@click.command()
@opt.SOURCE
@opt.stimulus("all of them")
@click.option("--compare", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="Images on which reference and engine are compared, by value.")  # fmt: skip
@opt.save
@opt.as_json
def run(path: Path, choice: InputChoice, compare: int, save: Path | None, as_json: bool) -> None:
    """Run a NETWORK file, or that of a build FOLDER, on the golden models."""
    from spikewright import evaluation

    with reading(path):
        stimulus = evaluation.inputs_of(path, evaluation.open_network(path)[0], choice)
    with (console := Console()).step("run"):
        result = evaluation.evaluate(path, stimulus, compare, save, console.progress).as_dict()
    opt.finish(result, text.of_run(result), as_json)
    _judge(result)


@click.command()
@click.argument("network", type=opt.FOLDER)
@opt.out("NAME")
@opt.target
@opt.build_options
@opt.stimulus("at most 100, which the folder keeps for `verify` and `profile`")
@opt.force
@opt.as_json
def build(
    network: Path, out: Path | None, options: BuildOptions, choice: InputChoice, force: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Compile NETWORK to Verilog and its memory image.

    With --target, lanes are chosen for that device, and what it cannot hold is refused.
    """
    steps = _steps(network, out, force)
    result = _build(network, options, choice, steps)[0].as_dict()
    opt.finish(result, text.of_build(result, steps.folder), as_json)


@click.command()
@opt.SOURCE
@opt.simulator
@opt.stall
@opt.waves
@opt.corners
@opt.top
@opt.out("NAME")
@opt.target
@opt.build_options
@opt.stimulus("of a FOLDER all, of a NETWORK at most 100", "random inputs and stalls")
@opt.force
@opt.as_json
def verify(
    path: Path, simulator: str, stall: str, waves: bool, corners: bool, top: bool,
    out: Path | None, options: BuildOptions, choice: InputChoice, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Simulate the Verilog of a build FOLDER, and compare every value with golden.

    A NETWORK file is built first; the options of `build` are for that.
    """
    from spikewright import pipeline

    rates = values.parse_stalls(stall)
    simulation = SimulationOptions(simulator, rates, choice.seed, waves, corners, top)
    steps = _steps(path, out, force)
    with writing(steps.folder.path):
        if path.is_dir():
            opt.refuse_for_a_build(path, opt.FOR_BUILDING)
            stimulus = _inputs_of(steps.folder, choice)
        else:
            _, stimulus = _build(path, options, choice, steps)
        result = pipeline.verify(simulation, stimulus, steps).as_dict()
    opt.finish(result, text.of_verification(result, steps.folder), as_json)
    _judge(result)


@click.command()
@opt.SOURCE
@opt.device
@opt.seeds
@opt.out("NAME")
@opt.build_options
@opt.stimulus("at most 100, which a NETWORK's folder keeps")
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

    numbers, target = values.parse_seeds(seeds), options.target
    assert target is not None  # --target has a default here
    synthesis.require_tools(target)
    steps = _steps(path, out, force)
    with writing(steps.folder.path):
        if path.is_dir():
            opt.refuse_for_a_build(path, opt.FOR_BUILDING - {"target"} | opt.FOR_STIMULUS)
        else:
            _build(path, options, choice, steps)
        result = pipeline.synth(target, numbers, steps).as_dict()
    opt.finish(result, text.of_synthesis(result, steps.folder), as_json)


@click.command()
@BUILD
@opt.simulator
@opt.stimulus("all of them")
@opt.force
@opt.as_json
def profile(folder: Path, simulator: str, choice: InputChoice, force: bool, as_json: bool) -> None:
    """Measure cycles and utilization of a build FOLDER, layer by layer, and count its energy."""
    from spikewright import pipeline
    from spikewright.step_cache import Steps

    steps = Steps(BuildFolder(folder), Console(), force)
    with writing(folder):
        stimulus = _inputs_of(steps.folder, choice)
        result = pipeline.profile(simulator, stimulus, steps).as_dict()
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
        with Console().step("warm-up"), tool_check.warm_up() as running:
            running.result()
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
    path: Path, options: BuildOptions, choice: InputChoice, steps: Steps
) -> tuple[BuildResult, Stimulus]:
    """Build a network file; what it keeps to be verified on."""
    from spikewright import pipeline
    from spikewright.golden.network import file
    from spikewright.stimulus import DEFAULT_IMAGES

    network = file.load(path)
    stimulus = choice.of(network, DEFAULT_IMAGES)
    return pipeline.build(network, options, stimulus, steps), stimulus


def _inputs_of(folder: BuildFolder, choice: InputChoice) -> Stimulus:
    """What is chosen for a finished build."""
    from spikewright.golden.network import file

    folder.require_built()
    return choice.of_folder(folder, file.load(folder.network))


def _judge(result: dict[str, Any]) -> None:
    """End with exit code 1 if values differ; the result is out already."""
    if result["mismatches"]:
        count, first = result["mismatches"], result["first_mismatch"]
        raise CheckFailed(f"{count} values differ; first: {first}")
