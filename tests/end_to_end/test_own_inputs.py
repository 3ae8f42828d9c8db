"""Inputs and labels from files of one's own: `--inputs FILE.npz`, `--labels FILE.npy`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright

X = np.arange(12).reshape(6, 2)


@pytest.fixture
def labels(small_network: spikewright.Network) -> np.ndarray:
    """The answers of the network, but for one."""
    answers = spikewright.run(small_network, X).logits.argmax(axis=1)
    answers[4] = 1 - answers[4]
    return answers


@pytest.fixture
def place(tmp_path: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", labels)
    np.savez(tmp_path / "both.npz", x=X, y=labels)
    np.savez(tmp_path / "bare.npz", x=X)
    np.savez(tmp_path / "whole.npz", x=X[:2], y=labels[:2], test_x=X, test_y=labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "chosen",
    [("x.npy", "--labels", "y.npy"), ("both.npz",), ("whole.npz",),
     ("bare.npz", "--labels", "y.npy")],
)  # fmt: skip
def test_labels_give_an_accuracy(command, small_file: Path, place: Path, chosen) -> None:
    outcome = command("run", small_file, "--inputs", *chosen, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["images"] == 6


def test_inputs_without_labels(command, small_file: Path, place: Path) -> None:
    for name in ("x.npy", "bare.npz"):
        outcome = command("run", small_file, "--inputs", name)
        assert outcome.code == 0, outcome.err
        assert f"accuracy    unknown, without labels: {name}" in outcome.out


def test_a_build_keeps_them_to_verify_on(command, small_file: Path, place: Path) -> None:
    out = place / "built"
    assert command("build", small_file, "--out", out, "--inputs", "both.npz").code == 0
    outcome = command("verify", out, "--no-top", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["mismatches"], found["images"]) == (0, 6)
    assert found["accuracy"] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--labels", "y.npy"), ("--labels", "'auto'", "--inputs FILE")),
        (("--inputs", "random", "--labels", "y.npy"), ("--labels", "'random'")),
        (("--inputs", "both.npz", "--labels", "y.npy"), ("both.npz", "number of labels is two")),
        (("--inputs", "x.npy", "--labels", "x.npy"), ("x.npy with labels of x.npy", "(6, 2)")),
        (("--inputs", "x.npy", "--labels", "no.npy"), ("no.npy", "is missing")),
        (("--inputs", "odd.npz"), ("odd.npz", "has no array x")),
        (("--inputs", "wrong.npz"), ("wrong.npz", "class of image 3 is 2", "0..1")),
        (("--inputs", "wide.npz"), ("wide.npz", "shape")),
        (("--inputs", "none.npz"), ("none.npz", "not found", ".npz")),
        (("--inputs", "text.npz"), ("text.npz", "must be a .npz file")),
    ],
)
def test_what_does_not_fit_is_one_line(command, small_file: Path, place: Path, options, parts):
    np.savez(place / "odd.npz", images=X)
    np.savez(place / "wrong.npz", x=X, y=[0, 1, 0, 2, 0, 0])
    np.savez(place / "wide.npz", x=np.zeros((3, 7), int))
    (place / "text.npz").write_text("x y")
    outcome = command("run", small_file, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert len(outcome.err) < 500
    for part in parts:
        assert part in outcome.err
