"""Amaranth with the types that its stubs leave open.

At run time every name here is Amaranth's own. The stubs (amaranth-stubs 0.5.0.8) have no file for
the package `amaranth.lib`, give no type to the fields of a view, do not know `init=` of a port, and
leave the parameters of generic classes unknown wherever these appear in a signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import amaranth.lib.data as data
import amaranth.lib.stream as stream
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType] (stub gap)
from amaranth.hdl import Elaboratable, Module, Shape, Signal, Value
from amaranth.lib import wiring  # pyright: ignore[reportMissingTypeStubs] (stub gap)
from amaranth.lib.memory import Memory

__all__ = [
    "Component", "In", "Out", "Ram", "View", "connect", "data", "flipped", "like", "rtlil_text",
    "stream", "width_of",
]  # fmt: skip

if TYPE_CHECKING:

    class View(data.View[Any]):
        """A value with named fields, or an array."""

        def __getitem__(self, key: Any) -> Any: ...

    class Component(wiring.Component[Any]):
        """A module with ports."""

        def __init__(self, signature: Mapping[str, wiring.Member] | None = None) -> None: ...

    class _Port:
        en: Signal
        addr: Signal
        data: Any
        domain: str

    class Ram(Component):
        """A memory with ports."""

        depth: int

        def __init__(self, *, shape: Any, depth: int, init: Iterable[Any]) -> None: ...
        def read_port(self, *, domain: str = "sync") -> _Port: ...
        def write_port(self) -> _Port: ...
        @property
        def read_ports(self) -> tuple[_Port, ...]: ...
        @property
        def write_ports(self) -> tuple[_Port, ...]: ...
        def elaborate(self, platform: object) -> Module: ...

    def In(shape: Any, *, init: int = 0) -> wiring.Member:
        """An input port."""
        ...

    def Out(shape: Any, *, init: int = 0) -> wiring.Member:
        """An output port."""
        ...

    def connect(m: Module, *interfaces: object) -> None:
        """Connect interfaces, member by member."""
        ...

    def flipped(interface: object) -> Any:
        """An interface as its other end sees it."""
        ...

    def like(value: Value, *, name: str | None = None, reset_less: bool = False) -> Signal:
        """A signal of the shape of `value`."""
        ...

    def rtlil_text(design: Elaboratable, name: str, platform: object, *, emit_src: bool) -> str:
        """A design in the language that Yosys reads."""
        ...

    def width_of(shape: Any) -> int:
        """Bits of anything that Amaranth takes as a shape."""
        ...
else:

    def width_of(shape: Any) -> int:
        """Bits of anything that Amaranth takes as a shape."""
        return Shape.cast(shape).width

    Component, In, Out, Ram, View = wiring.Component, wiring.In, wiring.Out, Memory, data.View
    connect, flipped, like, rtlil_text = wiring.connect, wiring.flipped, Signal.like, rtlil.convert
