"""Every command that a page shows is one: its options, arguments and values are parsed by click."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from spikewright.cli.commands import ALL

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {command.name: command for command in ALL}
SHELL = re.compile(r"^\s*(?:\$ )?(?:.*?-m )?spikewright (\S.*)$")
SPAN = re.compile(r"`(?:spikewright )?((?:" + "|".join(COMMANDS) + r") [^`]*)`")
BARE = re.compile(r"`(--[a-z-]+)")
BENCH = re.compile(r"python (bench/\w+\.py)([^\n`#]*)")
FOREIGN = {"--nproc-per-node", "--import-mode", "--no-deps"}  # torchrun's, pytest's, pip's


def flags(command: click.Command) -> set[str]:
    named = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
    return named | {"--help", "-h"}


EVERY = set().union(*map(flags, COMMANDS.values())) | {"--version"}


def bench_flags(script: Path) -> set[str]:
    return set(re.findall(r"add_argument\(\s*\"(--[a-z-]+)\"", script.read_text())) | {"--help"}


def commands_of(block: str) -> list[str]:
    """The lines of a shell block after `spikewright`, continued ones joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", block)
    found = [match[1] for line in joined.splitlines() if (match := SHELL.match(line))]
    return [re.split(r"\s{2,}|\s#", line)[0] for line in found]


def refused(line: str) -> str | None:
    """What is wrong with a command line without `spikewright`; None if click takes it."""
    name, *arguments = shlex.split(line.replace("...", ""))
    if name.startswith("-"):
        return None if name in EVERY else f"{line}: no such option"
    if name not in COMMANDS:
        return f"{line}: no such command"
    options = {word.split("=")[0] for word in arguments if word.startswith("--")}
    wrong = sorted(options - flags(COMMANDS[name]))
    if wrong:
        return f"{line}: {', '.join(wrong)}"
    if re.search(r"\b[A-Z]+\b", line) or "..." in line:  # a usage line, with placeholders
        return None
    try:
        COMMANDS[name].make_context(name, list(arguments))
    except click.UsageError as error:
        return f"{line}: {error.format_message()}"
    return None


def wrong_commands(text: str, blocks) -> list[str]:
    """Command lines in blocks, and in code inside sentences, that click refuses."""
    lines = [line for block in blocks(text, "") for line in commands_of(block)]
    found = [wrong for line in lines if (wrong := refused(line))]
    for span in SPAN.findall(text):
        name, *words = span.split()
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        if given - flags(COMMANDS[name]):
            found.append(span)
    return found


def unknown_options(text: str) -> list[str]:
    """Options that stand alone in a sentence and belong to no command and no benchmark."""
    benches = set().union(*(bench_flags(script) for script in (ROOT / "bench").glob("*.py")))
    return [flag for flag in BARE.findall(text) if flag not in EVERY | benches | FOREIGN]


def wrong_benches(text: str) -> list[str]:
    """Benchmarks that are not there, or have no such option."""
    wrong = []
    for script, rest in BENCH.findall(text):
        there = (ROOT / script).is_file()
        options = set(re.findall(r"--[a-z-]+", rest))
        if not there or options - bench_flags(ROOT / script):
            wrong.append(script + rest)
    return wrong


def wrong_targets(text: str) -> list[str]:
    """Targets and variables of `make` that the Makefile has not."""
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    variables = set(re.findall(r"\$\(([A-Z]+)\)", makefile)) | set(
        re.findall(r"\$\(filter-out 0,\$\(([A-Z]+)\)\)", makefile)
    )
    wrong = []
    for name, rest in re.findall(r"(?:^|`)make ([a-z-]+)([^\n`#]*)", text, re.M):
        if name not in known or set(re.findall(r"\b([A-Z]+)=", rest)) - variables:
            wrong.append(f"make {name}{rest}")
    return wrong


def test_commands_are_real(page, blocks):
    assert wrong_commands(page.read_text(), blocks) == []


def test_options_are_real(page):
    assert unknown_options(page.read_text()) == []


def test_benchmarks_are_real(page):
    assert wrong_benches(page.read_text()) == []


def test_make_targets_are_real(page):
    assert wrong_targets(page.read_text()) == []


def test_there_are_commands(pages, blocks):
    text = "".join(page.read_text() for page in pages)
    lines = [line for block in blocks(text, "") for line in commands_of(block)]
    assert len(lines) > 30
    assert {line.split()[0] for line in lines} >= set(COMMANDS)
    assert len(SPAN.findall(text)) > 20
    assert len(BENCH.findall(text)) > 6
    assert {"demo", "test", "sim"} <= set(re.findall(r"make ([a-z-]+)", text))


@pytest.mark.parametrize(
    "line",
    [
        "spikewright biuld x.safetensors",
        "spikewright build x.safetensors --tarjet ecp5-25k",
        "spikewright build --target ecp5-25k",
        "spikewright verify build/x --simulator modelsim",
        "spikewright run x.safetensors \\\n    --images 0",
        "torchrun --nproc-per-node 2 -m spikewright train digits --devise cpu",
    ],
)
def test_a_wrong_command_is_found(line, blocks):
    assert len(wrong_commands(f"```\n{line}\n```\n", blocks)) == 1


def test_a_right_command_is_not(blocks):
    right = "```\nspikewright build x.safetensors --lanes 4  # a comment --nope\n```\n"
    assert wrong_commands(right, blocks) == []


def test_other_wrong_words_are_found(blocks):
    assert wrong_commands("`build --waves`, `verify --waves`", blocks) == ["build --waves"]
    assert unknown_options("`--loadable`, `--loadabel`") == ["--loadabel"]
    assert wrong_benches("`python bench/none.py`, `python bench/cycle_model.py --nope`") == [
        "bench/none.py", "bench/cycle_model.py --nope",
    ]  # fmt: skip
    assert wrong_targets("`make tset`, `make sim NETWROK=x`") == ["make tset", "make sim NETWROK=x"]


OPTION_ROW = re.compile(r"^\| `(--[a-z-]+)[^|]*\| ([^|]+) \| (.*) \|$", re.M)


def test_every_option_of_the_table_belongs_to_its_commands():
    rows = OPTION_ROW.findall((ROOT / "docs/commands.md").read_text())
    assert len(rows) >= 15
    for flag, names, _ in rows:
        for name in COMMANDS if names == "all" else names.split(", "):
            assert flag in flags(COMMANDS[name]), f"{name} {flag}"


def test_defaults_of_the_table_are_those_of_the_commands():
    checked = 0
    for flag, names, meaning in OPTION_ROW.findall((ROOT / "docs/commands.md").read_text()):
        stated = re.search(r"`([^`]+)` \(default|default `([^`]+)`", meaning)
        if stated is None:
            continue
        value = (stated[1] or stated[2]).lstrip("$")
        only = re.search(r"In `(\w+)`.*default", meaning)
        for name in [only[1]] if only else names.split(", "):
            (option,) = [each for each in COMMANDS[name].params if flag in each.opts]
            said = {str(option.default), *re.findall(r"default: ([^\]]+)\]", option.help or "")}
            # `train` and `experiment` write where `--help` says; the table names the usual place.
            assert value in said or (flag == "--out" and name in ("train", "experiment")), (
                f"{name} {flag}: {value}, not {said}"
            )
            checked += 1
    assert checked > 10
