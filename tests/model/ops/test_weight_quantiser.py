"""The fused quantiser: every bit of Brevitas', forward and backward, and gradients by hand."""

from __future__ import annotations

import pytest
import torch

from spikewright.model import architecture
from spikewright.model.layers.synapse import Synapse
from spikewright.model.ops import weight_quantiser
from spikewright.model.ops.straight_through import round_ste

WIDE = ("16C3", "24", "10"), (3, 8, 8)
ODD = ("8C1", "32C3", "P2", "5"), (32, 8, 8)


def synapses(
    words: tuple[str, ...], shape: tuple[int, int, int], bits: int, seed: int
) -> list[Synapse]:
    """Random weights; one channel empty, two of the largest weights alike, most weights pruned."""
    generator = torch.Generator().manual_seed(seed)
    layers = architecture.parse("test", words, shape, 255, 255, (bits,))
    found = [Synapse(path, 1.0, generator) for path in architecture.weighted(layers)]
    for synapse in found:
        with torch.no_grad():
            kept = torch.rand(synapse.weight.shape, generator=generator) < 0.3
            synapse.weight.mul_(kept if seed else 1)
            synapse.weight[0] = 0
            for row in synapse.weight[1:].flatten(1):
                row[2] = -row.abs().max()
            synapse.weight[2] = synapse.weight[1]
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("network", [WIDE, ODD])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_all_bits_are_those_of_brevitas(
    network: tuple[tuple[str, ...], tuple[int, int, int]],
    bits: int,
    seed: int,
    layout: torch.memory_format,
) -> None:
    for synapse in synapses(*network, bits, seed):
        found = []
        for fused in (True, False):
            synapse.weight.grad = None
            if fused:
                whole, scale = weight_quantiser.quantise(
                    synapse.weight, synapse.largest, synapse.readout
                )
            else:
                quantised = synapse.quantised.quant_weight()  # type: ignore[operator] (brevitas)
                scale = quantised.scale.detach()
                whole = round_ste(quantised.value / scale)
            grad = torch.randn(whole.shape, generator=torch.Generator().manual_seed(seed))
            whole.backward(grad.contiguous(memory_format=layout) if grad.ndim == 4 else grad)
            assert synapse.weight.grad is not None
            parts = (whole.detach(), scale.flatten(), synapse.weight.grad)
            found.append([part.contiguous().numpy().tobytes() for part in parts])
        assert found[0] == found[1]


def test_by_hand() -> None:
    """Scale 1: 1.4 and 0.2 are rounded, -3 is the largest. The scale's slope goes to it alone."""
    weight = torch.tensor([[1.4, -3.0, 0.2]], requires_grad=True)
    whole, scale = weight_quantiser.quantise(weight, 3, False)
    assert scale.tolist() == [1.0]
    assert whole.tolist() == [[1.0, -3.0, 0.0]]
    whole.backward(torch.tensor([[1.0, 10.0, 100.0]]))
    assert weight.grad is not None
    # d scale = sum of g (whole - w / scale) = -0.4 + 0 - 20; over 3, times the sign of -3
    assert weight.grad.flatten().tolist() == pytest.approx([1.0, 10 + 20.4 / 3, 100.0], rel=1e-5)


def test_the_largest_of_all_share_the_slope() -> None:
    weight = torch.tensor([[2.0, 0.4], [-2.0, 0.0]], requires_grad=True)
    whole, scale = weight_quantiser.quantise(weight, 1, True)
    assert (scale.tolist(), whole.tolist()) == ([2.0], [[1.0, 0.0], [-1.0, 0.0]])
    whole.backward(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert weight.grad is not None
    # g / scale * (0 - 0.2) in all, half of it for each of the two
    expected = [[-0.05 * 2, 0.5 * 2], [0.05 * 2, 0.0]]
    found = (weight.grad * 2).tolist()
    assert found == [pytest.approx(row) for row in expected]
