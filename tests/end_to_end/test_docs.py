"""What the documents say exists, exists: links, commands, options, examples."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.commands import ALL

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS = {command.name: command for command in ALL}


def test_there_are_pages() -> None:
    assert len(PAGES) > 12


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_are_real(page: Path) -> None:
    for name, rest in re.findall(r"\bspikewright ([a-z]+)((?: [^\n`#|]*)?)", page.read_text()):
        if name in COMMANDS:
            options = {flag for parameter in COMMANDS[name].params for flag in parameter.opts}
            for flag in re.findall(r"--[a-z-]+", rest):
                assert flag in options | {"--help"}, f"{name} {flag}"


def test_every_option_of_the_table_belongs_to_its_commands() -> None:
    rows = re.findall(
        r"^\| `(--[a-z-]+)[^|]*\| ([^|]+) \|", (ROOT / "docs/commands.md").read_text(), re.M
    )
    assert len(rows) >= 12
    for flag, names in rows:
        for name in COMMANDS if names == "all" else names.split(", "):
            flags = {option for parameter in COMMANDS[name].params for option in parameter.opts}
            assert flag in flags, f"{name} {flag}"


def test_make_targets_of_the_pages_are_real() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.M)
    }
    assert {"demo", "test", "sim"} <= named <= targets


BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
LONG = ("sw.experiment(", "sw.synth(")  # tests of their own run these for a small network


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    names = {
        "kernel": rng.integers(-8, 8, (2, 1, 3, 3)),
        "matrix": rng.integers(-8, 8, (10, 32)),
        "first": rng.integers(-8, 8, (2, 1, 3, 3)),
        "second": rng.integers(-8, 8, (2, 2, 3, 3)),
        "images": rng.integers(0, 32, (3, 1, 8, 8)),
        "labels": np.array([1, 2, 3]),
    }
    quick = [block for block in BLOCKS if not any(call in block for call in LONG)]
    assert len(quick) == len(BLOCKS) - len(LONG)
    for block in quick:
        block = block.replace('"training.epochs": 20', '"training.epochs": 1')
        exec(compile(block, "docs/python.md", "exec"), names)
    trace = names["trace"]
    assert trace.spikes["conv"].shape == (3, 4, 2, 8, 8)
    assert trace.membranes["classes"].shape == (3, 4, 10)
    assert names["evaluation"].mismatches == names["verified"].mismatches == 0
    assert names["checked"].mismatches == 0 < names["checked"].links[0].values
    assert (names["logits"] == trace.logits).all()
    pixels, conv, _ = names["network"].nodes
    out = sw.LIF("out", (10,), [20] * 10, [0] * 10, 0, 0, "subtract", 10)
    nodes = (pixels, replace(conv, name="a"), replace(conv, name="b"), out)
    counts = sw.run(sw.Network(4, nodes, names["edges"]), names["images"])
    assert (counts.logits == counts.spikes["out"].sum(axis=1)).all()
    assert counts.logits.any()


def test_the_python_page_names_what_there_is() -> None:
    page = (ROOT / "docs/python.md").read_text()
    for block in BLOCKS:
        compile(block, "docs/python.md", "exec")
    assert set(re.findall(r"\bsw\.(\w+)", page)) <= set(sw.__all__)
    for name in sw.__all__:
        assert name.islower() is False or f"sw.{name}(" in page, name
