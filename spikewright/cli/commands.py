"""The commands, thin: options in, a call of `tasks` or `flow`, lines or JSON out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spikewright import torchrun
from spikewright.build_options import Machine
from spikewright.cli import options as opt
from spikewright.cli import text
from spikewright.console import Console
from spikewright.golden.errors import BadInput, CheckFailed, ToolMissing
from spikewright.golden.image.host_interface import Outside
from spikewright.layout import BuildFolder

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

    settings = pipeline.Settings(
        recipe, data, seed, opt.parse_count("--lanes", lanes), simulator, images, force
    )
    folder = BuildFolder(out or Path("build") / Path(recipe).stem)
    summary = pipeline.demo(settings, folder, Console(len(pipeline.DEMO_STEPS)))
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

    Interrupted training goes on where it stopped, and ends in the same bytes. Started by torchrun,
    several processes share every batch.
    """
    from spikewright import pipeline

    overrides = opt.parse_changes(changes, seed)
    folder = BuildFolder(out or Path("build") / Path(recipe).stem / "train")
    result = pipeline.train(recipe, folder, data, overrides, Console(), force, device)
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

    Finished runs are kept; an interrupted one goes on where it stopped.
    """
    from spikewright import experiments

    folder = out or Path("build") / "experiments" / Path(name).stem
    result = experiments.experiment(name, folder, data, Console(), jobs, device)
    opt.finish(result, experiments.lines_of(result), as_json)


@click.command()
@NETWORK
@opt.inputs
@opt.data
@opt.images("Images for the accuracy.  [default: all of them]")
@click.option("--compare", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="Images on which reference and engine are compared, by value.")  # fmt: skip
@opt.seed("random inputs")
@click.option(
    "--save",
    type=opt.FOLDER,
    help="Write the compared images' spikes, membranes and logits to this .npz file.",
)
@opt.as_json
def run(
    network: Path, inputs: str, data: Path | None, images: int | None, compare: int, seed: int,
    save: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run NETWORK, a file or a build folder, on the golden models."""
    from spikewright import pipeline

    result = pipeline.run(network, inputs, data, images, compare, seed, save, Console())
    opt.finish(result, text.of_run(result), as_json)
    _judge(result)


@click.command()
@NETWORK
@opt.out
@opt.target
@opt.machine
@opt.inputs
@opt.data
@opt.images("Inputs that the folder keeps for `verify` and `profile`.", opt.DEFAULT_IMAGES)
@opt.seed("random inputs")
@opt.loadable
@opt.also
@opt.registers
@opt.counters
@opt.force
@opt.as_json
def build(
    network: Path, out: Path | None, target: str | None, machine: Machine, inputs: str,
    data: Path | None, images: int, seed: int, loadable: bool, also: tuple[Path, ...],
    registers: bool, counters: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compile NETWORK to Verilog and its memory image.

    With --target, lanes are chosen for that device, and what it cannot hold is refused.
    """
    from spikewright import pipeline

    folder = BuildFolder(out or _default_folder(network))
    outside = Outside(registers, counters, loadable)
    request = pipeline.BuildRequest(
        network, machine, inputs, data, images, seed, force, outside, also, target
    )
    result = pipeline.build(request, folder, Console())
    opt.finish(result, text.of_build(result, folder), as_json)


@click.command()
@click.argument("place", metavar="FOLDER|NETWORK", type=opt.FOLDER)
@opt.simulator
@opt.images("How many of the folder's inputs.  [default: all]")
@click.option(
    "--stall",
    default="0",
    show_default=True,
    metavar="PERCENT,...",
    help="Hold every stream at random in this share of the cycles; one run for each.",
)
@opt.seed("the stalls")
@click.option("--waves", is_flag=True, help="Keep the waves of the simulation.")
@click.option("--out", type=opt.FOLDER, help="Where a NETWORK is built.  [default: build/NAME]")
@opt.target
@opt.machine
@opt.inputs
@opt.data
@opt.force
@opt.as_json
def verify(
    place: Path, simulator: str, images: int | None, stall: str, seed: int, waves: bool,
    out: Path | None, target: str | None, machine: Machine, inputs: str, data: Path | None,
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Simulate the Verilog of a build FOLDER, and compare every value with golden.

    A NETWORK file is built first; the options of `build` are for that.
    """
    from spikewright import pipeline

    stalls, console = opt.parse_stalls(stall), Console()
    if place.is_dir():
        folder = BuildFolder(place)
    else:
        folder = BuildFolder(out or _default_folder(place))
        count = images or opt.DEFAULT_IMAGES
        request = pipeline.BuildRequest(
            place, machine, inputs, data, count, 0, force, target=target
        )
        pipeline.build(request, folder, console)
    result = pipeline.verify(folder, simulator, images, stalls, seed, waves, console, force)
    opt.finish(result, text.of_verification(result, folder), as_json)
    _judge(result)


@click.command()
@click.argument("place", metavar="FOLDER|NETWORK", type=opt.FOLDER)
@opt.device
@opt.seeds
@click.option("--out", type=opt.FOLDER, help="Where a NETWORK is built.  [default: build/NAME]")
@opt.machine
@opt.inputs
@opt.data
@opt.force
@opt.as_json
def synth(
    place: Path, target: str, seeds: str, out: Path | None, machine: Machine, inputs: str,
    data: Path | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Synthesise, place and route a build FOLDER: clock, what limits it, and area.

    Needs nextpnr, which the extra `synth` installs. A NETWORK file is built for the target first;
    the options of `build` are for that.
    """
    from spikewright import pipeline, synthesis

    numbers, console = opt.parse_seeds(seeds), Console()
    synthesis.require_tools(target)
    if place.is_dir():
        folder = BuildFolder(place)
    else:
        folder = BuildFolder(out or _default_folder(place))
        request = pipeline.BuildRequest(
            place, machine, inputs, data, opt.DEFAULT_IMAGES, 0, force, target=target
        )
        pipeline.build(request, folder, console)
    result = synthesis.synth_step(folder, target, numbers, console, force)
    opt.finish(result, text.of_synthesis(result, folder), as_json)


@click.command()
@BUILD
@opt.simulator
@opt.images("How many of the folder's inputs.  [default: all]")
@opt.force
@opt.as_json
def profile(folder: Path, simulator: str, images: int | None, force: bool, as_json: bool) -> None:
    """Measure cycles and utilization of a build FOLDER, layer by layer, and count its energy."""
    from spikewright import pipeline

    result = pipeline.profile(BuildFolder(folder), simulator, images, Console(), force)
    opt.finish(result, text.of_profile(result), as_json)


@click.command()
@BUILD
@opt.as_json
def report(folder: Path, as_json: bool) -> None:
    """Write report.html and summary.json of a verified and profiled build FOLDER."""
    from spikewright import pipeline

    place = BuildFolder(folder)
    summary = pipeline.report(place, Console())
    opt.finish(summary, [f"report  {place.html}"], as_json)


@click.command()
@click.option(
    "--warm-up", is_flag=True, help="Also run Yosys once, so that its first real use is quick."
)
@opt.as_json
def doctor(warm_up: bool, as_json: bool) -> None:
    """Say what is installed, what is missing, and how to mend it."""
    from spikewright import tool_check as examination

    findings = examination.examine()
    if warm_up:
        with Console().step("warm-up"), examination.WarmUp() as running:
            running.wait()
    opt.finish(examination.as_dict(findings), examination.lines(findings), as_json)
    for missing in examination.failures(findings)[:1]:
        raise ToolMissing(f"{missing.name} is missing: {missing.remedy}")


ALL = (demo, train, experiment, run, build, verify, synth, profile, report, doctor)


def _default_folder(network: Path) -> Path:
    if network.is_dir() or not network.stem:
        raise BadInput(f"{network}: is a folder, must be the file of a network")
    return Path("build") / network.stem


def _judge(result: dict[str, Any]) -> None:
    """End with exit code 1 if values differ; the result is out already."""
    if result["mismatches"]:
        count, first = result["mismatches"], result["first_mismatch"]
        raise CheckFailed(f"{count} values differ; first: {first}")
