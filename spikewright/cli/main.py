"""The command line: `spikewright demo | train | experiment | run | build | verify | ...`.

Exit codes: 0 all is well; 1 a check failed; 2 bad input or usage; 3 a tool is missing; 130 the user
interrupted; 143 so did SIGTERM. What a user did wrong costs one line on stderr. A traceback is a
fault of ours.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from spikewright import torchrun
from spikewright.cli import commands, options
from spikewright.console import Interrupts
from spikewright.golden.errors import SpikewrightError
from spikewright.layout import to_json

SIGNALLED = 128  # and the number of the signal, as a shell says it


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    Interrupts.watch(torchrun.alone())
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code instead of leaving."""
    output = options.Output()
    try:
        cli.main(list(arguments), prog_name="spikewright", standalone_mode=False, obj=output)
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left: nothing to say, and nobody to say it to
        return 1
    except (Exception, KeyboardInterrupt) as error:
        message, code = _explain(error)
    line = " ".join(message.split())
    if "--json" in arguments and not output.printed and torchrun.leads():
        click.echo(to_json({"error": line, "exit_code": code}), nl=False)
    click.echo(f"spikewright: {line}", err=True)
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    """The one line for a user, and the exit code; a fault of ours is raised again."""
    # An import that an interrupt cut short may end in any error.
    if Interrupts.came or isinstance(error, KeyboardInterrupt | click.Abort):
        code = SIGNALLED + (Interrupts.came or signal.SIGINT)
        return "interrupted; the same command resumes where it stopped", code
    if isinstance(error, SpikewrightError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), 2
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return where + (error.strerror or str(error)).lower(), 2
    raise error
