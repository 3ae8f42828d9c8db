"""Networks of the papers by name, as layer words of `model.architecture`.

`vgg5` .. `vgg16` count convolutions and fully connected layers; `resnet12` and `resnet20` count
both convolutions of every block, not the projections. Widths are those of the CIFAR networks of
Rathi and Roy (DIET-SNN); `vgg9` with one fully connected layer is that of Chowdhury et al. (IJCNN
2021), with pools where the width grows. A `width` factor scales every layer but the last.
"""

from __future__ import annotations

from spikewright.golden.network.nodes import Shape

_LAST = 0  # in place of the number of classes

# Convolutions by width, "pool" between them; then the fully connected layers.
_VGG: dict[str, tuple[tuple[int | str, ...], tuple[int, ...]]] = {
    "vgg5": ((64, "pool", 128, 128, "pool"), (1024, _LAST)),
    "vgg9": (
        (64, "pool", 128, 128, "pool", 256, 256, "pool", 512, 512, 512, "pool"), (_LAST,)
    ),
    "vgg11": (
        (64, "pool", 128, 256, "pool", 512, 512, 512, "pool", 512, "pool", 512),
        (4096, 4096, _LAST),
    ),
    "vgg16": (
        (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool",
         512, 512, 512),
        (4096, 4096, _LAST),
    ),
}  # fmt: skip

# Three convolutions and a pool, then blocks by (width, stride).
_RESNET: dict[str, tuple[tuple[int, int], ...]] = {
    "resnet12": ((64, 1), (128, 2), (256, 2), (512, 2)),
    "resnet20": ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)),
}

NAMES = (*_VGG, *_RESNET)


def spell(name: str, width: float, pooling: str, frame: Shape, classes: int) -> tuple[str, ...]:
    """The words of topology `name` for frames (C, H, W).

    `pooling` is "sum" or "max". A pool is left out where the map is already smaller than its
    window, as with the 8 x 8 images of digits.

    >>> spell("vgg5", 0.125, "max", (1, 8, 8), 10)
    ('8C3', 'M2', '16C3', '16C3', 'M2', '128', '10')
    >>> spell("resnet12", 0.125, "sum", (3, 32, 32), 10)[3:6]
    ('P2', '8R3', '16R3s2')
    """
    letter, side = "P" if pooling == "sum" else "M", min(frame[1:])
    if name in _VGG:
        convolutions, ends = _VGG[name]
        steps = [step if step == "pool" else f"{scaled(int(step), width)}C3"
                 for step in convolutions]  # fmt: skip
    else:
        ends = (_LAST,)
        steps = [*[f"{scaled(64, width)}C3"] * 3, "pool"]
        steps += [f"{scaled(wide, width)}R3{f's{stride}' if stride > 1 else ''}"
                  for wide, stride in _RESNET[name]]  # fmt: skip
    words: list[str] = []
    for step in steps:
        if step != "pool":
            words.append(str(step))
        elif side >= 2:
            words.append(f"{letter}2")
            side //= 2
    return (*words, *(str(classes if end == _LAST else scaled(end, width)) for end in ends))


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded (floor(x + 0.5)), at least 1.

    >>> scaled(64, 0.25), scaled(1, 0.25), scaled(10, 0.25)
    (16, 1, 3)
    """
    return max(1, int(channels * width + 0.5))
