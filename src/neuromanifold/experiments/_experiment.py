"""Experiment: a frozen dataclass of parameters that predicts, simulates, claims and draws.

An experiment is a pure function of (parameters, seed) to a record:

    predict()                 -> Dataset     the theory, without the simulator
    simulate(key, run)        -> Dataset     the simulation, without the theory
    claims(record)            -> [Claim]     verdicts, from the record alone
    draw(record)              -> Figure      the picture, from the record alone

`record` is the merger of both datasets, whose variables must not share names. Parameters are dataclass fields
made by `parameter`, which states their unit and range; the defaults are the quick preset, `full` overrides
them. All prose of an experiment lives in its `Card`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, dataclass_transform, runtime_checkable

import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.evidence import Claim

PRESETS = ("quick", "full")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader is told about an experiment.

    Args:
        name: its name on the command line, kebab-case.
        title: a heading.
        topic: "memory", "signals", "perception" ...
        lecture: letter of the lecture it illustrates ("A" ... ), or "" for none.
        systems: numbers of the systems in the specification ("A25", "C1").
        idea: two to six sentences for a newcomer; what is compared with what.
        equations: (caption, LaTeX) pairs in reading order.
        sources: keys of references.bib.
        caption: what the figure shows, one or two sentences.
    """

    name: str
    title: str
    topic: str
    lecture: str
    systems: tuple[str, ...]
    idea: str
    equations: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    caption: str


@runtime_checkable
class Experiment(Protocol):
    """What the driver asks of an experiment; see the module's header."""

    card: ClassVar[Card]
    full: ClassVar[Mapping[str, Any]]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def predict(self) -> xr.Dataset:
        """The numbers of the theory."""
        ...

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The numbers of the simulation; `run` is `neuromanifold.dynamics.run` or one that checkpoints."""
        ...

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Verdicts from the merged record."""
        ...

    def draw(self, record: xr.Dataset) -> Figure:
        """The figure from the merged record."""
        ...


def parameter(
    default: Any,
    *,
    doc: str,
    unit: str = "1",
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    open_high: bool = False,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with its meaning, unit and range.

    Args:
        default: value at the quick preset; int, float, bool, str, or a tuple of numbers.
        doc: what it is.
        unit: its unit; "1" for a pure number.
        low: smallest value allowed (for every entry of a tuple), or None.
        high: largest value allowed, or None.
        open_low: `low` itself is excluded.
        open_high: `high` itself is excluded.
        choices: the words allowed, for a str.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "doc": doc,
            "unit": unit,
            "low": low,
            "high": high,
            "open_low": open_low,
            "open_high": open_high,
            "choices": choices,
        },
    )


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    limits = field.metadata
    default = field.default

    def one(name: str, example: Any, item: Any) -> Any:
        if isinstance(example, bool):
            require(isinstance(item, bool), name, "be True or False", item)
            return item
        if isinstance(example, int):
            return check_integer(name, item, limits["low"], limits["high"])
        if isinstance(example, float):
            ends = {"open_low": limits["open_low"], "open_high": limits["open_high"]}
            return check_real(name, item, limits["low"], limits["high"], **ends)
        require(isinstance(item, str), name, "be a word", item)
        return check_choice(name, item, limits["choices"]) if limits["choices"] else item

    if isinstance(default, tuple):
        require(isinstance(value, Sequence) and len(value) > 0, field.name, "hold at least one value", value)
        return tuple(one(f"{field.name}[{i}]", default[0], item) for i, item in enumerate(value))
    return one(field.name, default, value)


_REGISTRY: dict[str, type[Any]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(parameter,))
def experiment(card: Card, *, full: Mapping[str, Any]) -> Callable[[type[Any]], type[Any]]:
    """Make a class with the four methods an experiment and register it under its card's name.

    The class becomes a frozen, keyword-only dataclass whose parameters are checked on construction.

    Args:
        card: what a reader is told.
        full: values of the full preset, where they differ from the defaults.

    Raises:
        TypeError: a method is missing, a field was not made by `parameter`, or `full` names no field.
        ValueError: the name is taken.
    """

    def decorate(cls: type[Any]) -> type[Any]:
        def check(self: Any) -> None:
            for field in dataclasses.fields(self):
                object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
            consistent = getattr(cls, "check", None)
            if consistent is not None:
                consistent(self)

        cls.card = card
        cls.full = dict(full)
        cls.__post_init__ = check
        made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        names = {field.name for field in dataclasses.fields(made)}
        for method in ("predict", "simulate", "claims", "draw"):
            if not callable(getattr(made, method, None)):
                raise TypeError(f"experiment {card.name} must define {method}().")
        for field in dataclasses.fields(made):
            if "unit" not in field.metadata:
                raise TypeError(f"field {field.name} of {card.name} must be made by parameter().")
        if unknown := set(full) - names:
            raise TypeError(f"full preset of {card.name} names no field: {', '.join(sorted(unknown))}.")
        if card.name in _REGISTRY and _REGISTRY[card.name].__qualname__ != made.__qualname__:
            raise ValueError(f"name must be unique among experiments, got {card.name!r} twice.")
        _REGISTRY[card.name] = made
        return made

    return decorate


def registry() -> dict[str, type[Any]]:
    """All registered experiments by name, in order of topic and name."""
    return dict(sorted(_REGISTRY.items(), key=lambda item: (item[1].card.topic, item[0])))


def build(cls: type[Any], preset: str, settings: Mapping[str, Any] | None = None) -> Experiment:
    """An experiment at a preset with some fields set by hand.

    Args:
        cls: a registered class.
        preset: "quick" or "full".
        settings: field values that replace those of the preset.

    Raises:
        ValueError: unknown preset or field, or a value outside its range.
    """
    check_choice("preset", preset, PRESETS)
    values = dict(cls.full) if preset == "full" else {}
    names = [field.name for field in dataclasses.fields(cls)]
    for name in settings or {}:
        require(name in names, f"a field of {cls.card.name}", f"be one of {', '.join(names)}", name)
    return cls(**{**values, **(settings or {})})
