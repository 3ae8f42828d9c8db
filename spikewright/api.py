"""The functions for programs that make hardware: compile, build, verify, profile, report.

Each does its work whenever it is called; `spikewright.pipeline` skips what was done before. A build
folder carries everything between them, so each can run in another process, another day.
"""

from __future__ import annotations

import json
from pathlib import Path

from spikewright.golden.equality_chain import Equality, Progress
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import load_image, read_manifest
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.golden.processes.locks import writing
from spikewright.hw.options import BuildOptions
from spikewright.layout import BuildFolder, read_json, to_json, write_bytes, write_json
from spikewright.results.base import facts, layer_work
from spikewright.results.builds import BuildResult, Plan
from spikewright.results.measured import ProfileResult, Verification
from spikewright.results.models import compared
from spikewright.results.report import Report
from spikewright.results.stuck import rates_of, stuck_layers, trained_rates
from spikewright.sim.options import SimulationOptions
from spikewright.step_cache import build_hash
from spikewright.stimulus import (
    DEFAULT_IMAGES,
    InputChoice,
    Stimulus,
    content_hash,
    encode,
    load,
)
from spikewright.top_link import TOP, top_link


def compile_network(network: Network, options: BuildOptions | None = None) -> Image:
    """Compile a network in memory: what `build` writes as `.mem` files, without any Verilog.

    Lanes are chosen for the target that the options name. `spikewright.golden.image.interpreter`
    runs the image, and `spikewright.golden.cycles.prediction` predicts its cycles.

    Raises
    ------
    BadInput
        If the network does not fit cores or target: node, limit and remedy.
    """
    from spikewright.hw.compiler.build_plan import plan_and_compile

    return plan_and_compile(network, options or BuildOptions())[1]


def build(
    network: Network, folder: str | Path, options: BuildOptions | None = None,
    stimulus: Stimulus | None = None,
) -> BuildResult:  # fmt: skip
    """Compile `network` into `folder`: Verilog, memory image, manifest, and inputs to verify it on.

    Parameters
    ----------
    stimulus
        What `verify` and `profile` will use. None takes what `spikewright build` takes: 100 test
        images where the network names a data set whose files are at hand, else random inputs.

    Raises
    ------
    BadInput
        If the network does not fit cores or target, inputs or labels do not fit the network, its
        data set is missing or damaged in the folder that SPIKEWRIGHT_DATA names, or the build
        folder cannot be written or is in use. An older build in it is as before then.
    """
    from spikewright.hw.build import build as build_hardware

    stimulus = stimulus or InputChoice().of(network, DEFAULT_IMAGES)
    stimulus.require_fit(network)
    build_folder = BuildFolder(Path(folder))
    beside = {build_folder.stimulus.name: encode(stimulus)}
    with writing(build_folder.path):
        image = build_hardware(network, build_folder.path, options, beside)
        return built(build_folder, network, stimulus, image)


def built(
    folder: BuildFolder, network: Network, stimulus: Stimulus, image: Image | None = None
) -> BuildResult:
    """The result of a build that is finished."""
    image = image or load_image(folder.path)
    manifest = read_manifest(folder.path, {"plan": Plan})
    return BuildResult(
        **facts(network), images=len(stimulus), stimulus=stimulus.source,
        lanes={core.node: core.lanes for core in image.cores},
        memory_bits={core.node: core.memory_bits for core in image.cores},
        plan=Plan.from_dict(manifest["plan"]),
        stuck_layers=stuck_layers(trained_rates(network)), folder=folder.path, image=image,
    )  # fmt: skip


def verify(
    folder: str | Path, options: SimulationOptions | None = None, stimulus: Stimulus | None = None,
    images: int | None = None, progress: Progress | None = None,
) -> Verification:  # fmt: skip
    """Prove a build: simulate its Verilog, and compare every link of the chain from golden down.

    First every file in `rtl/` is compared with its hash in the manifest.

    Writes `report/verification.json`.

    Parameters
    ----------
    stimulus
        None takes the inputs that the build folder holds.
    images
        How many of them; None takes all.
    progress
        Called with parts done, parts in all, and words.

    Returns
    -------
    Verification
        Compare its `mismatches` with 0: a difference does not raise.

    Raises
    ------
    BadInput, ToolMissing
        If the folder is no build or in use, a file of it is missing or changed, the stimulus does
        not fit its network, or the simulator is not installed.
    CheckFailed
        If the simulation died, ran past its deadline, or broke a rule of the bench.
    """
    build_folder, options = BuildFolder(Path(folder)), options or SimulationOptions()
    with writing(build_folder.path):
        return _verify(build_folder, options, stimulus, images, progress)


def _verify(
    build_folder: BuildFolder, options: SimulationOptions, stimulus: Stimulus | None,
    images: int | None, progress: Progress | None,
) -> Verification:  # fmt: skip
    from spikewright.sim.measurement.energy import op_count_energy
    from spikewright.sim.verify import verify as simulate

    build_folder.require_built()
    network = file.load(build_folder.network)
    stimulus = (stimulus or load(build_folder.stimulus, network)).first(images)
    stimulus.require_fit(network)
    verdict = simulate(build_folder.path, stimulus.inputs, options, progress)
    cycles, profile = verdict.cycles_checked, verdict.profile
    chain = verdict.equality
    if options.top and _has_registers(build_folder):
        inputs = network.check_inputs(stimulus.inputs)
        link = top_link(build_folder.path, inputs, verdict.trace, options, progress)
        chain = Equality((*chain.links, link))
    result = Verification(
        **facts(network), **compared(chain, verdict.verilog), images=verdict.images,
        stalls_percent=verdict.stalls, compared_cycles=cycles.compared,
        cycle_differences=cycles.differences,
        mismatches=chain.mismatches + cycles.differences,
        first_mismatch=chain.first or cycles.first,
        corners=verdict.corners, corner_images=verdict.corner_images,
        cycles_per_inference=profile.cycles_per_inference, latency_cycles=profile.latency_cycles,
        utilization=profile.utilization, synops=profile.synops / profile.images,
        spike_rate=verdict.operations.spike_rate, zeta=verdict.operations.zeta,
        layers=layer_work(verdict.operations),
        stuck_layers=stuck_layers(rates_of(verdict.operations)),
        profile=profile if 0 in verdict.stalls else None,
        energy=op_count_energy(network, verdict.operations), build=build_hash(build_folder),
        stimulus=stimulus.source, stimulus_sha256=content_hash(stimulus),
        simulator=options.simulator, seed=options.seed,
        waves=_waves(options, chain),
        accuracy=stimulus.accuracy(verdict.trace.logits), accuracy_images=stimulus.labelled,
    )  # fmt: skip
    write_json(build_folder.result("verification"), result.as_dict())
    return result


def _waves(options: SimulationOptions, chain: Equality) -> tuple[str, ...]:
    """The folders of waves below the build folder."""
    runs = [f"stall-{stall}" for stall in options.stalls]
    runs += ["device"] if chain.links[-1].name.endswith(TOP) else []
    return tuple(f"sim/{options.simulator}/{run}" for run in runs) if options.waves else ()


def _has_registers(folder: BuildFolder) -> bool:
    return read_manifest(folder.path, {"host": HostInterface})["host"]["registers"]


def profile(
    folder: str | Path, stimulus: Stimulus | None = None, images: int | None = None,
    simulator: str = "verilator", progress: Progress | None = None,
) -> ProfileResult:  # fmt: skip
    """Measure a build: cycles and utilization by layer from the hardware's counters, and energy.

    Arguments as `verify`. The inputs are verified on the way, so a profile is never one of wrong
    answers; a verification of this very build on these inputs without stalls is taken as it is.
    Writes `report/profile.json`.

    Raises
    ------
    CheckFailed
        If anything differs from golden, and as `verify`.
    """
    build_folder = BuildFolder(Path(folder))
    with writing(build_folder.path):
        build_folder.require_built()
        network = file.load(build_folder.network)
        stimulus = (stimulus or load(build_folder.stimulus, network)).first(images)
        verified = _verified(build_folder, stimulus, simulator)
        if verified is None:
            options = SimulationOptions(simulator)
            verified = verify(folder, options, stimulus, progress=progress)
        if verified.mismatches:
            first = verified.first_mismatch
            raise CheckFailed(f"{verified.mismatches} values differ; first: {first}")
        assert verified.profile is not None
        result = ProfileResult.of(verified, verified.profile)
        write_json(build_folder.result("profile"), result.as_dict())
        return result


def _verified(folder: BuildFolder, stimulus: Stimulus, simulator: str) -> Verification | None:
    """The folder's verification if it measured this very build on these inputs at full speed."""
    try:
        values = read_json(folder.result("verification"), Verification, f"verify {folder.path}")
    except BadInput:
        return None
    wanted = {
        "build": build_hash(folder),
        "simulator": simulator,
        # A caller may have verified other inputs, as many as these.
        "stimulus_sha256": content_hash(stimulus),
    }
    same = all(values.get(name) == value for name, value in wanted.items())
    return Verification.from_dict(values) if same and values.get("profile") else None


def report(folder: str | Path) -> Report:
    """Write `report/summary.json` and `report/report.html` of a verified and profiled build.

    Raises
    ------
    BadInput
        If the build was not verified or profiled, or another build was: it says what to run.
    """
    from spikewright.reporting import summary
    from spikewright.reporting.page import render

    build_folder = BuildFolder(Path(folder))
    result = build_folder.result("summary")
    with writing(build_folder.path):
        values = summary.gather(build_folder)
        page = render(values, summary.example(build_folder))
        write_json(result, values)
        write_bytes(build_folder.html, page.encode())
        return Report(build_folder.path, build_folder.html, json.loads(to_json(values)))
