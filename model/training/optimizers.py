"""The optimiser of a stage: its kind, and the rate and decay of every kind of parameter.

Kinds are told by the name of a parameter in its layer: `weight` (also a shortcut's gains), `beta`,
the bias; `gamma`, the gain of batch norm; `theta`, the threshold or an ANN's clip; `leak`.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from spikewright.model.recipes.sections import Training

Optimizer = torch.optim.Optimizer


def build(network: nn.Module, training: Training) -> Optimizer:
    """The optimiser of `training` for all parameters of `network`.

    Parameters of the same rate and decay share a group, in the order of the network. A group's
    `share` is its part of the learning rate, `shrink` its decoupled decay.
    """
    shares = {
        "beta": training.bias_rate, "gamma": training.gain_rate, "theta": training.threshold_rate,
        "leak": training.leak_rate,
    }  # fmt: skip
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        kind = name.rpartition(".")[2]
        shrink = training.weight_decay if kind == "weight" else 0.0
        groups.setdefault((shares.get(kind, 1.0), shrink), []).append(parameter)
    described = [
        {"params": members, "share": share, "shrink": shrink}
        for (share, shrink), members in groups.items()
    ]
    rate = training.learning_rate
    if training.optimizer == "adam":
        return torch.optim.Adam(described, lr=rate)
    return torch.optim.SGD(described, lr=rate, momentum=training.momentum, nesterov=True)


def learning_rate(training: Training, step: int, steps: int) -> float:
    """The rate of step number `step`: linear warm-up, then the schedule down to `final_rate`."""
    warm = max(1, round(training.warmup * steps))
    if step < warm:
        return training.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    left = {
        "cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0
    }[training.schedule]  # fmt: skip
    return training.learning_rate * (training.final_rate + (1 - training.final_rate) * left)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every group its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)  # older checkpoints have no shares


def shrink_weights(optimizer: Optimizer) -> None:
    """Decay decoupled from the gradient: before a step, each weight loses rate x decay of itself.

    With Adam this is AdamW (Loshchilov and Hutter, 2019).
    """
    with torch.no_grad():
        for group in optimizer.param_groups:
            if group.get("shrink"):
                for weight in group["params"]:
                    weight.mul_(1 - group["lr"] * group["shrink"])
