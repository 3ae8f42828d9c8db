"""What the commands do, as functions that a Python program may call: build, verify, profile, run.

A build folder carries everything between them, so each can run in another process, another day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from golden.errors import BadInput
from spikewright import chain, stimulus
from spikewright.layout import BuildFolder, read_json, write_json
from spikewright.stimulus import Stimulus

if TYPE_CHECKING:
    from golden.image import Image
    from golden.network import Network
    from golden.trace import Trace

Progress = Callable[[int, int, str], None]
Lanes = int | dict[str, int]


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
    from golden import engine

    return engine.run(network, inputs)


def build(
    network: Network,
    folder: str | Path,
    lanes: Lanes = 8,
    inputs: Any = None,
    labels: Any = None,
    source: str = "inputs of the caller",
) -> Image:
    """Compile `network` into `folder`: Verilog, memory image, manifest, and inputs to verify it on.

    Parameters
    ----------
    lanes
        The most lanes that a core may have, or lanes by node name.
    inputs, labels
        What `verify` and `profile` will use; without them 100 random inputs, seed 0.
    source
        Where the inputs are from, for the report.

    Raises
    ------
    BadInput
        If the network does not fit the machine, or the inputs do not fit the network.
    """
    from hw.build import build as build_hardware

    folder = BuildFolder(Path(folder))
    if inputs is None:
        chosen = stimulus.choose(network, "random")
    else:
        network.check_inputs(inputs)
        chosen = Stimulus(inputs, labels, source)
    image = build_hardware(network, folder.path, lanes)
    stimulus.save(chosen, folder.stimulus)
    return image


def golden_links(folder: Path, inputs: Any, progress: Progress | None = None) -> list[chain.Link]:
    """Compare reference, engine and the folder's memory image, interpreted, on `inputs`."""
    from golden import engine, file, interpreter, reference
    from golden.image import load_image

    place = BuildFolder(folder)
    place.require_built()
    network, image = file.load(place.network), load_image(folder)
    programs = (
        ("reference", lambda batch: reference.run(network, batch)),
        ("engine", lambda batch: engine.run(network, batch)),
        ("memory image", lambda batch: interpreter.run(image, network.check_inputs(batch))),
    )
    return chain.follow(programs, inputs, progress)


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
    from golden import file, operations
    from golden.engine import run as run_engine
    from sim.verify import verify as simulate

    place = BuildFolder(Path(folder))
    place.require_built()
    network = file.load(place.network)
    chosen = stimulus.load(place.stimulus) if inputs is None else Stimulus(inputs, labels, "caller")
    chosen = chosen.first(images)
    network.check_inputs(chosen.inputs)
    links = golden_links(place.path, chosen.inputs)
    found = simulate(
        place.path, chosen.inputs, simulator, tuple(stalls), seed=seed, waves=waves, progress=progress
    )
    links.append(
        chain.Link(
            "memory image == Verilog", found.images, found.compared_spikes,
            found.compared_membranes, found.compared_logits, found.mismatches,
            str(found.first) if found.first else None,
        )
    )  # fmt: skip
    trace = run_engine(network, chosen.inputs)
    counts = operations.count(network, chosen.inputs, trace)
    result = {
        **describe(network),
        "fingerprint": file.fingerprint(network),
        "simulator": simulator,
        "stalls_percent": list(stalls),
        "seed": seed,
        "stimulus": chosen.source,
        "images": found.images,
        "accuracy": chosen.accuracy(trace.logits),
        "accuracy_images": found.images,
        "compared_spikes": found.compared_spikes,
        "compared_membranes": found.compared_membranes,
        "compared_logits": found.compared_logits,
        "mismatches": sum(link.mismatches for link in links),
        "first_mismatch": next((link.first for link in links if link.first), None),
        "links": [link.as_dict() for link in links],
        "cycles_per_inference": found.cycles_per_inference,
        "latency_cycles": found.latency_cycles,
        "synops": counts.synops_per_inference,
        "spike_rate": counts.spike_rate,
        "zeta": counts.zeta,
    }
    write_json(place.result("verification"), result)
    return result


def profile(
    folder: str | Path, inputs: Any = None, images: int | None = None, simulator: str = "verilator",
    progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Measure a build: cycles and utilization of each layer from the hardware's counters, and energy.

    Arguments and errors as `verify`. Returns what `report/profile.json` holds, which is written.
    """
    raise NotImplementedError


def describe(network: Network) -> dict[str, Any]:
    """What every result says about its network."""
    return {
        "name": network.meta.get("name", "network"),
        "timesteps": network.timesteps,
        "weight_bits": network.weight_bits,
        "density": network.density,
    }


def load_results(folder: BuildFolder, *names: str) -> dict[str, dict[str, Any]]:
    """Results that earlier commands left in `report/`, by name.

    Raises
    ------
    BadInput
        If one is missing: it says which command makes it.
    """
    found = {}
    for name in names:
        if not folder.result(name).is_file():
            command = {"verification": "verify", "profile": "profile"}.get(name, "demo")
            raise BadInput(f"{folder.path}: no {name} yet; run `spikewright {command} {folder.path}`")
        found[name] = read_json(folder.result(name))
    return found
