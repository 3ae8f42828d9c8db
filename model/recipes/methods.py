"""The register of training methods: what recipes know of them, without torch.

A method is one file. Its class (`model.methods.base.Method`) declares how a stage asks for it,
which keys it adds to a recipe, what it checks, and what it does in training; `register` makes it
known. Known are the modules of `spikewright.model.methods`, those that installed packages name as
entry points of the group `spikewright.methods`, and whatever a program has imported itself before
it reads a recipe.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from spikewright.golden.errors import BadInput
from spikewright.model.recipes.fields import choice, field

if TYPE_CHECKING:
    from spikewright.model.architecture import Layer
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage

PACKAGE = "spikewright.model.methods"
GROUP = "spikewright.methods"

Keys = dict[str, Any]
"""Keys of a table by name, each made by `fields.field` or `fields.table`."""


@dataclass(frozen=True)
class Selector:
    """The key of a stage by which a method is chosen: by `word`, or by one of the `shared` words.

    A stage without the key has `default`. A word belongs to one method, a shared one to several.
    """

    key: str
    word: str
    shared: tuple[str, ...] = ()
    default: str = "none"

    @property
    def words(self) -> tuple[str, ...]:
        """All words that choose the method."""
        return (self.word, *self.shared)


@dataclass(frozen=True)
class PlacedStage:
    """A stage where it stands in its recipe, for checks.

    Attributes
    ----------
    stages, place
        All stages of the recipe, and the number of this one.
    recipe, layers
        The recipe of this stage, its own tables included, and the layers of that.
    where
        Names the recipe in messages.
    """

    stages: Sequence[Stage]
    place: int
    recipe: Recipe
    layers: Sequence[Layer]
    where: str

    @property
    def stage(self) -> Stage:
        """The stage itself."""
        return self.stages[self.place]

    @property
    def here(self) -> str:
        """Its place, for messages."""
        return f"{self.where}: stages[{self.place}]"

    @property
    def is_last(self) -> bool:
        """Whether its network is the one that is exported."""
        return self.place == len(self.stages) - 1


class Declaration(Protocol):
    """What the register asks of a method's class: see `model.methods.base.Method`."""

    name: ClassVar[str]
    order: ClassVar[int]
    selector: ClassVar[Selector | None]
    stage_keys: ClassVar[Keys]
    training_keys: ClassVar[Keys]
    pruning_keys: ClassVar[tuple[str, ...]]
    taught: ClassVar[bool]
    reshapes: ClassVar[bool]

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """Whether the stage uses the method."""
        ...

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Refuse what cannot be done."""
        ...

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Any:
        """The method of a stage."""
        ...


Kind = type[Declaration]
D = TypeVar("D", bound=type)

_registered: dict[str, Kind] = {}


def register(method: D) -> D:
    """Make a method known: a decorator of its class.

    Raises
    ------
    BadInput
        If another method has its name, its word, or one of its keys with another meaning.
    """
    kind: Any = method
    for other in _registered.values():
        # A file that is imported anew replaces what it declared before.
        if (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
            _require_apart(kind, other)
    _registered[kind.name] = kind
    return method


def _require_apart(kind: Kind, other: Kind) -> None:
    """Refuse a method that cannot be told from another one."""
    where = f"method {kind.name!r} of {kind.__module__}"
    if other.name == kind.name:
        raise BadInput(f"{where}: {other.__module__} has a method of this name")
    mine, its = kind.selector, other.selector
    if mine and its and mine.key == its.key:
        taken = (its.default, *its.words)
        if mine.word in taken or mine.default != its.default:
            raise BadInput(
                f"{where}: {mine.key} = {mine.word!r}, or its default {mine.default!r}, is not "
                f"apart from that of {other.name!r}: {', '.join(map(repr, taken))}"
            )
    for name in ("stage_keys", "training_keys"):
        own, their = getattr(kind, name), getattr(other, name)
        for key in own.keys() & their.keys():
            if own[key] is not their[key]:
                raise BadInput(f"{where}: key {key!r} is one of method {other.name!r} already")


@cache
def _discover() -> None:
    """Import the methods of the kit and those of installed packages."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGE}.{module.name}")
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        try:
            entry.load()
        except Exception as error:
            raise BadInput(
                f"entry point {entry.name!r} of {GROUP}: {entry.value} cannot be imported "
                f"({type(error).__name__}: {error}); mend or uninstall its package"
            ) from error


def known() -> tuple[Kind, ...]:
    """All methods, in the order in which a trainer calls them."""
    _discover()
    return tuple(sorted(_registered.values(), key=lambda each: (each.order, each.name)))


def selected(stage: Stage, recipe: Recipe) -> tuple[Kind, ...]:
    """The methods of a stage; `recipe` is that of the stage."""
    return tuple(each for each in known() if each.selected(stage, recipe))


def of_stage(stage: Stage, recipe: Recipe) -> list[Any]:
    """New methods of a stage, in the order in which a trainer calls them."""
    return [each.create(stage, recipe) for each in selected(stage, recipe)]


def named(stage: Stage, methods: Iterable[Kind] | None = None) -> tuple[Kind, ...]:
    """Those methods that the words of a stage choose."""
    return tuple(
        each
        for each in (known() if methods is None else methods)
        if each.selector and getattr(stage, each.selector.key) in each.selector.words
    )


def stage_keys() -> Keys:
    """The keys that methods add to a stage: those that choose them, and their options."""
    found: Keys = {}
    for key, (default, words) in _words().items():
        found[key] = field(choice(default, *words), default, quiet=True)
    for each in known():
        found |= each.stage_keys
    return found


def training_keys() -> Keys:
    """The keys that methods add to [training]."""
    return {name: key for each in known() for name, key in each.training_keys.items()}


def _words() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By key: the default, and the words of all methods, shared ones last."""
    found: dict[str, tuple[str, list[str], list[str]]] = {}
    for selector in (each.selector for each in known()):
        if selector is None:
            continue
        _, own, shared = found.setdefault(selector.key, (selector.default, [], []))
        own.append(selector.word)
        shared.extend(word for word in selector.shared if word not in shared)
    return {key: (default, (*own, *shared)) for key, (default, own, shared) in found.items()}


def condition(methods: Sequence[Kind]) -> str:
    """When one of these methods is chosen, in words for a message.

    >>> from types import SimpleNamespace as Method
    >>> of = lambda *selector: Method(selector=Selector(*selector))
    >>> condition([of("sparse", "admm"), of("quantize", "admm")])
    "sparse or quantize is 'admm'"
    >>> condition([of("distill", "attention", ("both",))])
    "distill is 'attention' or 'both'"
    """
    by_key: dict[str, list[str]] = {}
    for selector in (each.selector for each in methods):
        if selector is not None:
            words = by_key.setdefault(selector.key, [])
            words.extend(word for word in selector.words if word not in words)
    by_words: dict[tuple[str, ...], list[str]] = {}
    for key, words in by_key.items():
        by_words.setdefault(tuple(words), []).append(key)
    return ", or ".join(
        f"{' or '.join(keys)} is {' or '.join(repr(word) for word in words)}"
        for words, keys in by_words.items()
    )


def value_of(table: Any, declared: Callable[[], Keys], name: str) -> Any:
    """The value of a method's key in a table of a recipe, or else the key's default.

    `table` is a `Stage` or a `Training`; it calls this for an attribute that it does not have.
    `declared` gives the keys that methods add to such tables.

    Raises
    ------
    AttributeError
        If no method has such a key, naming those that are spelt nearly so.
    """
    if name.startswith("_") or name == "options":  # while it is copied or unpickled
        raise AttributeError(name)
    if name in table.options:
        return table.options[name]
    keys = declared()
    if name not in keys:
        own = (each.name for each in dataclasses.fields(table) if each.name != "options")
        near = difflib.get_close_matches(name, (*own, *keys))
        hint = f"; it has {' and '.join(map(repr, near))}" if near else ""
        raise AttributeError(
            f"{type(table).__name__} has no key {name!r}{hint}", name=name, obj=table
        )
    key = keys[name]
    return None if key.default is dataclasses.MISSING else key.default
