"""The stimulus: inputs as beats of the accelerator, and as the bench's hexadecimal file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.pass_events import pass_events


def input_beats(image: Image, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
    """The beats of a batch, int64 (beats,), with `last` in the bit above the data.

    Parameters
    ----------
    inputs
        Checked integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
        Every nonzero value is an event, equal values of a neuron in one pass are one beat, and a
        beat with `last` and no event ends a frame or a pass.
    """
    source, layout = image.input, image.input.event
    shape = (*source.shape, 1, 1)[:3]
    steps = 1 if source.direct else image.steps_per_pass
    frames = np.asarray(inputs, np.int64).reshape(-1, int(np.prod(shape)))
    events = pass_events(frames, steps)
    c, y, x = np.unravel_index(events.neuron, shape)
    words = layout.pack(x=x, y=y, c=c, value=events.value, steps=events.steps)
    ends = np.cumsum(np.bincount(events.frame, minlength=len(frames) // steps))
    return np.insert(words, ends, 1 << max(layout.width, 1))


def beats_text(beats: NDArray[np.int64]) -> str:
    """The beats as the bench's Verilog reads them: one hexadecimal number per line."""
    return "".join(f"{beat:x}\n" for beat in beats.tolist())
