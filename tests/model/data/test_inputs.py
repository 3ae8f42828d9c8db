"""What happens to images before a network sees them: augmentation, noise, Poisson coding."""

from __future__ import annotations

import numpy as np

from spikewright.model.data import poisson
from spikewright.model.data.augment import Augmentation, augmented, cut, draw, shifted
from spikewright.model.data.batches import epoch_batches
from spikewright.model.experiments.noise import add_noise


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(1, 17, (count, 2, 6, 5)).astype(np.uint8)


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    rule, labels = Augmentation(2, True, 3), np.arange(64)
    runs = [
        [batch.numpy() for batch, _ in epoch_batches(images(64), labels, 16, rule, *numbers)]
        for numbers in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert all((a == b).all() for a, b in zip(runs[0], runs[1], strict=True))
    assert not (runs[0][0] == runs[2][0]).all()
    assert not (runs[0][0] == runs[3][0]).all()


def test_more_augmentation_leaves_order_and_shifts_as_they_were() -> None:
    labels = np.arange(64)
    plain = list(epoch_batches(images(64), labels, 16, Augmentation(2), 3, 4))
    more = list(epoch_batches(images(64), labels, 16, Augmentation(2, True), 3, 4))
    assert all((a[1] == b[1]).all() for a, b in zip(plain, more, strict=True))
    same = mirrored = 0
    for (left, _), (right, _) in zip(plain, more, strict=True):
        for a, b in zip(left, right, strict=True):
            same += int((a == b).all())
            mirrored += int((a == b.flip(-1)).all())
    assert same + mirrored == 64
    assert 20 < mirrored < 44


def test_alternately_every_image_is_seen_from_both_sides() -> None:
    rule, labels = Augmentation(flip=True, alternating=True), np.arange(64)
    seen: list[dict[int, np.ndarray]] = []
    for epoch in (6, 7, 8):
        batches = epoch_batches(images(64), labels, 16, rule, 3, epoch)
        seen.append(
            {int(n): one.numpy() for many, ns in batches for one, n in zip(many, ns, strict=True)}
        )
    plain = images(64)
    for n in range(64):
        assert (seen[0][n] == seen[1][n][..., ::-1]).all()
        assert (seen[0][n] == seen[2][n]).all()
        assert (seen[0][n] == plain[n]).all() or (seen[1][n] == plain[n]).all()
    assert 20 < sum((seen[0][n] == plain[n]).all() for n in range(64)) < 44


def test_what_moves_in_may_be_the_image_mirrored() -> None:
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4)
    moved = shifted(image, np.array([[1, -2]]), 2, reflect=True)
    assert moved[0, 0].tolist() == [[7, 8, 7, 6], [3, 4, 3, 2], [7, 8, 7, 6]]


def test_a_shift_is_a_crop_of_the_padded_image() -> None:
    source = images(5)
    offsets = np.array([[0, 0], [2, -2], [-1, 1], [2, 2], [0, -2]])
    padded = np.pad(source, [(0, 0), (0, 0), (2, 2), (2, 2)])
    for n, (dy, dx) in enumerate(offsets):
        crop = padded[n, :, 2 - dy : 8 - dy, 2 - dx : 7 - dx]
        assert (shifted(source, offsets, 2)[n] == crop).all()


def test_cutout_takes_a_square_that_may_hang_over() -> None:
    source = images(400)
    rule = Augmentation(cutout=3)
    draws = draw(rule, np.random.default_rng(0), 400, (6, 5))
    changed = augmented(source, rule, draws, np.arange(400))
    zeros = (changed == 0).sum(axis=(2, 3))
    assert (zeros[:, 0] == zeros[:, 1]).all()  # in every channel
    assert zeros.max() == 9
    assert zeros.min() == 4  # its centre stays inside
    assert (changed[changed > 0] == source[changed > 0]).all()
    recording = np.ones((1, 7, 2, 6, 5), np.uint8)
    assert cut(recording, np.array([[0, 0]]), 2).sum() == 7 * 2 * (30 - 4)


def test_noise_is_clipped_reproducible_and_of_its_size() -> None:
    source = np.full((50, 1, 20, 20), 128, np.uint8)
    once, again = add_noise(source, 0.1, 255, 3), add_noise(source, 0.1, 255, 3)
    assert (once == again).all()
    assert (add_noise(source[:2], 0.1, 255, 3) == once[:2]).all()
    assert (add_noise(source, 0.1, 255, 4) != once).any()
    assert abs(float(once.std()) - 25.5) < 1
    assert abs(float(once.mean()) - 128) < 1
    loud = add_noise(source, 2.0, 255, 0)
    assert loud.min() == 0
    assert loud.max() == 255
    assert add_noise(source, 2.0, 200, 0).max() == 200


def test_poisson_spikes_come_at_the_rate_of_the_pixel() -> None:
    source = np.tile(np.array([0, 1, 4, 8, 15, 16], np.uint8), (200, 100)).reshape(200, 100, 6)
    spikes = poisson.encode(source, np.arange(200), 4, 16, 0)
    assert spikes.shape == (200, 4, 100, 6)
    assert set(np.unique(spikes)) == {0, 1}
    rates = spikes.mean(axis=(0, 1, 2))
    assert rates[0] == 0
    assert rates[5] == 1
    assert np.abs(rates - np.array([0, 1, 4, 8, 15, 16]) / 16).max() < 0.006
    flat = spikes[..., 3].reshape(200, 4, 100) - 0.5
    for axis in range(3):  # neighbours by image, step and place are independent
        pairs = (np.take(flat, range(flat.shape[axis] - 1), axis)
                 * np.take(flat, range(1, flat.shape[axis]), axis))  # fmt: skip
        assert abs(float(pairs.mean())) < 0.004


def test_poisson_spikes_depend_on_the_image_not_on_its_neighbours() -> None:
    source = images(6)
    every = poisson.encode(source, np.arange(6), 5, 16, 9)
    chosen = np.array([4, 1])
    assert (poisson.encode(source[chosen], chosen, 5, 16, 9) == every[chosen]).all()
    assert (poisson.encode(source, np.arange(6), 3, 16, 9) == every[:, :3]).all()  # earlier steps
    assert (poisson.encode(source, np.arange(6), 5, 16, 8) != every).any()
    twice = poisson.encode(np.repeat(source[:1], 2, 0), np.arange(2), 5, 16, 9)
    assert (twice[0] != twice[1]).any()
