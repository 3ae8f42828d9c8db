"""How the driver reaches a device: registers and streams of a board, or of anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import require

EVENT_BYTES = (1, 2, 4, 8)


class Transport(Protocol):
    """How the driver reaches a device."""

    def read32(self, offset: int) -> int:
        """The register at a byte offset."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write the register at a byte offset."""
        ...

    def send(self, stream: str, packet: Sequence[int]) -> None:
        """Hand over a packet for the stream "events" or "load".

        One beat a number, `tlast` on the last one. It may still be under way at the return.
        """
        ...

    def receive(self) -> Sequence[int]:
        """The next packet of logits, waited for."""
        ...

    def abort(self) -> None:
        """End transfers under way, and discard packets of logits that have arrived."""
        ...


class Board:
    """A transport over memory-mapped registers and DMA engines, as PYNQ has them.

    Parameters
    ----------
    registers
        Has `read(offset)` and `write(offset, value)`: a `pynq.MMIO` or a `DefaultIP`.
    senders
        By stream ("events", "load") what starts sending an array of beats.
    receive
        Gives the next packet of logits as an array of beats.
    event_bytes
        Width of `s_axis_events_tdata` in bytes: 1, 2, 4 or 8.
    abort
        Ends the transfers of all channels; by default none can be under way.

    Raises
    ------
    BadInput
        If `event_bytes` is another number.

    With PYNQ, whose DMA engines move allocated buffers::

        def sender(channel, kind):
            def send(beats):
                buffer = pynq.allocate(beats.shape, kind)
                buffer[:] = beats
                channel.transfer(buffer)
                channel.wait()
            return send

        def receive():
            buffer = pynq.allocate((10,), np.uint32)     # logits, each in 4 bytes
            overlay.dma_events.recvchannel.transfer(buffer)
            overlay.dma_events.recvchannel.wait()
            return np.array(buffer)

        board = Board(
            overlay.accelerator.mmio,
            {"events": sender(overlay.dma_events.sendchannel, np.uint16),
             "load": sender(overlay.dma_load.sendchannel, np.uint32)},
            receive, event_bytes=2, abort=restart_channels,     # channel.stop(), channel.start()
        )
        accelerator = Accelerator(board, "build/digits")
    """

    def __init__(
        self, registers: Any, senders: dict[str, Callable[[NDArray[np.generic]], object]],
        receive: Callable[[], NDArray[np.generic]], event_bytes: int,
        abort: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.registers, self.senders, self._receive = registers, senders, receive
        self._abort = abort
        require(event_bytes in EVENT_BYTES, "board", "event_bytes", event_bytes,
                "1, 2, 4 or 8, the width of s_axis_events_tdata")  # fmt: skip
        self.types = {"events": np.dtype(f"<u{event_bytes}"), "load": np.dtype("<u4")}

    def read32(self, offset: int) -> int:
        """The register at a byte offset."""
        return int(self.registers.read(offset))

    def write32(self, offset: int, value: int) -> None:
        """Write the register at a byte offset."""
        self.registers.write(offset, value)

    def send(self, stream: str, packet: Sequence[int]) -> None:
        """Start a transfer of beats as little-endian numbers."""
        self.senders[stream](np.array(packet, self.types[stream]))

    def receive(self) -> Sequence[int]:
        """The next packet of logits."""
        return self._receive().tolist()

    def abort(self) -> None:
        """End transfers under way."""
        self._abort()
