"""The chain of equality with programs that are made up: counts, names, batches, memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden import equality_chain
from spikewright.golden.equality_chain import (
    BATCH,
    Link,
    Program,
    Recorder,
    follow,
    recorded_program,
)
from spikewright.golden.errors import CheckFailed
from spikewright.golden.network.trace import Trace

IMAGES = 2 * BATCH + 5


def trace(images: int = IMAGES) -> Trace:
    rng = np.random.default_rng(0)
    return Trace(
        {"lif": rng.integers(0, 2, (images, 3, 4)).astype(np.uint8)},
        {"lif": rng.integers(-9, 9, (images, 3, 4)), "out": rng.integers(-9, 9, (images, 3, 2))},
        rng.integers(-9, 9, (images, 2)),
    )


def changed(image: int) -> Trace:
    whole = trace()
    membranes = {name: values.copy() for name, values in whole.membranes.items()}
    membranes["lif"][image, 1, 3] += 5
    return replace(whole, membranes=membranes)


def chain(**traces: Trace) -> list[Program]:
    return [recorded_program(name, {"": each}) for name, each in traces.items()]


def test_equal_programs():
    equality = follow(chain(a=trace(), b=trace(), c=trace()), IMAGES)
    assert [link.name for link in equality.links] == ["a == b", "b == c"]
    for link in equality.links:
        assert (link.images, link.spikes) == (IMAGES, 12 * IMAGES)
        assert (link.membranes, link.logits) == (18 * IMAGES, 2 * IMAGES)
    assert equality.values == 2 * 32 * IMAGES
    assert (equality.mismatches, equality.first) == (0, None)
    equality.require()


@pytest.mark.parametrize("place", range(3))
def test_a_difference_breaks_the_links_beside_it_and_is_named(place):
    image = BATCH + 3
    traces = {name: changed(image) if k == place else trace() for k, name in enumerate("abc")}
    equality = follow(chain(**traces), IMAGES)
    broken = [link.name for link in equality.links if link.mismatches]
    assert broken == [["a == b"], ["a == b", "b == c"], ["b == c"]][place]
    assert equality.mismatches == len(broken)
    right = trace().membranes["lif"][image, 1, 3]
    expected, actual = (right + 5, right) if place == 0 else (right, right + 5)
    assert equality.first == (
        f"{broken[0]}: image {image}, step 1, node 'lif', neuron (3,): "
        f"membrane is {actual}, expected {expected}"
    )
    with pytest.raises(CheckFailed, match=f"{len(broken)} values differ; first: {broken[0]}: imag"):
        equality.require()


def test_every_run_of_a_program_is_compared():
    runs = {"at 0 %": trace(), "at 25 %": trace(), "at 50 %": changed(2)}
    equality = follow([*chain(a=trace()), recorded_program("b", runs)], IMAGES)
    (link,) = equality.links
    assert (link.spikes, link.mismatches) == (3 * 12 * IMAGES, 1)
    assert link.first is not None
    assert link.first.startswith("a == b at 50 %: image 2, step 1")


def test_programs_run_once_in_batches_and_only_spikes_are_kept():
    parts, progress = [], []

    def run(part: slice) -> Trace:
        parts.append((part.start, part.stop))
        return trace(part.stop - part.start)

    spikes, everything = Recorder("a"), Recorder("a", membranes=True)

    def observe(traces):
        spikes(traces)
        everything(traces)

    programs = [Program.of("a", run), Program.of("b", lambda part: trace(part.stop - part.start))]
    follow(programs, IMAGES, observe, lambda *call: progress.append(call[:2]))
    assert parts == [(0, BATCH), (BATCH, 2 * BATCH), (2 * BATCH, IMAGES)]
    assert progress == [(stop, IMAGES) for _, stop in parts]
    assert spikes.trace.spikes["lif"].shape == (IMAGES, 3, 4)
    assert spikes.trace.membranes == {}
    assert everything.trace.membranes["out"].shape == (IMAGES, 3, 2)


def test_no_images(monkeypatch):
    monkeypatch.setattr(equality_chain, "BATCH", 7)
    recorder = Recorder("a")
    equality = follow(chain(a=trace(0), b=trace(0)), 0, recorder)
    assert equality.values == 0
    assert len(recorder.trace.logits) == 0


def test_a_link_survives_json():
    (link,) = follow(chain(a=trace(), b=changed(1)), IMAGES).links
    assert Link.from_dict(link.as_dict()) == link
