"""Two thousand bad inputs: each costs one line that names it, within 2 CPU seconds and 500 MB.

Recipes, experiments, networks, arrays, options, and every file of a build folder and of an
experiment's folder, mutated and damaged. What a change leaves valid may run; data sets and
simulators are out of reach, so that nothing long begins.
"""

# Through these also cli.faults, cli.program, golden.npy, golden.reading, golden.records,
# golden.testing.hostile.

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright
from spikewright.golden.testing import hostile
from spikewright.model.experiments import experiment as experiments
from spikewright.model.recipes.recipe import FOLDER as RECIPES
from spikewright.sim.simulators import runner

GROUPS, CASES_OF_GROUP = range(20), 100
SECONDS, MEGABYTES = 2, 500
# Well, bad input, a tool out of reach; never 1, a check that failed, or 70, a fault of the kit.
ALLOWED = {0, 2, 3}
EXPERIMENT = """
name = "hostile"
question = "Which?"
seeds = [0, 1]
variants = [{ name = "one", recipe = {} }, { name = "two", recipe = { timesteps = 3 } }]
sweep = { key = "pruning.density", values = [0.1, 0.5] }
measure = { bits = [3], noise = [0.1] }
[recipe]
data = "mnist"
timesteps = 2
layers = ["4C3", "10"]
training = { epochs = 1 }
"""


OPTIONS = (
    *("build --lanes", "build --channels-per-word", "build --steps-per-pass", "build --budget"),
    *("build --images", "build --target", "build --also", "build --data", "synth --seeds"),
    *("verify --stall", "verify --seed", "verify --simulator", "run --compare", "run --inputs"),
    *("run --save", "train --set", "train --seed", "train --device"),
)
KEYS = ("training.epochs=", "stages.", "layers=", "a.", "neuron=", "pruning.banks=", "=", "")
"""What stands before the value of `--set`."""
FILES = (
    *("manifest.json", "log/steps.json", "stimulus.safetensors", "report/verification.json"),
    *("report/profile.json", "report/check.json", "rtl/filelist.f", "network.safetensors"),
)


@dataclass(frozen=True)
class Case:
    """A command line, what its one line must name, and what restores the place it has spoilt."""

    words: list[str]
    names: str
    restore: Callable[[], object] = lambda: None


def resigned(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """A network file with a changed graph, signed anew, so that what lies behind is reached."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header, payload = json.loads(data[8:end]), data[end:]
    graph = change(json.loads(header.pop("__metadata__")["spikewright"]))
    if isinstance(graph, dict):
        graph.pop("sha256", None)
        digest = hashlib.sha256(compact(graph))
        for name in sorted(header):
            kind = {"I8": "int8", "I32": "int32"}[header[name]["dtype"]]
            begin, stop = header[name]["data_offsets"]
            digest.update(compact([name, kind, header[name]["shape"]]) + payload[begin:stop])
        graph["sha256"] = digest.hexdigest()
    header["__metadata__"] = {"spikewright": hostile.to_json(graph).decode()}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


def compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def relabelled(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """A safetensors file with a changed header."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    text = hostile.to_json(change(json.loads(data[8:end])))
    return struct.pack("<Q", len(text)) + text + data[end:]


class Ground:
    """Good files, and cases drawn from them."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder, self.built = folder, folder / "built"
        shutil.copytree(built, self.built, ignore=shutil.ignore_patterns("sim", "train"))
        self.network = (self.built / "network.safetensors").read_bytes()
        names = ("mnist-conv", "fashion-stacked", "n-mnist")
        self.recipes = [(RECIPES / f"{name}.toml").read_bytes() for name in names]
        self.nowhere = ["--data", str(folder / "nowhere")]
        self.experiment, self.results = folder / "experiment.toml", folder / "out"
        self.experiment.write_text(EXPERIMENT)
        (self.results / "results").mkdir(parents=True)
        summary = {
            "test_accuracy": 0.5, "test_images": 10, "density": 0.5, "spike_rate": {"fc1": 0.1},
            "stages": [{"kind": "ann", "test_accuracy": 0.6}],
        }  # fmt: skip
        measures = {"bits": {"3": 0.4}, "noise": {"0.1": {"0": 0.3}}}
        for case in experiments.load(self.experiment).cases():
            record = {"schema": 1, "recipe": case.recipe.as_dict(), "summary": summary,
                      "measures": measures, "cpu_seconds": 3.5}  # fmt: skip
            (self.results / "results" / f"{case.slug}.json").write_text(json.dumps(record))

    def draw(self, rng: random.Random) -> Case:
        twice = (self.recipe, self.nets, self.build_folder)
        once = (self.compared, self.arrays, self.options, self.record, self.special)
        return rng.choice((*twice, *twice, *once))(rng)

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def recipe(self, rng: random.Random) -> Case:
        text = rng.choice(self.recipes)
        if rng.random() < 0.7:
            table = tomllib.loads(text.decode()) | {"name": "mine"}
            text = hostile.to_toml(hostile.mutated(rng, table))
        else:
            text = hostile.damaged(rng, text)
        path = self.write("bad.toml", text)
        words = ["demo", "--recipe", str(path)] if rng.random() < 0.2 else ["train", str(path)]
        return Case([*words, "--out", str(self.folder / "trained"), *self.nowhere], "bad.toml")

    def compared(self, rng: random.Random) -> Case:
        text = hostile.to_toml(hostile.mutated(rng, tomllib.loads(EXPERIMENT)))
        if rng.random() < 0.3:
            text = hostile.damaged(rng, EXPERIMENT.encode())
        path = self.write("bad.toml", text)
        out = ["--out", str(self.folder / "compared")]
        return Case(["experiment", str(path), *out, *self.nowhere], "bad.toml")

    def nets(self, rng: random.Random) -> Case:
        def change(plain: Any) -> Any:
            return hostile.mutated(rng, plain)

        way = rng.choice((resigned, resigned, relabelled, None))
        data = way(self.network, change) if way else hostile.damaged(rng, self.network)
        path = self.write("bad.safetensors", data)
        return Case(["run", str(path), "--inputs", "random", "--images", "2"], "bad.safetensors")

    def arrays(self, rng: random.Random) -> Case:
        good = self.folder / "good.npy"
        np.save(good, np.zeros((2, 1, 8, 8), rng.choice((np.int64, np.uint8, float, ">i4", "S3"))))
        lying, broken = hostile.array_header(rng), hostile.damaged(rng, good.read_bytes())
        path = self.write("bad.npy", rng.choice((lying, broken)))
        words = ["run", str(self.built / "network.safetensors"), "--inputs", str(path)]
        return Case(words, "bad.npy")

    def options(self, rng: random.Random) -> Case:
        more = ("1,2,x", "a=1,b", "=", "hidden=9999999999999", "²")
        value = str(rng.choice((*hostile.VALUES, *more)))
        value = value.replace("\0", "0").replace("\ud800", "\udcff")  # as arguments can be
        network = str(self.built / "network.safetensors")
        verb, option = rng.choice(OPTIONS).split()
        if verb == "train":
            value = rng.choice(KEYS) + value if option == "--set" else value
            out = ["--out", str(self.folder / "trained"), *self.nowhere]
            return Case([verb, "mnist-conv", *out, option, value], "")
        if option == "--save":
            value = str(self.folder / "nowhere" / value[:300])
        out = [] if verb == "run" else ["--out", str(self.folder / "file" / "built")]
        self.write("file", b"no folder: a build that would begin ends here")
        return Case([verb, network, *out, option, value], "")

    def build_folder(self, rng: random.Random) -> Case:
        memories = sorted(path.name for path in (self.built / "rtl").glob("*.mem"))
        often = rng.random() < 0.8
        path = self.built / rng.choice(FILES[:6] if often else (*FILES, f"rtl/{memories[0]}"))
        good, steps = path.read_bytes(), self.built / "log" / "steps.json"
        known = steps.read_bytes()
        bad = hostile.damaged(rng, good)
        if path.suffix == ".json" and rng.random() < 0.8:
            bad = hostile.to_json(hostile.mutated(rng, json.loads(good)))
        elif path.suffix == ".safetensors" and rng.random() < 0.5:
            bad = relabelled(good, lambda plain: hostile.mutated(rng, plain))
        path.write_bytes(bad)
        if rng.random() < 0.5:  # whoever edits a result may edit its hash too
            old, new = (hashlib.sha256(data).hexdigest().encode() for data in (good, bad))
            if path != steps:
                steps.write_bytes(known.replace(old, new))

        def restore() -> None:
            path.write_bytes(good)
            steps.write_bytes(known)

        verb = rng.choice((["report"], ["run"], ["verify", "--images", "20"], ["profile"]))
        if path.name == "verification.json" and rng.random() < 0.7:
            verb = rng.choice((["report"], ["verify", "--images", "20"]))
        if verb[0] in ("verify", "profile"):
            verb = [*verb, "--simulator", rng.choice(("verilator", "icarus"))]
        return Case([verb[0], str(self.built), *verb[1:]], "built", restore)

    def record(self, rng: random.Random) -> Case:
        path = rng.choice(sorted((self.results / "results").iterdir()))
        good = path.read_bytes()
        bad = hostile.damaged(rng, good)
        if rng.random() < 0.8:
            bad = hostile.to_json(hostile.mutated(rng, json.loads(good)))
        path.write_bytes(bad)
        words = ["experiment", str(self.experiment), "--out", str(self.results), *self.nowhere]
        return Case(words, path.name, lambda: path.write_bytes(good))

    def special(self, rng: random.Random) -> Case:
        """Something else in the place of a file: a folder, a pipe, a device, a loop of links."""
        verb, suffix = rng.choice(
            (("train", "toml"), ("experiment", "toml"), ("run", "safetensors"), ("--inputs", "npy"))
        )
        path, way = self.folder / f"odd.{suffix}", rng.randrange(6)
        if way == 0:
            path.mkdir()
        elif way == 1:
            os.mkfifo(path)
        elif way < 5:
            path.symlink_to(("/dev/zero", path.name, "/proc/self/mem")[way - 2])
        network = str(self.built / "network.safetensors")
        words = ["run", network, verb, str(path)] if suffix == "npy" else [verb, str(path)]

        def restore() -> None:
            path.rmdir() if way == 0 else path.unlink(missing_ok=True)

        return Case(words, path.name, restore)


@pytest.fixture(scope="module")
def ground(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("hostile"), demo_folder)


@pytest.fixture
def nothing_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No simulator and no compiler is found, and no data set."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SPIKEWRIGHT_DATA", str(tmp_path / "nowhere"))

    def missing(*_: object, **__: object) -> None:
        raise spikewright.ToolMissing("no simulator in this test")

    monkeypatch.setattr(runner, "build_bench", missing)


def judge(case: Case, code: int, err: str) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    lines = err.splitlines() or [""]
    if code not in ALLOWED or "Traceback" in err:
        return f"exit code {code}"
    if code == 0:
        return ""
    if not lines[-1].startswith("spikewright: ") or not lines[-1].isprintable():
        return "no line of its own"
    if len(lines[-1]) > 500:
        return f"a line of {len(lines[-1])} characters"
    if code == 2 and case.names not in lines[-1] and "nowhere" not in lines[-1]:
        return f"a line without {case.names}"
    return ""


@pytest.mark.sample(group=(0, 1, 2))
@pytest.mark.parametrize("group", GROUPS)
def test_bad_input_costs_one_line(command, ground: Ground, nothing_long: None, group: int) -> None:
    wrong = []
    for number in range(CASES_OF_GROUP):
        case = ground.draw(random.Random(f"{group}:{number}"))
        held, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            outcome = command(*case.words)
        finally:
            case.restore()
        took = time.process_time() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024
        fault = judge(case, outcome.code, outcome.err)
        fault += f" {took:.1f} s" if took > SECONDS else ""
        fault += f" {grown:.0f} MB" if grown > MEGABYTES else ""
        if fault:
            last = (outcome.err.splitlines() or [""])[-1]
            wrong.append(f"case {group}:{number} {fault}: {' '.join(case.words)[:150]!r}: {last}")
    assert not wrong, f"{len(wrong)} of {CASES_OF_GROUP}:\n" + "\n".join(wrong)


@pytest.mark.sample(number=range(6))
@pytest.mark.parametrize("number", range(100))
def test_bad_input_of_a_process(ground: Ground, tmp_path: Path, number: int) -> None:
    case = ground.draw(random.Random(f"process:{number}"))
    environment = {**os.environ, "PATH": str(tmp_path), "SPIKEWRIGHT_DATA": str(tmp_path)}
    words = [word.replace("\0", "0")[:100_000].encode("utf-8", "replace") for word in case.words]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "spikewright", *words], env=environment, timeout=60,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        case.restore()
    assert judge(case, done.returncode, done.stderr) == "", done.stderr
