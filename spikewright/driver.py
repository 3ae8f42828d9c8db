"""A driver of the accelerator: the same calls for a simulated one and for one on a board.

The driver knows registers (`golden.image.registers`), streams (`golden.image.load_stream`,
`sim.harness.stimulus`) and the image of the build. How a register is reached and a packet moved is
the business of a `Transport`: `sim.simulated_device.Simulation` is one; `transport.Board` is one
over what drivers of SoC boards offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.counters import COUNTERS, STRIDE, Counters
from spikewright.golden.image.image_file import load_image
from spikewright.golden.image.load_stream import fit, load_words, shape_hash
from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.registers import (  # fmt: skip
    ERRORS,
    FINGERPRINT_WORDS,
    MAGIC,
    SHAPE_WORDS,
    VERSION,
    Identity,
    hash_words,
    pack,
    register,
    unpack,
)
from spikewright.sim.harness.stimulus import input_beats
from spikewright.transport import Transport

POLLS = 10_000
"""Readings of a status that does not change, after which it counts as stuck."""

OF_A_RESET = ("input_dropped", "output_cut")
"""The error flags that a reset sets by what it does."""

QUIET = 16
"""Readings of an unchanged count of dropped beats, after which the input counts as drained."""


class Accelerator:
    """An accelerator that a transport reaches.

    Parameters
    ----------
    build
        Its build folder, or the image of that.

    Raises
    ------
    CheckFailed
        If the transport reaches no accelerator, or one of another shape.
    """

    def __init__(self, transport: Transport, build: Image | str | Path) -> None:
        self.transport = transport
        self.image = build if isinstance(build, Image) else load_image(build)
        self._cut = False  # an inference was begun and its logits have not come
        self.identify()

    def identify(self) -> Identity:
        """What the device says it is.

        Raises
        ------
        CheckFailed
            If this is no accelerator, or not the build's.
        """
        magic = self._read("MAGIC")
        if magic != MAGIC:
            raise CheckFailed(f"device: MAGIC is {magic:#010x}, must be {MAGIC:#010x}")
        version = self._read("VERSION")
        if version >> 16 != VERSION >> 16:
            raise CheckFailed(
                f"device: VERSION is {version:#010x}, must be {VERSION >> 16}.x: other registers"
            )
        shape = [self._read("SHAPE", index) for index in range(SHAPE_WORDS)]
        due = hash_words(shape_hash(self.image), SHAPE_WORDS)
        if tuple(shape) != due:
            raise CheckFailed(
                f"device: SHAPE is {_digits(shape)}, must be {_digits(due)}: another build"
            )
        network = [self._read("NETWORK", index) for index in range(FINGERPRINT_WORDS)]
        features = unpack("FEATURES", self._read("FEATURES"))
        return Identity(
            cores=features["cores"], lanes=features["lanes"],
            timesteps=self._read("TIMESTEPS"), inputs=self._read("INPUTS"),
            outputs=self._read("OUTPUTS"), shape=_digits(shape), network=_digits(network),
            loadable=bool(features["loadable"]), counters=bool(features["counters"]),
        )  # fmt: skip

    def status(self) -> dict[str, int]:
        """The fields of STATUS."""
        return unpack("STATUS", self._read("STATUS"))

    def errors(self, clear: bool = True) -> tuple[str, ...]:
        """The names of the error flags that are set; they are cleared."""
        flags = self._read("ERRORS")
        if clear:
            self._clear(flags)
        return tuple(field.name for field in ERRORS if flags & field.mask)

    def _clear(self, flags: int) -> None:
        if flags:
            self._write("ERRORS", flags)

    def start(self) -> None:
        """Take inputs.

        Raises
        ------
        CheckFailed
            If no whole network is loaded.
        """
        self._control(enable=1)

    def stop(self) -> None:
        """Complete what has begun, then take nothing more."""
        self._control()
        self._wait("busy", 0)

    def reset(self) -> None:
        """Forget all inferences under way; what is sent next begins an inference.

        Wherever a transfer was cut, inside a time step, a frame or a packet of logits: the device
        drops what is still on its way in, until nothing comes any more. Error flags that were set
        before stay set.

        Raises
        ------
        CheckFailed
            If the input does not end, or the output is stuck.
        """
        enabled = unpack("CONTROL", self._read("CONTROL"))["enable"]
        before = self._read("ERRORS")
        self.transport.abort()
        self._control(flush=1)
        self._drain()
        self.transport.abort()
        self._control(enable=enabled)
        caused = sum(field.mask for field in ERRORS if field.name in OF_A_RESET)
        self._clear(self._read("ERRORS") & caused & ~before)
        self._cut = False

    def _drain(self) -> None:
        """Wait until no beats come any more, and take what the output still offers."""
        last, quiet = self._read("DROPPED"), 0
        for _ in range(POLLS):
            count = self._read("DROPPED")
            last, quiet = count, quiet + 1 if count == last else 0
            if quiet >= QUIET:
                break
        else:
            raise CheckFailed("device: the input does not end; stop its sender before a reset")
        if self.status()["offering"]:
            self.transport.receive()
            self._wait("offering", 0)

    def load(self, network: Image | str | Path) -> None:
        """Replace the network by another of the same shape: an image, or its build folder.

        The machine is stopped for it, and left stopped.

        Raises
        ------
        BadInput
            If it does not fit the shape: naming core, memory and what is too small.
        CheckFailed
            If the device refuses it.
        """
        image = network if isinstance(network, Image) else load_image(network)
        words = load_words(fit(image, self.image))
        self.stop()
        self.errors()
        self._control(load=1)
        self.transport.send("load", words.tolist())
        try:
            self._wait_for(image.fingerprint)
        finally:
            self._control()

    def run(self, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
        """The logits (batch, classes) of checked inputs, one inference after the other.

        Parameters
        ----------
        inputs
            Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.

        Raises
        ------
        BadInput
            If type, shape or a value does not fit the input; nothing has been sent then.
        CheckFailed
            If the logits that come are not those of an inference.
        """
        inputs = self.image.input.node.check(inputs, self.image.timesteps)
        if self._cut:
            self.reset()
        rows = []
        width = max(self.image.input.event.width, 1)
        for one in range(len(inputs)):
            beats = input_beats(self.image, inputs[one : one + 1])
            data, last = beats & ((1 << width) - 1), beats >> width
            self._cut = True
            for packet in np.split(data, np.flatnonzero(last)[:-1] + 1):
                self.transport.send("events", packet.tolist())
            rows.append(self.logits())
            self._cut = False
        return np.array(rows, np.int64).reshape(len(inputs), -1)

    def logits(self) -> NDArray[np.int64]:
        """The logits (classes,) of the next inference that completes."""
        packet = np.array(self.transport.receive(), np.int64)
        layout, count = self.image.output_layout, int(np.prod(self.image.cores[-1].shape))
        if len(packet) != count:
            raise CheckFailed(f"device: {len(packet)} logits came, must be {count}")
        logits = np.zeros(count, np.int64)
        logits[layout.unpack(packet, "index")] = layout.unpack(packet, "value", signed=True)
        return logits

    def rejected(self) -> int:
        """Events outside the input's map that were dropped since the counters were cleared."""
        return self._read("REJECTED")

    def counters(self, clear: bool = False) -> tuple[Counters, ...]:
        """The counters of every core; with `clear` they then start again at 0."""
        counters = []
        for index, core in enumerate(self.image.cores):
            values = {
                name: self._read("COUNTERS", STRIDE * index + k) for k, name in enumerate(COUNTERS)
            }
            counters.append(Counters(core.node, **values))
        if clear:
            enabled = unpack("CONTROL", self._read("CONTROL"))["enable"]
            self._control(enable=enabled, clear_counters=1)
        return tuple(counters)

    def _read(self, name: str, index: int = 0) -> int:
        return self.transport.read32(register(name).offset + 4 * index)

    def _write(self, name: str, value: int) -> None:
        self.transport.write32(register(name).offset, value)

    def _control(self, **fields: int) -> None:
        """Write CONTROL; what is refused is an error here."""
        self._write("CONTROL", pack("CONTROL", **fields))
        kept = unpack("CONTROL", self._read("CONTROL"))
        for name in ("enable", "load"):
            if fields.get(name, 0) != kept[name]:
                flags = ", ".join(self.errors()) or "no flag"
                raise CheckFailed(f"device: {name} was refused ({flags})")

    def _wait(self, field: str, value: int) -> None:
        """Until a status field has a value."""
        for _ in range(POLLS):
            if self.status()[field] == value:
                return
        raise CheckFailed(f"device: STATUS.{field} does not become {value}")

    def _wait_for(self, fingerprint: str) -> None:
        """Until the device names this network; an error flag ends it."""
        due = hash_words(fingerprint, FINGERPRINT_WORDS)
        for _ in range(POLLS):
            if flags := self.errors():
                raise CheckFailed(f"device: the network was refused ({', '.join(flags)})")
            if tuple(self._read("NETWORK", index) for index in range(FINGERPRINT_WORDS)) == due:
                return
        raise CheckFailed(f"device: the network is not there after {POLLS} readings")


def _digits(words: Sequence[int]) -> str:
    return "".join(f"{word:08x}" for word in words)
