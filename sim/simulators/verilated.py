"""Builds a simulator binary with Verilator: translate Verilog, compile on all cores, link.

On 2 cores, for a small design, compiling the Verilated runtime takes 12 s, everything else 2 s. The
runtime does not depend on the design, so it is compiled once per machine into the user's cache, and
then only linked. cocotb sees only signals marked `verilator public` in the Verilog, not all of them
(`--public-flat-rw`): that more than halves compile and run time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cocotb_tools.config

from spikewright.golden.atomic import require_space
from spikewright.golden.errors import CheckFailed
from spikewright.golden.leftovers import part_of, sweep
from spikewright.golden.processes import children
from spikewright.golden.processes.locks import alone
from spikewright.golden.processes.user_cache import user_cache
from spikewright.sim.simulators.toolchain import Verilator

# Unknown initial values become random bits, from a seed given at run time, so that a register
# without a reset cannot pass by being 0.
RANDOM_START = ("--x-assign", "unique", "--x-initial", "unique")
RUNTIME = ("verilated", "verilated_vpi", "verilated_threads", "verilated_dpi")
OPTIMIZE_RUNTIME = "-O2"
SPLIT = "20000"  # of the generated C++: enough units for all cores, few enough for little overhead
_SMALL = 10_000  # bytes of C++


def optimize_design() -> str:
    """The C++ compiler's optimization level for a design: $SPIKEWRIGHT_OPTIMIZE, or -O1.

    Compared with -O1, -O2 takes twice as long to compile a model that is 10 % faster, and -O0 a
    third for one that is 20 % slower: faster in all for runs of a few seconds, as in tests.
    """
    return os.environ.get("SPIKEWRIGHT_OPTIMIZE") or "-O1"


class BuildFailed(CheckFailed):
    """The simulator or the C++ compiler failed; the message names the log and the first errors."""


def compile_model(
    tool: Verilator, sources: list[Path], top: str, folder: Path, waves: bool
) -> Path:
    """Builds `folder/top`, a cocotb simulation of module `top`; the log is `folder/build.log`.

    Raises
    ------
    BuildFailed
        If a tool fails, with the first error lines.
    """
    log = folder / "build.log"
    model = folder / "model"
    command = [str(tool.binary), "-cc", "--exe", "--vpi", "--prefix", "Vtop", "-Mdir", str(model)]
    command += [
        "--top-module",
        top,
        "--timescale",
        "1ns/1ps",
        "-Wno-fatal",
        "-Wno-lint",
        *RANDOM_START,
    ]
    command += ["--output-split", SPLIT]
    command += ["--trace-vcd"] if waves else []
    with children.pool(os.cpu_count() or 1) as pool, children.pool(1) as beside:
        runtime = beside.submit(compile_runtime, tool, waves, folder / "runtime")
        run_logged([*command, *map(str, sources)], log, env={"VERILATOR_ROOT": str(tool.root)})
        objects = _compile_design(tool, model, waves, log, pool)
        objects += runtime.result()
    libraries = str(cocotb_tools.config.libs_dir)
    linked = ["-Wl,-rpath," + libraries, "-L" + libraries, "-lcocotbvpi_verilator", "-lpthread"]
    run_logged([tool.compiler, "-o", str(folder / top), *map(str, objects), *linked], log)
    for part in (model, folder / "runtime"):
        shutil.rmtree(part, ignore_errors=True)
    return folder / top


def _compile_design(
    tool: Verilator, model: Path, waves: bool, log: Path, pool: ThreadPoolExecutor
) -> list[Path]:
    main = Path(cocotb_tools.config.share_dir) / "lib" / "verilator" / "verilator.cpp"
    files = sorted(model.glob("*.cpp"))
    # Headers cost 0.6 s per unit, so all code that runs rarely is one unit, without optimization.
    hot = [file for file in files if "Slow" not in file.name and file.stat().st_size > _SMALL]
    cold = [main, *(file for file in files if file not in hot)]
    groups = [([file], optimize_design()) for file in sorted(hot, key=_size, reverse=True)]
    groups.insert(min(1, len(groups)), (cold, "-O0"))

    def one(job: tuple[int, tuple[list[Path], str]]) -> Path:
        index, (parts, level) = job
        unit = model / f"unit{index}.cc"
        unit.write_text("".join(f'#include "{part.resolve()}"\n' for part in parts))
        target = unit.with_suffix(".o")
        flags = [level, *_flags(tool, waves), f"-I{model}", "-c", "-o", str(target), str(unit)]
        run_logged([tool.compiler, *flags], log)
        return target

    return list(pool.map(one, enumerate(groups)))


def _size(file: Path) -> int:
    return file.stat().st_size


def _flags(tool: Verilator, waves: bool) -> list[str]:
    include = tool.root / "include"
    switches = {"COVERAGE": 0, "SC": 0, "TIMING": 0, "TRACE": int(waves), "TRACE_VCD": int(waves),
                "TRACE_FST": 0, "TRACE_SAIF": 0}  # fmt: skip
    defines = [f"-DVM_{name}={value}" for name, value in switches.items()]
    return ["-std=c++20", "-DVERILATOR=1", *defines, f"-I{include}", f"-I{include / 'vltstd'}"]


def compile_runtime(tool: Verilator, waves: bool, otherwise: Path) -> list[Path]:
    """The object files of Verilator's runtime, from the user's cache or compiled into it.

    One process compiles, others wait for it. If the cache is not writable, they are compiled into
    the folder `otherwise`.
    """
    answer = subprocess.run(
        [tool.compiler, "--version"], capture_output=True, text=True, check=True
    )
    flags = [OPTIMIZE_RUNTIME, *_flags(tool, waves)]
    key = hashlib.sha256(repr((tool.version, answer.stdout, flags)).encode()).hexdigest()[:16]
    folder = user_cache() / f"verilated-{key}"
    names = [*RUNTIME, "verilated_vcd_c"] if waves else list(RUNTIME)

    def one(name: str) -> Path:
        target = folder / f"{name}.o"
        if not target.exists():
            part = part_of(target)
            source = tool.root / "include" / f"{name}.cpp"
            run_logged(
                [tool.compiler, *flags, "-c", "-o", str(part), str(source)], folder / f"{name}.log"
            )
            part.replace(target)  # an interrupted build leaves no incomplete object file
        return target

    if all((folder / f"{name}.o").exists() for name in names):
        return [folder / f"{name}.o" for name in names]
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(folder))
            sweep(folder)
        except OSError:
            folder = otherwise
            folder.mkdir()
        pool = stack.enter_context(children.pool(os.cpu_count() or 1))
        return list(pool.map(one, names))


def run_logged(command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
    """Runs `command` and appends it and its output to `log`.

    Raises
    ------
    BuildFailed
        If its exit code is not 0, with the log's path and up to three error lines.
    """
    done = children.run(command, environment={**os.environ, **(env or {})})
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        require_space(log.parent)
        lines = (done.stdout + done.stderr).splitlines()
        errors = (
            [line for line in lines if "rror" in line]
            or lines
            or [f"exit status {done.returncode}"]
        )
        key = log.parent.name.lstrip(".").partition(".")[0]
        kept = log.parent.parent / f"{key}-failed.log"
        shutil.copyfile(log, kept)
        raise BuildFailed(f"simulator build failed, see {kept}: " + " | ".join(errors[:3]))
