"""kill -9 at any instant, and two processes at once: results are those of one that nobody disturbs.

A command is killed after a random time, or before a random change that it makes; then the
same command must end in the same files as one that was never killed, with nothing beside them and
no process left. Two commands on one folder both succeed, or one is told who the other is.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import spikewright

TRAINED = """
data = "digits"
timesteps = 1
layers = ["10"]
training = { epochs = 3, batch_size = 256, calibration = 8 }
"""
COMPARED = f"""
name = "two"
question = "Which?"
seeds = [0]
[recipe]
{TRAINED}
[[variants]]
name = "four bits"
recipe = {{}}
[[variants]]
name = "two bits"
recipe = {{ quantization = {{ weight_bits = 2 }} }}
"""
COMMANDS = ("build", "verify", "train", "experiment")
ON_A_BUILD = {"verify", "profile", "run"}
TOGETHER = ("build build", "verify verify", "build verify", "profile verify", "run build",
            "train train", "experiment experiment")  # fmt: skip
DEADLINE_S = 600


class Server:
    """Starts commands at once; see command_server.py."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("command_server.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background may ignore interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def _ask(self, **request: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, arguments: list[object], place: Place, end_at: int = 0) -> int:
        """A command's process number."""
        words = [str(argument) for argument in arguments]
        place.logs.append(place.root / f"{len(place.logs)}.log")
        return self._ask(
            arguments=words, log=str(place.logs[-1]), temporary=str(place.temporary), end_at=end_at
        )

    def wait(self, process: int) -> int:
        """A process's exit code, or a negative signal."""
        return self._ask(wait=process)

    def run(self, arguments: list[object], place: Place, end_at: int = 0) -> int:
        """A command's exit code."""
        return self.wait(self.start(arguments, place, end_at))


class Place:
    """Where commands work: `out`, what they take, their logs, and a folder for temporary files."""

    def __init__(self, root: Path, network: Path) -> None:
        self.root, self.out, self.network = root, root / "out", network
        self.temporary = root / "temporary"
        self.temporary.mkdir()
        self.logs: list[Path] = []
        self.recipe, self.compared = root / "small.toml", root / "two.toml"
        self.recipe.write_text('name = "small"\n' + TRAINED)
        self.compared.write_text(COMPARED)

    def command(self, verb: str) -> list[object]:
        """The command line of a verb, which works in `out`."""
        what = {"build": self.network, "train": self.recipe, "experiment": self.compared}
        if verb in what:
            return [verb, what[verb], "--out", self.out]
        return [verb, self.out]

    def log(self) -> str:
        """All that commands have said."""
        return "".join(log.read_text() for log in self.logs if log.exists())

    def workers(self) -> list[int]:
        """The programs that still work here: they know the folder of temporary files."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.temporary) in (process / "environ").read_bytes():
                    found.append(int(process.name))
        return found

    def wait_for_workers(self) -> None:
        """The programs of a killed process end just after it."""
        end = time.monotonic() + DEADLINE_S
        while found := self.workers():
            assert time.monotonic() < end, found
            time.sleep(0.01)

    def require_clean(self) -> None:
        """No program works here any more, and nothing temporary is left."""
        assert self.workers() == []
        assert list(self.temporary.iterdir()) == []
        hidden = [path for path in self.out.rglob(".*") if path.name != ".verilator"]
        assert hidden == []


def content(folder: Path) -> dict[str, object]:
    """Every result in a folder: what is the same whenever and wherever it is made."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.endswith("cpu_seconds.json"):
            continue
        if name.startswith("sim/") or name == "table.md":  # with paths or times in it
            found[name] = None
        elif path.suffix == ".json":
            found[name] = without_times(json.loads(path.read_text()))
        else:
            found[name] = path.read_bytes()
    return found


def without_times(values: object) -> object:
    """A JSON value without the CPU seconds in it, and without its folder."""
    if isinstance(values, dict):
        timeless = {
            key: each for key, each in values.items() if key not in ("cpu_seconds", "folder")
        }
        return {key: without_times(each) for key, each in timeless.items()}
    return [without_times(each) for each in values] if isinstance(values, list) else values


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.process.communicate("")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one input, two neurons and two classes."""
    path = tmp_path_factory.mktemp("network") / "small.safetensors"
    nodes = (
        spikewright.Input("in", (1,), "direct", bits=2),
        spikewright.LIF("mid", (2,), [1, 2], [0, 0], 1, 1, "zero", 4),
        spikewright.Readout("out", (2,), [0, 0]),
    )
    edges = (
        spikewright.Edge("in", "mid", (spikewright.Linear([[1], [1]], 2),)),
        spikewright.Edge("mid", "out", (spikewright.Linear([[1, 0], [0, 1]], 2),)),
    )
    spikewright.save_network(spikewright.Network(2, nodes, edges, meta={"name": "small"}), path)
    return path


class Undisturbed:
    """What every command leaves that nobody disturbs, made when it is first asked for."""

    def __init__(self, server: Server, network: Path, root: Path) -> None:
        self.server, self.network, self.root = server, network, root
        self.made: dict[str, Place] = {}
        self.seconds: dict[str, float] = {}
        self.changes: dict[str, int] = {}

    def of(self, verb: str) -> Place:
        """Where it was run. How long that took, and in how many changes, is known then too."""
        if verb not in self.made:
            (self.root / verb).mkdir()
            place = Place(self.root / verb, self.network)
            if verb in ON_A_BUILD:
                shutil.copytree(self.of("verify" if verb == "profile" else "build").out, place.out)
            started = time.monotonic()
            assert self.server.run(place.command(verb), place) == 0, place.log()
            self.made[verb], self.seconds[verb] = place, time.monotonic() - started
            self.changes[verb] = int(Path(f"{place.logs[0]}.count").read_text())
            place.require_clean()
        return self.made[verb]


@pytest.fixture(scope="module")
def undisturbed(
    server: Server, network: Path, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    return Undisturbed(server, network, tmp_path_factory.mktemp("undisturbed"))


def place_for(verbs: set[str], undisturbed: Undisturbed, root: Path, cold: bool = False) -> Place:
    """A new place, in which commands find what they need; the simulation too, unless `cold`."""
    place = Place(root, undisturbed.network)
    if verbs & ON_A_BUILD:
        shutil.copytree(undisturbed.of("build").out, place.out)
        if not cold:
            shutil.copytree(undisturbed.of("verify").out / "sim", place.out / "sim")
    return place


@pytest.mark.sample(case=(1, 2, 4))
@pytest.mark.parametrize("case", range(60))
def test_the_command_after_a_kill_does_as_if_there_had_been_none(
    case: int, server: Server, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """Half of the commands are killed after a time, half of them before a change."""
    turn, verb = case // len(COMMANDS), COMMANDS[case % len(COMMANDS)]
    cold = turn % 3 == 2
    whole, place = undisturbed.of(verb), place_for({verb}, undisturbed, tmp_path, cold)
    draw, changes = random.Random(case), undisturbed.changes[verb]
    if verb == "verify" and not cold:
        changes //= 2  # the other half is made where the simulation is built
    end_at = draw.randint(1, changes) if (case + turn) % 2 else 0
    process = server.start(place.command(verb), place, end_at)
    if not end_at:
        time.sleep(draw.uniform(0, 0.4 * undisturbed.seconds[verb]))  # later ones are quicker
        os.kill(process, signal.SIGKILL)
    assert server.wait(process) in (-signal.SIGKILL, 0), place.log()
    place.wait_for_workers()
    assert server.run(place.command(verb), place) == 0, place.log()
    assert content(place.out) == content(whole.out)
    place.require_clean()


@pytest.mark.sample(case=(0, 1, 5))
@pytest.mark.parametrize("case", range(21))
def test_two_at_once_do_not_harm_each_other(
    case: int, server: Server, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    first, second = TOGETHER[case % len(TOGETHER)].split()
    place = place_for({first, second}, undisturbed, tmp_path)
    processes = [server.start(place.command(first), place)]
    time.sleep(random.Random(case).uniform(0, 0.1 * (case // len(TOGETHER))))
    processes.append(server.start(place.command(second), place))
    codes = [server.wait(process) for process in processes]
    said = place.log()
    assert set(codes) in ({0}, {0, 2}), said
    refused = re.findall(r"in use by process (\d+) since \d\d:\d\d:\d\d; wait for it or", said)
    assert len(refused) == codes.count(2), said
    assert {int(number) for number in refused} <= set(processes)
    for verb in (first, second):  # now one after the other: they find all that was done
        assert server.run(place.command(verb), place) == 0, place.log()
    for verb in {first, second} - {"run"}:
        expected = content(undisturbed.of(verb).out)
        found = content(place.out)
        assert {name: found.get(name) for name in expected if name != "log/steps.json"} == {
            name: value for name, value in expected.items() if name != "log/steps.json"
        }
    place.require_clean()


@pytest.mark.sample(blow=(signal.SIGTERM,))
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_has_left_nothing_when_it_ends(
    blow: signal.Signals, server: Server, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    place = place_for({"verify"}, undisturbed, tmp_path, cold=True)
    process = server.start(place.command("verify"), place)
    while len(place.workers()) < 2:  # a tool on its leash
        assert "verify .." not in place.log(), place.log()  # too late, it has ended
        time.sleep(0.01)
    os.kill(process, blow)
    assert server.wait(process) == 128 + blow
    assert place.log().endswith(
        "\nspikewright: interrupted; the same command resumes where it stopped\n"
    )
    place.require_clean()
