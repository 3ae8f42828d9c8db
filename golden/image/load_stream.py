"""The load stream: a memory image as 32-bit words, for a build whose memories are initially empty.

    MAGIC, shape (2 words), number of words after the header, fingerprint (8 words),
    for every memory (`memories`): number | parts << 16, depth, depth * parts words,
    CRC-32 of all words before it

A memory word takes `parts` stream words, lowest bits first. Bytes of a stream word come lowest
first, and the CRC is that of zlib. A loadable build accepts images of its own shape; `fit` brings a
smaller image into the shape of a larger one, and `room` finds a shape that holds several.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Array, Ints
from spikewright.golden.errors import BadInput, require
from spikewright.golden.image.image_file import describe
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.image.registers import FINGERPRINT_WORDS, SHAPE_WORDS, hash_words
from spikewright.golden.image.rows import Layout, Memory, pack_weights, unpack_weights, word_dtype

MAGIC = 0x53574C31
"""The first word: "SWL1"."""

HEADER = 12
"""Words before the first memory."""

_CONTENT = ("fingerprint", "codes", "sha256")  # differ between networks of one shape
_WIDER = ("acc_bits", "state_bits", "drive_bits")  # more bits compute the same
_SIGNED = ("weight", "bias")
_UNSIGNED = ("start", "threshold")


def memories(image: Image) -> list[tuple[str, Memory]]:
    """Every memory of an image with the name of its file, in the load stream's order.

    By core, then by name, so an image that was read back has the same order.
    """
    return [
        (f"{core.node}_{name}", memory)
        for core in image.cores
        for name, memory in sorted(core.memories.items())
    ]


def shape_hash(image: Image) -> str:
    """SHA-256 of the hardware without the contents of memories: equal for networks of one shape."""
    text = json.dumps(_without_contents(describe(image)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_contents(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: _without_contents(item) for key, item in items if key not in _CONTENT}
    if isinstance(value, list | tuple):
        return [_without_contents(item) for item in cast(Sequence[Any], value)]
    return value


def parts(memory: Memory) -> int:
    """Stream words for a word of this memory.

    >>> [parts(Memory(Layout.of(a=bits), np.zeros(1, np.int64))) for bits in (1, 32, 33)]
    [1, 1, 2]
    """
    return max(-(-memory.layout.width // 32), 1)


def body_words(image: Image) -> int:
    """Stream words after the header, the CRC included."""
    return 1 + sum(2 + parts(memory) * len(memory.words) for _, memory in memories(image))


def load_words(image: Image) -> NDArray[np.uint32]:
    """The load stream of an image; `tlast` belongs to the last word."""
    stream = [
        np.array([MAGIC, *hash_words(shape_hash(image), SHAPE_WORDS), body_words(image),
                  *hash_words(image.fingerprint, FINGERPRINT_WORDS)], np.uint32)
    ]  # fmt: skip
    for number, (_, memory) in enumerate(memories(image)):
        many = parts(memory)
        words: Array = np.asarray(memory.words, word_dtype(memory.layout.width))
        split = [(words >> 32 * part & 0xFFFFFFFF).astype(np.uint32) for part in range(many)]
        stream.append(np.array([number | many << 16, len(words)], np.uint32))
        stream.append(np.stack(split, axis=1).reshape(-1))
    whole = np.concatenate(stream)
    return np.append(whole, np.uint32(zlib.crc32(whole.astype("<u4").tobytes())))


def room(images: Sequence[Image]) -> Image:
    """The first image in the smallest shape that holds all of them, with memories rounded up.

    Each entry memory has the depth that the deepest lane of any image needs, rounded up to a power
    of two, since the number of nonzero weights differs between networks.

    Raises
    ------
    BadInput
        If the images differ in more than depths and widths; the message names the difference.
    """
    first = images[0]
    cores = [_room_core([image.cores[i] for image in images if i < len(image.cores)], i)
             for i in range(len(first.cores))]  # fmt: skip
    whole = replace(first, cores=tuple(cores))
    for image in images:
        fit(image, whole)
    return fit(first, whole)


def _room_core(cores: Sequence[CoreImage], index: int) -> CoreImage:
    """The first core with the widest words and the deepest memories of all."""
    first = cores[0]
    largest: dict[str, Memory] = {}
    for name, memory in first.memories.items():
        same = [core.memories[name] for core in cores if name in core.memories]
        deepest = max(len(other.words) for other in same)
        if name.startswith("entries"):
            deepest = 1 << max(deepest - 1, 0).bit_length()
        widths = {
            field: max(other.layout.bits(field) for other in same)
            for field, _ in memory.layout.fields
        }
        largest[name] = Memory(Layout(tuple(widths.items())), np.zeros(deepest, np.int64))
    for name, memory in largest.items():
        if name.startswith("pointers") and memory.layout.bits("start"):
            depth = len(largest[name.replace("pointers", "entries")].words)
            start = max(memory.layout.bits("start"), (depth - 1).bit_length())
            widths = dict(memory.layout.fields) | {"start": start}
            largest[name] = Memory(Layout(tuple(widths.items())), memory.words)
    wider = {name: max(getattr(core, name) for core in cores) for name in _WIDER}
    return replace(first, memories=largest, **wider)


def fit(image: Image, into: Image) -> Image:
    """`image` in the shape of `into`: the same network, in memories of other depths and widths.

    Raises
    ------
    BadInput
        If it does not fit; the message names core, memory, and what is too small or different.
    """
    require(len(image.cores) == len(into.cores), "load", "number of cores", len(image.cores),
            f"{len(into.cores)}, as built")  # fmt: skip
    _same(replace(image, cores=(), fingerprint=""), replace(into, cores=(), fingerprint=""), "load")
    cores = tuple(_fit_core(*pair) for pair in zip(image.cores, into.cores, strict=True))
    return replace(image, cores=cores)


def _fit_core(core: CoreImage, into: CoreImage) -> CoreImage:
    where = f"load: core {core.node!r}"
    wider = {name: getattr(into, name) for name in _WIDER}
    alike = replace(core, **wider, codes=into.codes, memories={})
    _same(alike, replace(into, memories={}), where)
    for name in _WIDER:
        have, most = getattr(core, name), getattr(into, name)
        require(have <= most, where, name, have, f"at most {most}, as built")
    _same(sorted(core.memories), sorted(into.memories), f"{where}: memories")
    fitted = {
        name: _fit_memory(
            memory, into.memories[name], core.channels_per_word, f"{where}: memory {name}"
        )
        for name, memory in core.memories.items()
    }
    return replace(core, **wider, memories=fitted)


def _same(value: Any, built: Any, where: str) -> None:
    """Refuse a difference between two values; in dataclasses it is named by its field."""
    if is_dataclass(value) and is_dataclass(built):
        for field in fields(value):
            _same(getattr(value, field.name), getattr(built, field.name), f"{where}: {field.name}")
    elif isinstance(value, list | tuple) and len(cast(Sequence[Any], value)) == len(built):
        for item, other in zip(cast(Sequence[Any], value), built, strict=True):
            _same(item, other, where)
    elif value != built:
        raise BadInput(f"{where} is {value}, must be {built}, as built")


def _fit_memory(memory: Memory, into: Memory, weights: int, where: str) -> Memory:
    """The words with every field as wide, and the memory as deep, as in `into`."""
    depth = len(into.words)
    require(len(memory.words) <= depth, where, "depth", len(memory.words),
            f"at most {depth} words, as built")  # fmt: skip
    names = [name for name, _ in memory.layout.fields]
    room_names = [name for name, _ in into.layout.fields]
    missing = set(names) - set(room_names)
    require(not missing, where, "field", ", ".join(sorted(missing)), "absent, as built")
    values: dict[str, Ints] = {}
    for name, width in into.layout.fields:
        have = memory.layout.bits(name)
        free = name in _SIGNED + _UNSIGNED
        require(have == width or (free and have < width), where, f"width of {name}", have,
                f"{'at most ' * free}{width} bits, as built")  # fmt: skip
        values[name] = memory.field(name, signed=name in _SIGNED and have > 0)
        if name == "weight":
            each = unpack_weights(memory.field(name), have, weights)
            values[name] = pack_weights(each, width)
    words = into.layout.pack(**values)
    return Memory(into.layout, np.append(words, np.zeros(depth - len(words), np.int64)))
