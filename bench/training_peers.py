"""The same network in training by Spikewright, snnTorch and SpikingJelly, for `training_speed`.

A peer's network has the layers of our recipe, in floats: nn.Linear or nn.Conv2d, batch norm where
ours has it, average pooling for sum pooling, their own neurons with our leak and reset, and logits
that are the mean of the last layer's output over time, as our readout integrates. Both use the
surrogate of their own examples, arctan, and torch's Adam. They are written as in their
documentation:

- snnTorch: a loop over time steps through all layers, with membranes passed by the program
- SpikingJelly: multi-step mode, where a layer gets all time steps as one batch before its neurons

The image is the same at every step. Their examples pass it through the first layer in each of them;
with `once` the first layer computes once and its result is used T times, as in ours.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from spikewright.model.architecture import Layer
from spikewright.model.data.dataset import DataSet
from spikewright.model.methods.prune import prune_to
from spikewright.model.recipes.recipe import Recipe, from_dict
from spikewright.model.training.train import exact_settings
from spikewright.model.training.trainer import Trainer

EPOCHS = 10000  # of one batch each: no step of a bench reaches what a recipe does later on
LEAK = 0.125


class Contestant(Protocol):
    """A network in training on one batch."""

    def step(self) -> float:
        """Forward, loss, backward, Adam; returns the loss."""
        ...


@dataclass(frozen=True)
class Case:
    """A network and the size of its batch; images are 28 x 28 bytes."""

    name: str
    layers: tuple[str, ...]
    timesteps: int
    batch: int
    leak: float = 0.0

    def recipe(self, batch_norm: bool) -> Recipe:
        """Four bits, nothing pruned, no augmentation, no penalty."""
        leak = {"leak": self.leak, "leak_shift": 3} if self.leak else {"leak": "none"}
        return from_dict(
            {
                "name": "bench",
                "data": "mnist",
                "timesteps": self.timesteps,
                "layers": list(self.layers),
                "neuron": leak | {"batch_norm": batch_norm},
                "quantization": {"weight_bits": [4]},
                "training": {"epochs": EPOCHS, "batch_size": self.batch},
            }
        )


CASES = (
    Case("784-512-10", ("512", "10"), 8, 256, LEAK),
    Case("16C3-P2-32C3-P2-10", ("16C3", "P2", "32C3", "P2", "10"), 2, 64),
    Case("16C3-P2-32C3-P2-10", ("16C3", "P2", "32C3", "P2", "10"), 4, 64),
)


def random_images(seed: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise in 19 % of the pixels, as many as MNIST has, and random classes."""
    rng = np.random.default_rng(seed)
    shape = (count, 1, 28, 28)
    images = rng.integers(1, 256, shape) * (rng.random(shape) < 0.19)
    return images.astype(np.uint8), rng.integers(0, 10, count)


class Spikewright:
    """Our trainer itself, with 4-bit weights; below `density` 1 only the largest are kept."""

    def __init__(self, case: Case, batch_norm: bool, seed: int, density: float = 1.0) -> None:
        images, labels = random_images(seed, case.batch)
        dataset = DataSet("mnist", images, labels, images, labels, 10, 8, "direct")
        with exact_settings(1):
            self.trainer = Trainer(case.recipe(batch_norm), dataset)
            if density < 1:
                prune_to(self.trainer.network, density, "uniform")
        self.trainer.network.train()
        self.images = torch.from_numpy(images.astype(np.float32))
        self.labels = torch.from_numpy(labels)
        self.steps = 0

    def step(self) -> float:
        """As in training, with its deterministic kernels."""
        with exact_settings(1):
            loss = self.trainer.one_step(self.steps, self.images, self.labels)
        self.steps += 1
        return loss


def _stack(layer: Layer, batch_norm: bool) -> nn.Sequential:
    """Everything in front of a layer's neurons, in floats."""
    out, into = layer.weight_shape[:2]
    normal = batch_norm and not layer.readout
    modules: list[nn.Module] = [nn.AvgPool2d(layer.pool)] if layer.pool > 1 else []
    if layer.kind == "conv":
        sizes = (layer.kernel, layer.stride, layer.padding)
        modules.append(nn.Conv2d(into, out, *sizes, bias=not normal))
        modules += [nn.BatchNorm2d(out)] if normal else []
    else:
        modules += [nn.Flatten(), nn.Linear(into, out, bias=not normal)]
        modules += [nn.BatchNorm1d(out)] if normal else []
    return nn.Sequential(*modules)


class Peer:
    """A float network of a peer with its optimiser, under torch's usual settings."""

    def __init__(
        self, network: nn.Module, case: Case, seed: int, after: Callable[[], None]
    ) -> None:
        images, labels = random_images(seed, case.batch)
        self.network, self.after = network, after
        self.images = torch.from_numpy(images.astype(np.float32) / 255)
        self.labels = torch.from_numpy(labels)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(self) -> float:
        """As their documentation has it."""
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.network(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        self.after()
        return float(loss.detach())


class SnnTorchNetwork(nn.Module):
    """Leaky neurons between stacks of torch's layers, stepped in a loop."""

    def __init__(self, case: Case, batch_norm: bool, once: bool) -> None:
        super().__init__()
        snn: Any = importlib.import_module("snntorch")
        *hidden, last = case.recipe(batch_norm).architecture()
        self.timesteps, self.once = case.timesteps, once
        self.stacks = nn.ModuleList(_stack(layer, batch_norm) for layer in hidden)
        self.neurons = nn.ModuleList(snn.Leaky(beta=1 - case.leak) for _ in hidden)
        self.readout = _stack(last, batch_norm)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, C, H, W)."""
        neurons: Any = self.neurons
        membranes = [neuron.reset_mem() for neuron in neurons]
        first = self.stacks[0](images) if self.once else None
        logits = torch.zeros(())
        for _ in range(self.timesteps):
            values = images
            for index, (stack, neuron) in enumerate(zip(self.stacks, neurons, strict=True)):
                current = first if first is not None and index == 0 else stack(values)
                values, membranes[index] = neuron(current, membranes[index])
            logits = logits + self.readout(values)
        return logits / self.timesteps


class SpikingJellyNetwork(nn.Module):
    """Multi-step neurons between stacks that see T * batch rows."""

    def __init__(self, case: Case, batch_norm: bool, once: bool) -> None:
        super().__init__()
        base = "spikingjelly.activation_based"
        layer, neuron, surrogate = (
            importlib.import_module(f"{base}.{name}") for name in ("layer", "neuron", "surrogate")
        )
        *hidden, last = case.recipe(batch_norm).architecture()
        self.timesteps, self.once = case.timesteps, once
        options = {"v_reset": None, "detach_reset": True, "step_mode": "m"}

        def neurons() -> nn.Module:
            if case.leak == 0:
                return neuron.IFNode(surrogate_function=surrogate.ATan(), **options)
            return neuron.LIFNode(
                1 / case.leak, False, surrogate_function=surrogate.ATan(), **options
            )

        parts: list[nn.Module] = []
        for hidden_layer in hidden:
            parts += [layer.SeqToANNContainer(*_stack(hidden_layer, batch_norm)), neurons()]
        self.first = _stack(hidden[0], batch_norm) if once else nn.Identity()
        self.rest = nn.Sequential(
            *parts[1 if once else 0 :], layer.SeqToANNContainer(*_stack(last, batch_norm))
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, C, H, W)."""
        values = self.first(images)
        values = values.unsqueeze(0).expand(self.timesteps, *values.shape)
        return self.rest(values).mean(0)


def snntorch(case: Case, batch_norm: bool, once: bool, seed: int) -> Peer:
    """A network of snnTorch in training; a forward pass starts with new membranes."""
    torch.manual_seed(seed)
    return Peer(SnnTorchNetwork(case, batch_norm, once), case, seed, lambda: None)


def spikingjelly(case: Case, batch_norm: bool, once: bool, seed: int) -> Peer:
    """One of SpikingJelly; its neurons have to be reset after every batch."""
    # torch tells, at SpikingJelly's operators, that there is no Triton, which a CPU does not need
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    network = SpikingJellyNetwork(case, batch_norm, once)
    tools: Any = importlib.import_module("spikingjelly.activation_based.functional")
    return Peer(network, case, seed, lambda: tools.reset_net(network))
