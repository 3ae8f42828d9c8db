"""The books of the cycle model against a register that is stepped cycle by cycle."""

import numpy as np
import pytest

from golden import credits, ledger


def books(most_spans):
    """One ledger, and room for its spans and gaps."""
    records = np.zeros(1, ledger.LEDGER)
    spans, gaps = ledger.open_books(records, np.array([most_spans]), np.array([4]))
    return records, spans, gaps


@pytest.mark.parametrize("seed", range(20))
def test_busy_is_the_union_of_all_lanes(seed):
    rng = np.random.default_rng(seed)
    records, spans, gaps = books(200)
    cycles = np.zeros(400, bool)
    for _ in range(int(rng.integers(1, 60))):
        begin = int(rng.integers(0, 380))
        end = begin + int(rng.integers(1, (4, 20)[seed % 2]))
        cycles[begin:end] = True
        ledger.read(records[0], spans, begin, end)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], cycles, [0]]))).reshape(-1, 2)
    np.testing.assert_array_equal(spans[: records["spans"][0]], edges)
    ledger.accumulate(records[0], spans, gaps, 0, 400)
    assert records["busy"][0] == cycles.sum()
    assert records["spans"][0] == 0


def schedule(seed):
    """Random steps as (beats, cycles at which lane 0 has them, begin, end, release, final).

    Beats may be accepted long before their step begins, even before the last inference ends.
    """
    rng = np.random.default_rng(seed)
    beat, begin, steps = 2, int(rng.integers(2, 40)), []
    for _ in range(60):
        beat = max(beat, begin - int(rng.integers(0, (12, 50)[seed % 2])))
        beats = beat + np.cumsum(rng.integers(1, 8, int(rng.integers(1, 4))))
        beat = int(beats[-1])
        at_hand = (beats + rng.integers(6, 9)).tolist()
        end = max(begin + 2, beat + 1) + int(rng.integers(0, 12))
        release = end + int(rng.integers(3, 25))
        steps.append((beats.tolist(), at_hand, begin, end, release, bool(rng.random() < 0.5)))
        begin = release + 2
    return steps


@pytest.mark.parametrize("seed", range(40))
def test_waiting_is_inside_an_inference(seed):
    steps = schedule(seed)
    records, spans, gaps = books(10)
    for beats, at_hand, begin, end, release, final in steps:
        for beat, cycle in zip(beats, at_hand, strict=True):
            ledger.accept(records[0], gaps, beat)
            ledger.meet(records[0], cycle)
        ledger.accumulate(records[0], spans, gaps, begin, end)
        if final:
            ledger.infer(records[0], release)
    last = steps[-1][4] + 10
    ledger.close(records[0], gaps, last, last)

    taken = {beat for step in steps for beat in step[0]}
    next_at_hand = [step[1][0] for step in steps[1:]] + [last]
    pending = {s[4]: hand <= s[4] for s, hand in zip(steps, next_at_hand, strict=True) if s[5]}
    windows = {cycle for step in steps for cycle in range(step[2], step[3])}
    counts, inside = {"waiting": 0, "idle": 0}, False
    for cycle in range(last):
        if cycle in windows:
            counts["waiting" if inside else "idle"] += 1
        if cycle in pending:  # the end of an inference
            inside = cycle in taken or pending[cycle]
        elif cycle in taken:
            inside = True
    assert {name: records[name][0] for name in counts} == counts


def test_a_credit_comes_back_in_the_order_of_time():
    counters = np.zeros(2, credits.CREDITS)
    credits.fill(counters, 2)
    assert [credits.take(counters[0]) for _ in range(2)] == [0, 0]
    credits.give(counters[0], credits.LATE, 30)
    credits.give(counters[0], credits.EARLY, 10)
    credits.give(counters[0], credits.EARLY, 40)
    assert [credits.take(counters[0]) for _ in range(3)] == [11, 31, 41]
    assert [credits.take(counters[1]) for _ in range(2)] == [0, 0]
