"""The values of options that are more than a number or a word, from text."""

from __future__ import annotations

from typing import Any

from spikewright.golden.errors import BadInput, show
from spikewright.golden.reading import parse_toml
from spikewright.hw.options import Count


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
            f"{option} is {show(text)}, must be a number of 1 or more, or NODE=N,NODE=N"
        ) from None


def parse_budget(text: str | None) -> dict[str, int]:
    """`--budget` as the compiler takes it.

    >>> parse_budget("ram=40,dsp=10")
    {'ram': 40, 'dsp': 10}
    """
    try:
        return _table(text) if text else {}
    except ValueError:
        raise BadInput(
            f"--budget is {show(text)}, must be ram=N,lut=N,dsp=N or some of them"
        ) from None


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
    if not stalls or not all(0 <= stall <= 99 for stall in stalls):
        raise BadInput(f"--stall is {show(text)}, must be percentages of 0..99, such as 0,25,50")
    return stalls


def parse_seeds(text: str) -> tuple[int, ...]:
    """`--seeds` as numbers.

    >>> parse_seeds("1,2,3")
    (1, 2, 3)
    """
    seeds = _numbers(text)
    if not seeds or min(seeds) < 1 or len(set(seeds)) < len(seeds):
        raise BadInput(f"--seeds is {show(text)}, must be different numbers of 1 or more, as 1,2,3")
    return seeds


def parse_changes(changes: tuple[str, ...], seed: int | None) -> dict[str, Any]:
    """`--set KEY=VALUE` and `--seed` as the recipe reader takes them; values are TOML.

    >>> parse_changes(("training.epochs=5", "data=mnist"), 3)
    {'training.epochs': 5, 'data': 'mnist', 'training.seed': 3}
    """
    overrides: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key or key.count(".") > 8:
            raise BadInput(f"--set is {show(change)}, must be KEY=VALUE, as training.epochs=5")
        try:
            overrides[key] = parse_toml(f"value = {value}", "--set")["value"]
        except BadInput:
            overrides[key] = value  # a bare word
    return overrides if seed is None else {**overrides, "training.seed": seed}
