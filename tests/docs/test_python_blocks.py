"""The Python examples of the pages run, in the order of a reader, in one folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw

STORY = ("python.md", "cycles.md", "integration.md", "../README.md")
"""The pages that run, one after the other: later ones use what earlier ones built."""

ELSEWHERE = {"methods.md": "tests/model/methods/test_own_method.py"}
"""Pages whose blocks a test of another file runs."""

LONG = ("sw.experiment(", "sw.synth(")
"""Calls of blocks that only compile: tests of their own run them for a small network."""

SHORTER = {
    '"training.epochs": 20': '"training.epochs": 1',
    "examples/networks/digits.safetensors": "mine.safetensors",
}


def story(root: Path, blocks) -> list[tuple[str, str]]:
    """Page and text of every Python block, those of the story first."""
    told = [root / "docs" / name for name in STORY]
    others = [page for page in sorted((root / "docs").rglob("*.md")) if page not in told]
    return [
        (page.name, block)
        for page in (*told, *others)
        for block in blocks(page.read_text(), "python")
    ]


def test_every_block_compiles_and_its_page_is_in_the_story(root, blocks):
    found = story(root, blocks)
    assert len(found) > 10
    assert {page for page, _ in found} == {Path(name).name for name in STORY} | set(ELSEWHERE)
    for page, test in ELSEWHERE.items():
        assert f'"{page}"' in (root / test).read_text()
    assert sum(any(call in block for call in LONG) for _, block in found) == len(LONG)
    for page, block in found:
        compile(block, page, "exec")


def test_the_blocks_run(root, blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "mine").mkdir(parents=True)
    (tmp_path / "build" / "digits").symlink_to("mine")  # one simulator for all pages
    rng = np.random.default_rng(0)
    names = {
        "kernel": rng.integers(-8, 8, (2, 1, 3, 3)),
        "matrix": rng.integers(-8, 8, (10, 32)),
        "first": rng.integers(-8, 8, (2, 1, 3, 3)),
        "second": rng.integers(-8, 8, (2, 2, 3, 3)),
        "images": rng.integers(0, 32, (3, 1, 8, 8)),
        "labels": np.array([1, 2, 3]),
    }
    for page, block in story(root, blocks):
        if page in ELSEWHERE or any(call in block for call in LONG):
            continue
        for old, new in SHORTER.items():
            block = block.replace(old, new)
        if page == "cycles.md":
            names["inputs"] = names["network"].check_inputs(names["images"])
        exec(compile(block, page, "exec"), names)
    trace = names["trace"]
    assert trace.spikes["conv"].shape == (3, 4, 2, 8, 8)
    assert trace.membranes["classes"].shape == (3, 4, 10)
    assert names["evaluation"].mismatches == names["verified"].mismatches == 0
    assert names["checked"].mismatches == 0 < names["checked"].links[0].values
    assert (names["logits"] == trace.logits).all()
    assert names["errors"] == ()
    assert names["result"].mismatches == 0 < names["result"].compared_spikes  # README's
    assert names["found"].cycles_per_inference > 0
    check_the_graph(names)


def check_the_graph(names) -> None:
    """The edges of the residual block, with nodes for them, count spikes."""
    pixels, conv, _ = names["network"].nodes
    if conv.name != "conv":
        pytest.fail("the network of python.md has another node")
    out = sw.LIF("out", (10,), [20] * 10, [0] * 10, 0, 0, "subtract", 10)
    nodes = (pixels, replace(conv, name="a"), replace(conv, name="b"), out)
    counts = sw.run(sw.Network(4, nodes, names["edges"]), names["images"])
    assert (counts.logits == counts.spikes["out"].sum(axis=1)).all()
    assert counts.logits.any()
