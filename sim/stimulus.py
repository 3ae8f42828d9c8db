"""Inputs as the beats that enter the accelerator; one hexadecimal line per beat for the bench."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.image import Image


def input_beats(image: Image, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
    """The beats of a batch, `last` in the bit above the data.

    Parameters
    ----------
    inputs
        Checked integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
        Every value but 0 is an event; one beat with `last` and no event ends a frame or a step.
    """
    channels, height, width = (*image.input.shape, 1, 1)[:3]
    frames = np.asarray(inputs, np.int64).reshape(-1, channels, height, width)
    frame, c, y, x = np.nonzero(frames)
    layout = image.input.event
    words = layout.pack(x=x, y=y, c=c, value=frames[frame, c, y, x])
    ends = np.cumsum(np.bincount(frame, minlength=len(frames)))
    return np.insert(words, ends, 1 << max(layout.width, 1))


def beats_text(beats: NDArray[np.int64]) -> str:
    """The beats as the bench's Verilog reads them."""
    return "".join(f"{beat:x}\n" for beat in beats.tolist())
