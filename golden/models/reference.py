"""The reference: the integer network, dense, step by step, as the specification is written.

This program is written to be read beside `golden.network.nodes`; the engine
(`golden.models.engine`) is a second one, written from the same text for speed. Neither calls the
other, so that each can catch the other's mistakes.

Matrix products run in float64, and are exact there: along one edge a source neuron meets a target
neuron through at most one weight, so no sum of products exceeds (neurons <= 2^22) x
(|event| <= 2^8) x (|weight| <= 2^7) = 2^37, far below 2^53, where float64 stops holding every
integer. Sum pooling only regroups the same products. All other arithmetic is int64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Readout
from spikewright.golden.network.trace import Trace


def run(network: Network, inputs: NDArray[np.generic]) -> Trace:
    """Every spike, every membrane and the logits of a batch of inferences.

    Parameters
    ----------
    network
        The integer network.
    inputs
        Integers, (batch, *shape) for direct coding, (batch, timesteps, *shape) for events.

    Returns
    -------
    Trace
        Membranes at the end of each step, after reset and clamp.

    Raises
    ------
    BadInput
        If the inputs do not fit the network's input node.
    """
    frames = network.check_inputs(inputs)
    start = {node.name: np.zeros((len(frames), *node.shape), np.int64) for node in network.neurons}
    v = dict(start)
    fired: dict[str, Ints] = {node.name: start[node.name] for node in network.hidden}
    spikes: dict[str, list[Ints]] = {node.name: [] for node in network.hidden}
    membranes: dict[str, list[Ints]] = {node.name: [] for node in network.neurons}

    for step in range(network.timesteps):
        previous, fired = fired, {}
        fired[network.input.name] = frames if network.input.coding == "direct" else frames[:, step]
        for node in network.neurons:
            drive = start[node.name]
            for edge in network.into(node.name):
                drive = drive + summed(edge, (previous if edge.delay else fired)[edge.source])
            if isinstance(node, LIF):
                v[node.name], fired[node.name] = lif_step(node, v[node.name], drive)
                spikes[node.name].append(fired[node.name])
            else:
                v[node.name] = readout_step(node, v[node.name], drive)
            membranes[node.name].append(v[node.name])

    output = network.output
    spiking = isinstance(output, LIF)
    return Trace(
        spikes={name: np.stack(steps, axis=1).astype(np.uint8) for name, steps in spikes.items()},
        membranes={name: np.stack(steps, axis=1) for name, steps in membranes.items()},
        logits=np.stack(spikes[output.name]).sum(axis=0) if spiking else v[output.name],
    )


def lif_step(node: LIF, v: Ints, drive: Ints) -> tuple[Ints, Ints]:
    """One step of LIF neurons: (membrane at the end of the step, spikes as 0 or 1).

    `v` and `drive` are (batch, *shape); `drive` is the sum of weights, without the bias.

    >>> node = LIF("a", (1,), [5], [0], leak_mul=1, leak_shift=1, reset="subtract", membrane_bits=4)
    >>> def step(v, drive):
    ...     v, fired = lif_step(node, np.array([[v]]), np.array([[drive]]))
    ...     return int(v[0, 0]), int(fired[0, 0])
    >>> step(0, 5)          # equal to the threshold fires
    (0, 1)
    >>> step(-1, 0)         # -1 - floor(-0.5) = 0: the leak floors
    (0, 0)
    >>> step(-3, 0), step(3, 0)
    ((-1, 0), (2, 0))
    >>> step(0, 20)         # fires once only, then clamps 15 to 7
    (7, 1)
    >>> step(-8, -9)        # clamps -13 to -8
    (-8, 0)
    """
    integrated = leaked(v, node.leak_mul, node.leak_shift) + drive + per_channel(node.bias, v)
    threshold = per_channel(node.threshold, v)
    fired = integrated >= threshold
    kept = integrated - threshold if node.reset == "subtract" else np.zeros_like(integrated)
    after_reset = np.where(fired, kept, integrated)
    return np.clip(after_reset, node.lowest, node.highest), fired.astype(np.int64)


def readout_step(node: Readout, v: Ints, drive: Ints) -> Ints:
    """One step of integrators that never fire, reset or clamp; shapes as in `lif_step`."""
    return leaked(v, node.leak_mul, node.leak_shift) + drive + per_channel(node.bias, v)


def leaked(v: Ints, leak_mul: int, leak_shift: int) -> Ints:
    """`v - ((v * leak_mul) >> leak_shift)`: an arithmetic shift, so the quotient floors.

    >>> leaked(np.array([-5, -2, -1, 0, 1, 2, 5]), 1, 1).tolist()
    [-2, -1, 0, 0, 1, 1, 3]
    >>> leaked(np.array([-5, 5]), 0, 3).tolist()    # no leak
    [-5, 5]
    >>> leaked(np.array([-5, 5]), 8, 3).tolist()    # everything leaks
    [0, 0]
    """
    return v - ((v * leak_mul) >> leak_shift)


def per_channel(values: Ints, like: Ints) -> Ints:
    """One value per channel, shaped to broadcast over (batch, channel, ...)."""
    return values.reshape(1, -1, *[1] * (like.ndim - 2))


def summed(edge: Edge, events: Ints) -> Ints:
    """The drive of the target: the sum of weights times events, (batch, *target shape)."""
    for operation in edge.operations:
        if isinstance(operation, SumPool2d | MaxPool2d):
            events = pooled(operation, events)
        elif isinstance(operation, Identity):
            events = events * per_channel(operation.gain.astype(np.int64), events)
        elif isinstance(operation, Linear):
            flat = events.reshape(len(events), operation.weight.shape[1])
            events = exact_product(flat, operation.weight.T)
        else:
            events = correlated(operation, events)
    return events


def pooled(operation: SumPool2d | MaxPool2d, events: Ints) -> Ints:
    """Sum, or maximum, over windows that do not overlap; one that does not fit whole is dropped.

    >>> pooled(SumPool2d((2, 2)), np.arange(15).reshape(1, 1, 3, 5)).tolist()
    [[[[12, 20]]]]
    >>> pooled(MaxPool2d((1, 2)), np.array([[[[0, 1, 1, 1, 1]]]])).tolist()
    [[[[1, 1]]]]
    """
    ky, kx = operation.kernel_size
    batch, channels, height, width = events.shape
    rows, columns = height // ky, width // kx
    windows = events[:, :, : rows * ky, : columns * kx].reshape(
        batch, channels, rows, ky, columns, kx
    )
    if isinstance(operation, MaxPool2d):
        return windows.max(axis=(3, 5))
    return windows.sum(axis=(3, 5))


def correlated(operation: Conv2d, events: Ints) -> Ints:
    """A correlation (the kernel is not flipped) over zero-padded events, one kernel tap at a time.

    >>> kernel = np.array([[[[1, 2, 3]]]])
    >>> correlated(Conv2d(kernel, 4, padding=(0, 1)), np.array([[[[1, 0, 0]]]])).tolist()
    [[[[2, 1, 0]]]]
    >>> every_other = Conv2d(kernel, 4, padding=(0, 0, 1, 0), stride=(1, 2))
    >>> correlated(every_other, np.array([[[[1, 0, 0, 10]]]])).tolist()     # from column -1, 1
    [[[[2, 30]]]]
    >>> own_channel = Conv2d(np.array([[[[2]]], [[[3]]]]), 4, groups=2)
    >>> correlated(own_channel, np.array([[[[1]], [[10]]]])).tolist()
    [[[[2]], [[30]]]]
    """
    top, bottom, left, right = operation.padding
    padded = np.pad(events, ((0, 0), (0, 0), (top, bottom), (left, right)))
    out, inputs, ky, kx = operation.weight.shape
    groups, (step_y, step_x) = operation.groups, operation.stride
    batch, _, height, width = padded.shape
    rows, columns = (height - ky) // step_y + 1, (width - kx) // step_x + 1
    weight = operation.weight.reshape(groups, out // groups, inputs, ky, kx)
    total = np.zeros((groups, batch * rows * columns, out // groups), np.int64)
    for dy in range(ky):
        for dx in range(kx):
            seen = padded[:, :, dy::step_y, dx::step_x][:, :, :rows, :columns]
            seen = seen.reshape(batch, groups, inputs, rows, columns).transpose(1, 0, 3, 4, 2)
            seen = seen.reshape(groups, batch * rows * columns, inputs)
            total += exact_product(seen, weight[:, :, :, dy, dx].transpose(0, 2, 1))
    maps = total.reshape(groups, batch, rows, columns, out // groups)
    return maps.transpose(1, 0, 4, 2, 3).reshape(batch, out, rows, columns)


def exact_product(left: NDArray[np.generic], right: NDArray[np.generic]) -> Ints:
    """A matrix product of integers, run in float64; exact, see the head of this file."""
    return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
