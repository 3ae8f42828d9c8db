"""Convolutions with stride, groups and padding of each side: by hand, and against torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, Operation, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.operations import fan_out
from spikewright.golden.network.trace import Trace
from spikewright.golden.network.widths import drive_bounds

models = pytest.mark.parametrize("run", [reference.run, engine.run], ids=["reference", "engine"])
Run = Callable[..., Trace]


def drive_of(run: Run, operations: tuple[Operation, ...], frames: np.ndarray) -> np.ndarray:
    """What one step delivers (batch, *shape): the membranes of neurons that cannot fire.

    A map before it, which passes the frame on as spikes, shows that hidden maps do the same.
    """
    shape = frames.shape[1:]
    edge = Edge("map", "a", operations)
    out = edge.output_shape(shape)
    zeros, high = np.zeros(out[0], int), np.full(out[0], 2**23 - 1)
    copy = np.eye(shape[0], dtype=np.int8)[:, :, None, None]
    network = Network(
        1,
        (
            Input("input", shape, "direct", 1),
            LIF("map", shape, np.ones(shape[0], int), np.zeros(shape[0], int), 0, 0, "zero", 4),
            LIF("a", out, high, zeros, 0, 0, "zero", 24),
            Readout("readout", (1,), np.array([0])),
        ),
        (
            Edge("input", "map", (Conv2d(copy, 2),)),
            edge,
            Edge("a", "readout", (Linear(np.zeros((1, int(np.prod(out))), np.int8), 2),)),
        ),
    )
    return run(network, frames).membranes["a"][:, 0]


LINE = np.array([[[[1, 2, 4]]]], np.int8)  # 1 x 3: which taps were hit shows in the sum


@models
@pytest.mark.parametrize(
    ("stride", "padding", "expected"),
    [
        # The line 1 0 1 1 0 1, windows of three columns.
        ((1, 1), (0, 0), [5, 6, 3, 5]),
        ((1, 2), (0, 0), [5, 3]),  # the last column is in no window
        ((1, 2), (0, 0, 1, 0), [2, 6, 5]),  # windows from -1, 1, 3
        ((1, 2), (0, 0, 0, 1), [5, 3, 2]),
        ((1, 2), (0, 0, 2, 0), [4, 5, 3]),
        ((1, 3), (0, 0, 1, 2), [2, 3, 1]),
        ((1, 4), (0, 0), [5]),  # columns 3 to 5 are in no window
        ((1, 4), (0, 0, 2, 0), [4, 3]),  # column 1 is between the windows
    ],
)
def test_strides_and_sides_of_a_line(
    run: Run, stride: tuple[int, int], padding: tuple[int, ...], expected: list[int]
) -> None:
    frame = np.array([[[[1, 0, 1, 1, 0, 1]]]])
    across = Conv2d(LINE, 4, padding, stride)
    assert drive_of(run, (across,), frame).tolist() == [[[expected]]]
    upright = Conv2d(LINE.swapaxes(2, 3), 4, (*padding[2:], *padding[:2]), stride[::-1])
    column = drive_of(run, (upright,), frame.swapaxes(2, 3))
    assert column.ravel().tolist() == expected


@models
def test_a_stride_over_the_kernel_looks_at_single_places(run: Run) -> None:
    frame = np.zeros((1, 1, 5, 7), int)
    frame[0, 0, ::2, ::3] = 1  # exactly what the kernel sees
    sees, misses = frame, 1 - frame
    convolution = (Conv2d(np.array([[[[3]]]], np.int8), 3, stride=(2, 3)),)
    assert drive_of(run, convolution, sees).tolist() == [[[[3] * 3] * 3]]
    assert not drive_of(run, convolution, misses).any()


@models
def test_groups_see_their_own_channels(run: Run) -> None:
    # Four source channels, two groups, three targets in each.
    weight = np.array([[1, 2], [3, 0], [0, 4], [5, -6], [0, 0], [-7, 1]], np.int8)
    convolution = Conv2d(weight[:, :, None, None], 4, groups=2)
    frames = np.eye(4, dtype=int)[:, :, None, None]
    assert drive_of(run, (convolution,), frames)[:, :, 0, 0].tolist() == [
        [1, 3, 0, 0, 0, 0], [2, 0, 4, 0, 0, 0], [0, 0, 0, 5, 0, -7], [0, 0, 0, -6, 0, 1]
    ]  # fmt: skip


@models
def test_depthwise_with_two_targets_each(run: Run) -> None:
    weight = np.arange(1, 13, dtype=np.int8).reshape(6, 1, 1, 2)
    convolution = Conv2d(weight, 5, groups=3)
    frame = np.array([[[[1, 0]], [[0, 1]], [[1, 1]]]])
    expected = [1, 3, 6, 8, 9 + 10, 11 + 12]
    assert drive_of(run, (convolution,), frame).ravel().tolist() == expected


@models
def test_a_pool_that_crops_before_a_stride(run: Run) -> None:
    frame = np.ones((1, 1, 2, 11), int)
    frame[..., :2] = 0
    # Five windows of 2 x 2 (0 4 4 4 4), the eleventh column is dropped; then every other pair.
    operations = (SumPool2d((2, 2)), Conv2d(LINE[..., :2], 4, (0, 0, 1, 0), (1, 2)))
    assert drive_of(run, operations, frame).tolist() == [[[[0, 12, 12]]]]


def random_convolution(seed: int) -> tuple[Conv2d, tuple[int, int, int]]:
    """Any options, and a map that it fits; larger and with wider strides than the fuzz has."""
    rng = np.random.default_rng(seed)
    ky, kx = rng.integers(1, 6, 2).tolist()
    groups = int(rng.choice((1, 2, 3, 4)))
    inputs, outputs = rng.integers(1, 4, 2).tolist()
    top, bottom = rng.integers(0, ky, 2).tolist()
    left, right = rng.integers(0, kx, 2).tolist()
    height = int(rng.integers(max(1, ky - top - bottom), 12))
    width = int(rng.integers(max(1, kx - left - right), 12))
    weight = rng.integers(-8, 8, (outputs * groups, inputs, ky, kx)).astype(np.int8)
    stride = tuple(rng.integers(1, 7, 2).tolist())
    convolution = Conv2d(weight, 4, (top, bottom, left, right), stride, groups)
    return convolution, (inputs * groups, height, width)


def torch_conv(convolution: Conv2d, frames: np.ndarray) -> np.ndarray:
    top, bottom, left, right = convolution.padding
    padded = functional.pad(torch.tensor(frames, dtype=torch.float64), (left, right, top, bottom))
    weight = torch.tensor(convolution.weight, dtype=torch.float64)
    return functional.conv2d(
        padded, weight, stride=convolution.stride, groups=convolution.groups
    ).numpy()


@pytest.mark.parametrize("seed", range(150))
def test_everything_equals_torch(seed: int) -> None:
    convolution, shape = random_convolution(seed)
    frames = (np.random.default_rng(seed).random((3, *shape)) < 0.6).astype(np.int64)
    expected = torch_conv(convolution, frames)
    assert convolution.output_shape(shape) == expected.shape[1:]
    for run in (reference.run, engine.run):
        assert np.array_equal(drive_of(run, (convolution,), frames), expected)


@pytest.mark.parametrize("seed", range(60))
def test_bounds_and_fan_out_equal_torch(seed: int) -> None:
    """One event at a time, through torch, tells every weight that exists."""
    convolution, shape = random_convolution(seed)
    edge = Edge("s", "a", (convolution,))
    size = int(np.prod(shape))
    weights = torch_conv(convolution, np.eye(size).reshape(size, *shape))
    positive, negative = drive_bounds(edge, Input("s", shape, "direct", 1))
    assert np.array_equal(positive, np.maximum(weights, 0).sum(axis=0))
    assert np.array_equal(negative, np.maximum(-weights, 0).sum(axis=0))
    fans = np.count_nonzero(weights.reshape(size, -1), axis=1)
    assert np.array_equal(fan_out(edge, shape).ravel(), fans)


def test_padding_is_kept_as_four_numbers() -> None:
    weight = np.ones((1, 1, 4, 5), np.int8)
    assert Conv2d(weight, 2).padding == (0, 0, 0, 0)
    assert Conv2d(weight, 2, (1, 2)).padding == (1, 1, 2, 2)
    assert Conv2d(weight, 2, (3, 1, 2, 0)).padding == (3, 1, 2, 0)
    assert Conv2d(weight, 2, [np.int64(1), 2]).padding == (1, 1, 2, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": 1}, r"padding is 1, must be two numbers >= 0 \(rows, columns\), or four"),
        ({"padding": (1, 1, 1)}, r"padding is \(1, 1, 1\), must be two numbers"),
        ({"padding": (1, 0.5)}, r"padding is \(1, 0\.5\), must be two numbers"),
        ({"padding": (0, -1)}, r"padding is \(0, -1\), must be two numbers >= 0"),
        ({"padding": (3, 1)}, r"padding is \(3, 1\), must be smaller than the kernel \(3, 2\)"),
        ({"padding": (0, 0, 0, 2)}, r"padding is \(0, 0, 0, 2\), must be smaller"),
        ({"stride": 2}, r"stride is 2, must be two numbers 1\.\.16"),
        ({"stride": (1, 0)}, r"stride is \(1, 0\), must be two numbers 1\.\.16"),
        ({"stride": (17, 1)}, r"stride is \(17, 1\), must be two numbers 1\.\.16"),
        ({"groups": 0}, "groups is 0, must be a number >= 1 that divides the 4 target channels"),
        ({"groups": 3}, "groups is 3, must be a number >= 1 that divides the 4 target channels"),
        ({"groups": 1.5}, r"groups is 1\.5, must be a number"),
    ],
)
def test_options_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=f"Conv2d: {message}"):
        Conv2d(np.ones((4, 2, 3, 2), np.int8), 2, **options)


@pytest.mark.parametrize(
    ("groups", "shape", "message"),
    [
        (1, (4, 9, 9), r"weight shape is \(4, 2, 3, 2\), must be \(out, 4, ky, kx\)"),
        (2, (2, 9, 9), r"weight shape is \(4, 2, 3, 2\), must be \(out, 1, ky, kx\)"),
        (2, (3, 9, 9), "groups is 2, must be a divisor of the 3 source channels"),
        (1, (2, 1, 9), r"kernel is \(3, 2\), must be no larger than the padded \(2, 1, 9\)"),
        (1, (18,), r"source shape is \(18,\), must be \(C, H, W\)"),
    ],
)
def test_maps_that_do_not_fit(groups: int, shape: tuple[int, ...], message: str) -> None:
    convolution = Conv2d(np.ones((4, 2, 3, 2), np.int8), 2, (1, 0, 0, 0), groups=groups)
    with pytest.raises(BadInput, match=message):
        convolution.output_shape(shape)
    assert convolution.output_shape((2 * groups, 2, 2)) == (4, 1, 1)
