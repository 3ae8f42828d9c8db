"""The steps of a build folder, each skipped if nothing changed since it was done.

A step calls a function of `api`, `training` or `synthesis`, and remembers in the folder what went
into it. Results are the same, whether a step ran or its files were read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright import api, synthesis, torchrun, training
from spikewright.console import Console
from spikewright.golden.network import file
from spikewright.golden.processes.locks import writing
from spikewright.hw.options import BuildOptions
from spikewright.layout import BuildFolder, read_json, write_json
from spikewright.results.builds import BuildResult
from spikewright.results.measured import ProfileResult, Verification
from spikewright.results.models import SUMMARY, TrainResult
from spikewright.results.report import Report
from spikewright.results.synthesis import SynthesisResult
from spikewright.sim.options import SimulationOptions
from spikewright.step_cache import Steps, build_hash, bytes_hash, file_hash, source_hash
from spikewright.stimulus import InputChoice, Stimulus, content_hash
from spikewright.training_check import check_training

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.training.train import Progress

DEMO_STEPS = ("train", "check", "build", "verify", "profile", "report")
DEMO_IMAGES = 360


@dataclass(frozen=True)
class DemoSettings:
    """What `demo` runs.

    Attributes
    ----------
    recipe, seed
        A recipe by name or path; a seed of training instead of the recipe's.
    data
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`.
    images
        Test images to verify in the Verilog; None takes all, at most 360.
    """

    recipe: str = "digits"
    data: Path | None = None
    seed: int | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    simulator: str = "verilator"
    images: int | None = None

    def read_recipe(self) -> Recipe:
        """The recipe, with this seed."""
        overrides = {} if self.seed is None else {"training.seed": self.seed}
        return training.load_recipe(self.recipe, overrides)

    def require_images(self, recipe: Recipe) -> None:
        """Refuse before the training what its test images could not serve after it."""
        if self.images is not None:
            from spikewright.model import data as datasets

            tests = datasets.load(recipe.data, self.data, recipe.timesteps, train=False).test_x
            Stimulus(tests, None, f"test images of {recipe.data}").first(self.images)


def train(recipe: Recipe, data: Path | None, device: str, steps: Steps) -> TrainResult:
    """Train a recipe, resuming from its checkpoint, unless that is finished already.

    In every process that torchrun started: whether there is anything to do, the first decides.
    """
    folder = steps.folder
    checkpoint, history = folder.path / "checkpoint.pt", folder.path / "history.json"
    outputs = [folder.network, history, checkpoint]

    def run_training(restart: bool) -> None:
        progress = _training_progress(steps.console)
        training.train(recipe, folder.path, data, device, progress, decided(restart))

    def work() -> None:
        # A finished checkpoint is of another recipe: it can be made again.
        restart = steps.force or steps.finished("train", outputs)
        decided(True)
        run_training(restart)

    # Not the source code: hours of training are not thrown away for a changed comment.
    inputs = {"recipe": recipe.as_dict(), "version": version("spikewright")}
    if torchrun.leads():
        with writing(folder.path), torchrun.joined(device) as decided:
            if not steps.run("train", inputs, outputs, work):
                decided(False)
    else:
        with torchrun.joined(device) as decided:
            if decided(False):
                run_training(False)
    network = file.load(folder.network)
    record = read_json(history, {"summary": SUMMARY}, "train")
    return TrainResult.of(recipe.name, network, folder.network, record["summary"])


def _training_progress(console: Console) -> Callable[[Progress], None]:
    def show(state: Progress) -> None:
        note = f"steps, epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}"
        note += f", density {state.density:.2f}"
        if state.validation_accuracy is not None:
            note += f", validation {state.validation_accuracy:.2%}"
        console.progress(state.step, state.steps, note)

    return show


def build(network: Network, options: BuildOptions, stimulus: Stimulus, steps: Steps) -> BuildResult:
    """Compile a network, unless that very build is there; see `api.build`."""
    folder = steps.folder
    inputs = {
        # Its activity too, which the fingerprint leaves out.
        "network": bytes_hash(file.encode(network)),
        "options": options.as_dict(),
        "stimulus": content_hash(stimulus),
        "source": source_hash("golden", "hw"),
    }
    top = folder.path / "rtl" / f"{options.prefix}top.v"
    outputs = [folder.network, folder.manifest, folder.stimulus, top]

    def work() -> None:
        api.build(network, folder.path, options, stimulus)

    with writing(folder.path):
        steps.run("build", inputs, outputs, work)
        return api.built(folder, network, stimulus)


def _simulated(folder: BuildFolder, simulator: str, stimulus: Stimulus) -> dict[str, Any]:
    """What the result of a simulation depends on, whoever asks for it."""
    inputs = content_hash(stimulus)
    return {"build": build_hash(folder), "simulator": simulator, "stimulus": inputs}


def verify(options: SimulationOptions, stimulus: Stimulus, steps: Steps) -> Verification:
    """Prove a build; see `api.verify`."""
    folder = steps.folder
    result = folder.result("verification")

    def work() -> None:
        api.verify(folder.path, options, stimulus, progress=steps.console.progress)

    with writing(folder.path):
        inputs = {**_simulated(folder, options.simulator, stimulus), **asdict(options)}
        steps.run("verify", inputs, [result], work)
        return Verification.from_dict(read_json(result, Verification, f"verify {folder.path}"))


def profile(simulator: str, stimulus: Stimulus, steps: Steps) -> ProfileResult:
    """Measure a build; see `api.profile`."""
    folder = steps.folder
    result = folder.result("profile")

    def work() -> None:
        api.profile(folder.path, stimulus, None, simulator, steps.console.progress)

    with writing(folder.path):
        steps.run("profile", _simulated(folder, simulator, stimulus), [result], work)
        return ProfileResult.from_dict(read_json(result, ProfileResult, f"profile {folder.path}"))


def synth(target: str, seeds: tuple[int, ...], steps: Steps) -> SynthesisResult:
    """Synthesise a build, unless that was done; see `synthesis.synth`."""
    folder = steps.folder
    result = folder.synthesis(target) / "report.json"

    def work() -> None:
        synthesis.synth(folder.path, target, seeds, steps.console.progress)

    with writing(folder.path):
        inputs = {"build": build_hash(folder), "target": target, "seeds": list(seeds)}
        steps.run(f"synth {target}", inputs, [result], work)
        found = read_json(result, SynthesisResult, f"synth {folder.path}")
        return SynthesisResult.from_dict(found)


def report(folder: BuildFolder, console: Console) -> Report:
    """Write the report; see `api.report`."""
    with console.step("report"):
        return api.report(folder.path)


def check(recipe: Recipe, data: Path | None, steps: Steps) -> None:
    """Compare torch with the reference on the test images; the accuracy on all of them.

    Raises
    ------
    CheckFailed
        If any value differs; `report/check.json` is written all the same.
    """
    folder = steps.folder
    trained, result = BuildFolder(folder.training), folder.result("check")

    def work() -> None:
        progress = steps.console.progress
        checked = check_training(recipe, trained.path, data, DEMO_IMAGES, progress)
        write_json(result, checked.as_dict())
        checked.require()

    inputs = {"network": file_hash(trained.network), "source": source_hash("golden", "model")}
    steps.run("check", inputs, [result], work)


def demo(
    folder: str | Path = "build/digits", settings: DemoSettings | None = None,
    console: Console | None = None, force: bool = False,
) -> Report:  # fmt: skip
    """Train, compile, verify, profile, report: each step is skipped if nothing changed.

    Parameters
    ----------
    console
        Says on standard error what is done; None is silent.
    force
        Do every step again.

    Raises
    ------
    BadInput, ToolMissing, CheckFailed
        As the functions of the steps: `train`, `build`, `verify`, `profile`.
    """
    settings, console = settings or DemoSettings(), console or Console.quiet()
    recipe, steps = settings.read_recipe(), Steps(BuildFolder(Path(folder)), console, force)
    settings.require_images(recipe)
    with writing(steps.folder.path):
        return _demo(recipe, settings, steps)


def _demo(recipe: Recipe, settings: DemoSettings, steps: Steps) -> Report:
    from spikewright.tool_check import warm_up

    with warm_up() as yosys:  # beside the training, which leaves a core free
        training_steps = Steps(BuildFolder(steps.folder.training), steps.console, steps.force)
        trained = train(recipe, settings.data, "cpu", training_steps)
        check(recipe, settings.data, steps)
        yosys.result()
    choice = InputChoice("test", settings.data, settings.images)
    stimulus = choice.of(trained.network, DEMO_IMAGES)
    build(trained.network, settings.options, stimulus, steps)
    verify(SimulationOptions(settings.simulator), stimulus, steps)
    profile(settings.simulator, stimulus, steps)
    return report(steps.folder, steps.console)
