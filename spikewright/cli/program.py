"""One command from its words to its exit code: every error is one line, a fault of ours too."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import click

from spikewright import torchrun
from spikewright.cli import commands, faults, options
from spikewright.golden.errors import SpikewrightError, one_line
from spikewright.interrupts import MESSAGE, Interrupts
from spikewright.layout import to_json

READER_LEFT = 141  # 128 + SIGPIPE, as a shell has it


class _Group(click.Group):
    """Commands in the order of use, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spikewright", message="%(prog)s %(version)s")
def cli() -> None:
    """Cast a spiking neural network into silicon, and prove that nothing changed on the way.

    Start with `spikewright demo`: real digits to verified Verilog. Each command answers to --help,
    and to --json with one JSON object on standard output.
    """


for _command in commands.ALL:
    cli.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code instead of leaving."""
    output = options.Output()
    Interrupts.work(begins=True)
    try:
        cli.main(list(arguments), prog_name="spikewright", standalone_mode=False, obj=output)
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except SystemExit:  # click's answer to a pipe that nobody reads
        return READER_LEFT
    except BaseException as error:  # KeyboardInterrupt; a panic of a library in Rust
        message, code = _explain(error)
    finally:
        Interrupts.work(begins=False)
    line = one_line(message)
    # Whoever cannot be written to learns the exit code.
    with contextlib.suppress(OSError):
        if "--json" in arguments and not output.begun and torchrun.leads():
            click.echo(to_json({"error": line, "exit_code": code}), nl=False)
    with contextlib.suppress(OSError):
        click.echo(f"spikewright: {line}", err=True)
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    """The one line for a user, and the exit code."""
    # An import that an interrupt cut short may end in any error.
    if Interrupts.came or isinstance(error, KeyboardInterrupt | click.Abort):
        return MESSAGE, Interrupts.exit_code()
    if isinstance(error, SpikewrightError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return " ".join(error.format_message().split()), 2
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return where + (error.strerror or str(error)).lower(), 2
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return f"memory ran out{detail}; take fewer images or a smaller network", 2
    return faults.report(error), faults.EXIT_CODE
