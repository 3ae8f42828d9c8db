"""The commands' work: steps that are skipped when nothing changed, and results as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright import api, results, stimulus, torchrun
from spikewright.build_options import Count, Machine
from spikewright.console import Console
from spikewright.golden.image.host_interface import Outside
from spikewright.layout import BuildFolder, read_json, writable, write_bytes, write_json
from spikewright.step_cache import Steps, file_hash, source_hash
from spikewright.training_check import check_training

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network
    from spikewright.golden.network.trace import Trace

DEMO_STEPS = ("train", "check", "build", "verify", "profile", "report")
DEMO_IMAGES = 360

Result = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What `demo` was asked for."""

    recipe: str
    data: Path | None
    seed: int | None
    lanes: Count
    simulator: str
    images: int | None
    force: bool


@dataclass(frozen=True)
class BuildRequest:
    """What `build` was asked for; `inputs` as in `stimulus.choose`, the rest as in `hw.build`."""

    network: Path
    machine: Machine
    inputs: str
    data: Path | None
    images: int
    seed: int
    force: bool
    outside: Outside = field(default_factory=Outside)
    also: tuple[Path, ...] = ()
    target: str | None = None


def train(
    recipe_name: str, folder: BuildFolder, data: Path | None, overrides: dict[str, Any],
    console: Console, force: bool = False, device: str = "cpu",
) -> Result:  # fmt: skip
    """Train a recipe in `folder`, going on from its checkpoint, unless that is finished already.

    In every process that torchrun started: whether there is anything to do, the first decides.
    """
    from spikewright.model.recipes import recipe as recipes

    recipe = recipes.load(recipe_name, overrides)
    writable(folder.path)

    checkpoint, history = folder.path / "checkpoint.pt", folder.path / "history.json"
    outputs = [folder.network, history, checkpoint]
    steps = Steps(folder, console, force)

    def run_training() -> None:
        from spikewright.model.training.train import train

        train(recipe, folder.path, data, _training_progress(console), device=device)

    def work() -> None:
        if force or steps.finished("train", outputs):  # from another recipe: it can be made again
            checkpoint.unlink(missing_ok=True)
        decided(True)
        run_training()

    # Not the source code: hours of training are not thrown away for a changed comment.
    inputs = {"recipe": recipe.as_dict(), "version": version("spikewright")}
    with torchrun.joined(device) as decided:
        if torchrun.leads():
            if not steps.run("train", inputs, outputs, work):
                decided(False)
        elif decided(False):
            run_training()
    return _training_result(recipe.name, folder, read_json(history)["summary"])


def _training_progress(console: Console) -> Callable[[Any], None]:
    def show(state: Any) -> None:
        note = f"steps, epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}"
        note += f", density {state.density:.2f}"
        if state.validation_accuracy is not None:
            note += f", validation {state.validation_accuracy:.2%}"
        console.progress(state.step, state.steps, note)

    return show


def _training_result(name: str, folder: BuildFolder, summary: Result) -> Result:
    from spikewright.golden.network import file

    network = file.load(folder.network)
    return {
        **results.describe(network),
        "recipe": name,
        "network": folder.network,
        "fingerprint": file.fingerprint(network),
        "accuracy": summary["test_accuracy"],
        "accuracy_images": summary["test_images"],
        "validation_accuracy": summary["validation_accuracy"],
        "chosen_epoch": summary["chosen_epoch"],
        "dead_channels": summary["dead_channels"],
    }


def run(
    place: Path, inputs: str, data: Path | None, images: int | None, compared: int, seed: int,
    save: Path | None, console: Console,
) -> Result:  # fmt: skip
    """Accuracy by the engine on many images; reference == engine, by value, on some of them."""
    from spikewright import equality_chain
    from spikewright.golden.models import engine, reference
    from spikewright.golden.network import file, operations

    folder = BuildFolder(place) if place.is_dir() else None
    if folder:
        folder.require_built()
    network = file.load(folder.network if folder else place)
    chosen = stimulus.choose(network, inputs, data, images, seed)
    with console.step("engine"):
        logits = engine.logits(network, chosen.inputs)
    part = chosen.first(min(compared, len(chosen)))
    programs = (
        ("reference", lambda slot: reference.run(network, part.inputs[slot])),
        ("engine", lambda slot: engine.run(network, part.inputs[slot])),
    )
    with console.step("compare"):
        links = equality_chain.follow(programs, len(part), console.progress)
    trace = engine.run(network, part.inputs)
    counts = operations.count(network, part.inputs, trace)
    if save:
        _save_trace(save, trace)
    return {
        **results.describe(network),
        "fingerprint": file.fingerprint(network),
        "stimulus": chosen.source,
        "accuracy": chosen.accuracy(logits),
        "accuracy_images": chosen.labelled,
        "images": len(part),
        **results.compared(links[-1]),
        "links": [link.as_dict() for link in links],
        "mismatches": sum(link.mismatches for link in links),
        "first_mismatch": next((link.first for link in links if link.first), None),
        "synops": counts.synops_per_inference,
        "spike_rate": counts.spike_rate,
        "zeta": counts.zeta,
        "layers": results.rates(counts),
        **_predicted(folder, network, part.inputs, trace),
    }


def _predicted(folder: BuildFolder | None, network: Network, inputs: Any, trace: Trace) -> Result:
    """Cycles and utilization of these images in the accelerator of `folder`; None without one."""
    from spikewright.golden.cycles.prediction import Source, predict
    from spikewright.golden.image.image_file import load_image

    if folder is None or not len(inputs):
        return dict.fromkeys(("cycles_per_inference", "latency_cycles", "utilization"))
    image = load_image(folder.path)
    # As `verify` runs it: the first beat is offered in the seventh cycle behind the reset.
    prediction = predict(image, network.check_inputs(inputs), trace, Source(start=7))
    lane_cycles = sum(core.lanes for core in image.cores) * prediction.busy_cycles
    return {
        "cycles_per_inference": prediction.cycles_per_inference,
        "latency_cycles": prediction.latency_cycles,
        "utilization": sum(core.synops for core in prediction.cores) / lane_cycles,
    }


def _save_trace(path: Path, trace: Any) -> None:
    import io

    import numpy as np

    arrays = {f"spikes.{name}": values for name, values in trace.spikes.items()}
    arrays |= {f"membranes.{name}": values for name, values in trace.membranes.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, logits=trace.logits)
    write_bytes(path, buffer.getvalue())


def build(request: BuildRequest, folder: BuildFolder, console: Console) -> Result:
    """Compile a network file into `folder`, unless that very build is there."""
    from spikewright.golden.network import file

    network = file.load(request.network)
    also = [file.load(path) for path in request.also]
    chosen = stimulus.choose(network, request.inputs, request.data, None, request.seed)
    chosen = chosen.first(min(request.images, len(chosen)))
    writable(folder.path)

    def work() -> None:
        machine = request.machine
        api.build(
            network, folder.path, machine.lanes, chosen.inputs, chosen.labels, chosen.source,
            request.outside, also, request.target, machine.budget, machine.channels_per_word,
            machine.steps_per_pass,
        )  # fmt: skip

    inputs = {
        "network": file_hash(request.network),  # its activity too, which the fingerprint leaves out
        "target": request.target,
        "machine": asdict(request.machine),
        "outside": asdict(request.outside),
        "also": [file.fingerprint(other) for other in also],
        "stimulus": stimulus.content_hash(chosen),
        "source": source_hash("golden", "hw"),
    }
    outputs = [folder.network, folder.manifest, folder.stimulus, folder.path / "rtl" / "top.v"]
    Steps(folder, console, request.force).run("build", inputs, outputs, work)
    return {
        **results.describe(network),
        "fingerprint": file.fingerprint(network),
        "images": len(chosen),
        "stimulus": chosen.source,
        **results.image_figures(folder),
    }


def _simulated(folder: BuildFolder, simulator: str, images: int | None) -> dict[str, Any]:
    """What the result of a simulation depends on, whoever asks for it."""
    folder.require_built()
    count = images or len(stimulus.load(folder.stimulus))
    return {"build": api.content_hash(folder), "simulator": simulator, "images": count}


def verify(
    folder: BuildFolder, simulator: str, images: int | None, stalls: tuple[int, ...], seed: int,
    waves: bool, console: Console, force: bool = False,
) -> Result:  # fmt: skip
    """Prove a build; see `tasks.verify`."""

    def work() -> None:
        api.verify(
            folder.path, None, None, images, simulator, stalls, seed, waves, console.progress
        )

    inputs = {
        **_simulated(folder, simulator, images),
        "stalls": stalls,
        "seed": seed,
        "waves": waves,
    }
    Steps(folder, console, force).run("verify", inputs, [folder.result("verification")], work)
    return read_json(folder.result("verification"))


def profile(
    folder: BuildFolder, simulator: str, images: int | None, console: Console, force: bool = False
) -> Result:
    """Measure a build; see `tasks.profile`."""

    def work() -> None:
        api.profile(folder.path, images=images, simulator=simulator, progress=console.progress)

    inputs = _simulated(folder, simulator, images)
    Steps(folder, console, force).run("profile", inputs, [folder.result("profile")], work)
    return read_json(folder.result("profile"))


def report(folder: BuildFolder, console: Console) -> Result:
    """Write `report/summary.json` and `report/report.html`, and return the summary."""
    from spikewright.reporting import summary
    from spikewright.reporting.page import render

    with console.step("report"):
        values = summary.gather(folder)
        page = render(values, summary.example(folder))
        write_json(folder.result("summary"), values)
        write_bytes(folder.html, page.encode())
    return read_json(folder.result("summary"))


def demo(settings: Settings, folder: BuildFolder, console: Console) -> Result:
    """All steps, each skipped if nothing changed since it was done."""
    from spikewright.model.recipes import recipe as recipes
    from spikewright.tool_check import WarmUp

    overrides = {} if settings.seed is None else {"training.seed": settings.seed}
    recipes.load(settings.recipe, overrides)  # a wrong recipe ends here, before any work
    training, force = BuildFolder(folder.training), settings.force
    with WarmUp() as yosys:  # beside the training, which leaves a core free
        train(settings.recipe, training, settings.data, overrides, console, force)
        check(settings, overrides, folder, console)
        yosys.wait()
    images = settings.images or DEMO_IMAGES
    request = BuildRequest(
        training.network, Machine(settings.lanes), "test", settings.data, images, 0, force
    )
    build(request, folder, console)
    verify(folder, settings.simulator, settings.images, (0,), 0, False, console, force)
    profile(folder, settings.simulator, settings.images, console, force)
    return report(folder, console)


def check(
    settings: Settings, overrides: dict[str, Any], folder: BuildFolder, console: Console
) -> None:
    """Compare torch with the reference on the test images; the accuracy on all of them."""
    training = BuildFolder(folder.training)

    def work() -> None:
        from spikewright.model.recipes import recipe as recipes

        recipe = recipes.load(settings.recipe, overrides)
        check_training(recipe, training.path, settings.data, folder, DEMO_IMAGES, console.progress)

    inputs = {"network": file_hash(training.network), "source": source_hash("golden", "model")}
    Steps(folder, console, settings.force).run("check", inputs, [folder.result("check")], work)
