"""What the commands do, as functions that a Python program may call: build, verify, profile, run.

A build folder carries everything between them, so each can run in another process, another day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright import equality_chain, results, stimulus
from spikewright.build_options import Count
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.layout import BuildFolder, read_json, write_json
from spikewright.step_cache import file_hash, source_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikewright.golden.image.host_interface import Outside
    from spikewright.golden.image.memory_image import Image
    from spikewright.golden.network.graph import Network
    from spikewright.golden.network.trace import Trace
    from spikewright.sim.verify import Verification

Progress = Callable[[int, int, str], None]


def run(network: Network, inputs: Any) -> Trace:
    """Run `inputs` through the golden engine.

    Parameters
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.

    Returns
    -------
    Trace
        `spikes[name]` uint8 and `membranes[name]` int64, each (batch, timesteps, *shape); `logits`
        int64 (batch, classes).

    Raises
    ------
    BadInput
        If the inputs do not fit the network.
    """
    from spikewright.golden.models import engine

    return engine.run(network, inputs)


def load_data(name: str, root: str | Path | None = None, **options: Any) -> Any:
    """A data set by name: see `spikewright.datasets.load`."""
    from spikewright.model import data as datasets

    return datasets.load(name, root, **options)


def load_recipe(name_or_path: str | Path, overrides: dict[str, Any] | None = None) -> Any:
    """A recipe by name or path: see `model.recipes.recipe.load`."""
    from spikewright.model.recipes import recipe as recipes

    return recipes.load(name_or_path, overrides)


def train(
    recipe: Any, folder: str | Path, data: str | Path | None = None, progress: Any = None,
    device: str = "cpu",
) -> Any:  # fmt: skip
    """Train `recipe`, a name or what `load_recipe` returns: see `model.training.train.train`."""
    from spikewright.model.training.train import train as run_training

    recipe = load_recipe(recipe) if isinstance(recipe, str | Path) else recipe
    return run_training(recipe, folder, data, progress, device=device)


def build(
    network: Network,
    folder: str | Path,
    lanes: Count = None,
    inputs: Any = None,
    labels: Any = None,
    source: str = "inputs of the caller",
    outside: Outside | None = None,
    also: Sequence[Network] = (),
    target: str | None = None,
    budget: Mapping[str, int] | None = None,
    channels_per_word: Count = None,
    steps_per_pass: int = 1,
) -> Image:
    """Compile `network` into `folder`: Verilog, memory image, manifest, and inputs to verify it on.

    Parameters
    ----------
    lanes
        The most lanes that a core may have, or lanes by node name; None: 8, or with a target as
        many as are of use.
    inputs, labels
        What `verify` and `profile` will use; without them 100 random inputs, seed 0.
    source
        Where the inputs are from, for the report.
    outside, also
        Registers, counters, load stream, and networks that this one can be replaced by: see
        `hw.build.build`.
    target, budget
        A device by name, and what of it may be taken (`ram`, `lut`, `dsp`): lanes are chosen for
        it, and what it cannot hold is refused.
    channels_per_word, steps_per_pass
        How many channels share an entry and a word (by node or one number; None: 1, or with a
        target as many as are of use), how many time steps one walk over the rows: see
        docs/hardware.md.

    Raises
    ------
    BadInput
        If the network does not fit machine or target, or the inputs do not fit the network.
    """
    from spikewright.hw.build import build as build_hardware

    place = BuildFolder(Path(folder))
    if inputs is None:
        chosen = stimulus.choose(network, "random")
    else:
        network.check_inputs(inputs)
        chosen = stimulus.given(inputs, labels, source)
    image = build_hardware(
        network, place.path, lanes, target, budget, outside=outside, also=also,
        channels_per_word=channels_per_word, steps_per_pass=steps_per_pass,
    )  # fmt: skip
    stimulus.save(chosen, place.stimulus)
    return image


def verify(
    folder: str | Path,
    inputs: Any = None,
    labels: Any = None,
    images: int | None = None,
    simulator: str = "verilator",
    stalls: Sequence[int] = (0,),
    seed: int = 0,
    waves: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Prove a build: simulate its Verilog, and compare every link of the chain from golden down.

    Parameters
    ----------
    inputs, labels
        None takes those that the build folder holds.
    images
        How many of them; None takes all.
    simulator
        "verilator" or "icarus".
    stalls
        Percentages of cycles in which each stream is held; the inputs are run once for each.
    waves
        Keep the waves of the simulation.

    Returns
    -------
    dict
        What `report/verification.json` holds, which is written too: see docs/commands.md. Compare
        `mismatches` with 0: a difference does not raise.

    Raises
    ------
    BadInput, ToolMissing
        If the folder is no build, or the simulator is not installed.
    CheckFailed
        If the simulation died or ran past its deadline.
    """
    from spikewright.golden.image.image_file import load_image
    from spikewright.golden.network import file
    from spikewright.sim.verify import verify as simulate

    place = BuildFolder(Path(folder))
    place.require_built()
    network = file.load(place.network)
    if inputs is None:
        chosen = stimulus.load(place.stimulus)
    else:
        network.check_inputs(inputs)
        chosen = stimulus.given(inputs, labels, "inputs of the caller")
    chosen = chosen.first(images)
    frames = network.check_inputs(chosen.inputs)
    found = simulate(
        place.path, frames, simulator, tuple(stalls), seed=seed, waves=waves, progress=progress
    )
    links = _links(network, load_image(place.path), frames, found, progress)
    result = {
        **results.verified(network, found, links),
        "build": content_hash(place),
        "stimulus": chosen.source,
        "stimulus_sha256": stimulus.content_hash(chosen),
        "simulator": simulator,
        "seed": seed,
        "waves": [f"sim/{simulator}/stall-{stall}" for stall in found.stalls] if waves else [],
        "accuracy": chosen.accuracy(found.trace.logits),
        "accuracy_images": chosen.labelled,
    }
    write_json(place.result("verification"), result)
    return result


def _links(
    network: Network,
    image: Image,
    frames: NDArray[np.int64],
    found: Verification,
    progress: Progress | None,
) -> list[equality_chain.Link]:
    """The chain from golden down to the Verilog's recorded trace, link by link."""
    from spikewright.golden.image import interpreter
    from spikewright.golden.models import engine, reference

    programs = (
        ("reference", lambda part: reference.run(network, frames[part])),
        ("engine", lambda part: engine.run(network, frames[part])),
        ("memory image", lambda part: interpreter.run(image, frames[part])),
        ("Verilog", equality_chain.recorded(found.trace)),
    )
    return equality_chain.follow(programs, len(frames), progress)


def profile(
    folder: str | Path,
    inputs: Any = None,
    labels: Any = None,
    images: int | None = None,
    simulator: str = "verilator",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a build: cycles and utilization by layer from the hardware's counters, and energy.

    Arguments as `verify`. The inputs are verified on the way, so a profile is never one of wrong
    answers; a verification of this very build on these inputs without stalls is taken as it is.

    Returns
    -------
    dict
        What `report/profile.json` holds, which is written too: see docs/commands.md.

    Raises
    ------
    CheckFailed
        If anything differs from golden, and as `verify`.
    """
    from spikewright.golden.network import file

    place = BuildFolder(Path(folder))
    place.require_built()
    verified = None if inputs is not None else _verified(place, images, simulator)
    if verified is None:
        verified = verify(
            folder, inputs, labels, images=images, simulator=simulator, progress=progress
        )
    if verified["mismatches"]:
        raise CheckFailed(
            f"{verified['mismatches']} values differ; first: {verified['first_mismatch']}"
        )
    names = (
        "accuracy", "accuracy_images", "images", "stimulus", "simulator", "fingerprint", "build",
        "cycles_per_inference", "latency_cycles", "utilization", "synops", "spike_rate", "zeta",
    )  # fmt: skip
    measured = verified["profile"]
    result = {
        **results.describe(file.load(place.network)),
        **{name: verified[name] for name in names},
        "cycles": measured["cycles"],
        "energy": verified["energy"],
        "layers": [
            {**row, **rate}
            for row, rate in zip(measured["layers"], verified["layers"], strict=True)
        ],
    }
    write_json(place.result("profile"), result)
    return result


def _verified(folder: BuildFolder, images: int | None, simulator: str) -> dict[str, Any] | None:
    """The folder's verification if it measured this very build on these images at full speed."""
    try:
        found = read_json(folder.result("verification"))
    except BadInput:
        return None
    wanted = {
        "build": content_hash(folder),
        "simulator": simulator,
        # A caller may have verified inputs of his own, as many as the folder's.
        "stimulus_sha256": stimulus.content_hash(stimulus.load(folder.stimulus).first(images)),
    }
    same = all(found.get(name) == value for name, value in wanted.items())
    return found if same and found.get("profile") else None


def content_hash(folder: BuildFolder) -> str:
    """One hash over all that a result about this build depends on, our code included."""
    folder.require_built()
    files = [folder.network, folder.manifest, folder.stimulus]
    files += sorted(path for path in (folder.path / "rtl").rglob("*") if path.is_file())
    digest = hashlib.sha256(source_hash("golden", "hw", "sim", "face").encode())
    for path in files:
        digest.update(f"{path.relative_to(folder.path).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()
