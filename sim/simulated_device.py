"""The simulated `top` as a device of this process, a transport of `spikewright.driver`."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spikewright.golden.errors import CheckFailed
from spikewright.golden.leftovers import scratch
from spikewright.golden.processes import children
from spikewright.golden.processes.locks import writing
from spikewright.sim.benches import DEVICE, STALL
from spikewright.sim.harness.top import prepare_top
from spikewright.sim.simulators import runner

MODULE = "spikewright.sim.benches.device"
CONNECT_S = 120.0


class Simulation:
    """A transport of `spikewright.driver` to the simulated `top` of a build folder.

    A context manager; it simulates about 20,000 clock cycles per second. Simulated time passes only
    during a call.

    Parameters
    ----------
    folder
        A build folder with registers.
    work
        The folder of the simulator's build, which is reused, and of its run.
    simulator
        "verilator" or "icarus".
    stall, seed
        Percentage of cycles in which each stream pauses, at random.

    Raises
    ------
    BadInput, ToolMissing, BuildFailed
        On entering, as `sim.harness.top.prepare_top`; or if another process is at the run's
        folder: the whole build folder, where there is no `work`.
    CheckFailed
        From a call: if the device answers SLVERR or not at all.
    """

    def __init__(
        self, folder: str | Path, work: str | Path | None = None, simulator: str = "verilator",
        waves: bool = False, stall: int = 0, seed: int = 0,
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self.work = Path(work) if work else self.folder / "sim"
        self.simulator, self.waves = simulator, waves
        self._run_folder = self.work / simulator / "device"
        self._locked = self._run_folder if work else self.folder
        self.stall, self.seed = stall, seed

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(writing(self._locked))
            built = prepare_top(self.folder, self.work, self.simulator, self.waves)
            if self.work == self.folder / "sim":  # not in a cache that others share
                runner.drop_outdated(built)
            # A Unix socket's path is limited to about 100 bytes; a build folder's may be longer.
            path = str(stack.enter_context(scratch(short=True)) / "device")
            pool = stack.enter_context(children.pool(1))
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen(1)
                listener.settimeout(0.1)
                self._run = pool.submit(
                    runner.run_bench, built, MODULE, self._run_folder,
                    data=sorted((self.folder / "rtl").glob("*.mem")),
                    environment={DEVICE: path, STALL: str(self.stall)}, deadline_s=1e9,
                    seed=self.seed,
                )  # fmt: skip
                self._link = self._accept(listener)
            self._lines = self._link.makefile("rw")
            self._held = stack.pop_all()
        return self

    def _accept(self, listener: socket.socket) -> socket.socket:
        """The simulator's connection; raises if it fails before it connects."""
        for _ in range(round(CONNECT_S / 0.1)):
            try:
                link, _ = listener.accept()
            except TimeoutError:
                if self._run.done():
                    self._run.result().require_passed()
                    break
                continue
            link.settimeout(None)
            return link
        raise CheckFailed(f"simulation of {self.folder} did not start, see {self.work}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self._held:
            self._lines.close()
            self._link.close()
            self._run.result().require_passed()

    def _ask(self, **command: Any) -> Any:
        self._lines.write(json.dumps(command) + "\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            self._run.result().require_passed()
            raise CheckFailed(f"simulation of {self.folder} has ended, see {self.work}")
        reply = json.loads(line)
        if "error" in reply:
            raise CheckFailed(f"simulation: {command['do']} failed: {reply['error']}")
        return reply["value"]

    def read32(self, offset: int) -> int:
        """Reads the register at a byte offset."""
        return self._ask(do="read", offset=offset)

    def write32(self, offset: int, value: int) -> None:
        """Writes the register at a byte offset."""
        self._ask(do="write", offset=offset, value=value)

    def send(self, stream: str, packet: Sequence[int], whole: bool = True) -> None:
        """Queue a packet for `s_axis_<stream>`, one beat a number, `tlast` on the last one.

        `whole` = False leaves `tlast` out, as a transfer does that is cut.
        """
        beats = [int(beat) for beat in packet]
        self._ask(do="send", stream=stream, beats=beats, whole=whole)

    def wait(self, cycles: int) -> None:
        """Let clock cycles pass."""
        self._ask(do="wait", cycles=cycles)

    def receive(self) -> list[int]:
        """Waits for the next packet of `m_axis_logits`; returns its beats."""
        return self._ask(do="receive")

    def abort(self) -> None:
        """Forget beats that have not been offered yet, and packets that nobody has asked for."""
        self._ask(do="abort")
