"""Entries: what a folder of records says about each experiment, read back and checked.

    folder/<experiment>/record.nc      data, and in its attributes everything that the page tells
    folder/<experiment>/claims.json    verdicts
    folder/<experiment>/error.txt      why the last run could not be finished (first line: one sentence)
    folder/<experiment>/figure.svg, figure.png

A record or list of claims that cannot be read damages its own entry alone.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from markupsafe import Markup

from neuromanifold._base import FileError
from neuromanifold.evidence import Claim, format_with_error, read_record
from neuromanifold.report._mathml import mathml
from neuromanifold.report._rows import Row, claim_row, undecided_row
from neuromanifold.report._sources import citation

_KINDS = ("agrees", "at least", "at most", "scales", "never")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A line of the table of parameters, as text."""

    name: str
    value: str
    unit: str
    allowed: str
    doc: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """An experiment as its folder tells it.

    Args:
        name: name of the folder.
        title: heading; the name where the record is damaged.
        damage: why the record or the claims cannot be read, in one sentence, or "".
        error: why the last run did not end well, in one sentence, or "".
        files: which of the files of the folder there are.
        topic: topic of the card.
        lecture: letter of the lecture that the experiment illustrates as a whole, or "".
        lectures: this letter and those of its systems.
        systems: numbers of the systems in the specification.
        idea: paragraphs of prose.
        caption: what the figure shows.
        equations: (caption, MathML) in reading order.
        sources: citations.
        parameters: the table of parameters.
        rows: the claims.
        preset: preset of the run.
        seed: seed of the run.
        version: version of neuromanifold that made the record.
        versions: (package, version) of everything beneath.
        command: the command that makes the record again.
        record: the data, or None.
    """

    name: str
    title: str
    damage: str = ""
    error: str = ""
    files: frozenset[str] = frozenset()
    topic: str = ""
    lecture: str = ""
    lectures: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    idea: tuple[str, ...] = ()
    caption: str = ""
    equations: tuple[tuple[str, Markup], ...] = ()
    sources: tuple[Markup, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    rows: tuple[Row, ...] = ()
    preset: str = ""
    seed: int = 0
    version: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    command: str = ""
    record: xr.Dataset | None = None

    @property
    def verdict(self) -> str:
        """The worst verdict among the claims, "undecided" where there is none; "damaged" before all."""
        if self.damage:
            return "damaged"
        found = {row.verdict for row in self.rows}
        if self.error or not found or "undecided" in found:
            return "undecided"
        return "fails" if "fails" in found else "holds"

    @property
    def counted(self) -> tuple[Row, ...]:
        """The claims, and one undecided claim more where the last run ended in an error."""
        if not self.error:
            return self.rows
        return (*self.rows, undecided_row("The last run ended well.", "", self.error))

    def rows_of(self, lecture: str) -> tuple[Row, ...]:
        """The claims that belong to a lecture; all of them where the experiment as a whole does."""
        own = tuple(
            row for row in self.rows if lecture in {name.strip()[:1] for name in row.system.split(",")}
        )
        return self.rows if lecture == self.lecture or not own else own

    @property
    def word(self) -> str:
        """The verdict on the experiment in words."""
        fails = sum(row.verdict == "fails" for row in self.rows)
        return {
            "damaged": "damaged",
            "undecided": "undecided",
            "fails": f"{fails} of {len(self.rows)} {'does' if fails == 1 else 'do'} not hold",
            "holds": "the claim holds" if len(self.rows) == 1 else f"all {len(self.rows)} claims hold",
        }[self.verdict]


def read_entries(folder: Path) -> tuple[Entry, ...]:
    """Every experiment of a folder, in order of name.

    Args:
        folder: as written by `neuromanifold.experiments.reproduce`.

    Raises:
        FileError: there is no such folder, or it holds no experiment.
    """
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder}.")
    try:
        places = sorted(place for place in folder.iterdir() if place.is_dir())
        marks = ("record.nc", "claims.json", "error.txt")
        found = [place for place in places if any((place / mark).exists() for mark in marks)]
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror or error}.") from error
    if not found:
        raise FileError(f"there is no record of an experiment in {folder}.")
    return tuple(read_entry(place) for place in found)


def read_entry(place: Path) -> Entry:
    """The experiment of one folder; what cannot be read is told by `damage`."""
    names = ("record.nc", "claims.json", "figure.svg", "figure.png", "error.txt")
    files = frozenset(name for name in names if (place / name).is_file())
    error = ""
    if "error.txt" in files:
        lines = (place / "error.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        error = lines[0].strip() if lines and lines[0].strip() else "the last run ended in an error."
    bare = Entry(place.name, place.name, error=error, files=files)
    if "record.nc" not in files:
        return bare if error else dataclasses.replace(bare, damage="there is no record.nc beside its claims.")
    try:
        record = read_record(place / "record.nc")
        entry = _from_attributes(bare, record)
        return dataclasses.replace(entry, rows=_read_rows(place / "claims.json", entry), record=record)
    except Exception as damage:  # damaged bytes make the readers raise errors of every kind
        reason = (
            str(damage) if isinstance(damage, FileError | ValueError) else f"it cannot be read ({damage!r})."
        )
        reason = " ".join(reason.replace(f"{place}/", "").split())
        return dataclasses.replace(bare, damage=reason)


def _from_attributes(bare: Entry, record: xr.Dataset) -> Entry:
    attributes = record.attrs
    card = _json(attributes, "card", dict)
    table = _json(attributes, "parameter_table", list)
    versions = _json(attributes, "versions", dict)
    systems = tuple(_text(system, "a system") for system in _part(card, "systems", list))
    lecture = _part(card, "lecture", str)
    letters = {lecture, *(system[:1] for system in systems)} - {""}
    idea = _part(card, "idea", str)
    return dataclasses.replace(
        bare,
        title=_part(card, "title", str),
        topic=_part(card, "topic", str),
        lecture=lecture,
        lectures=tuple(sorted(letters)),
        systems=systems,
        idea=tuple(" ".join(part.split()) for part in idea.split("\n\n") if part.strip()),
        caption=" ".join(_part(card, "caption", str).split()),
        equations=tuple((caption, mathml(latex)) for caption, latex in _part(card, "equations", list)),
        sources=tuple(_source(key) for key in _part(card, "sources", list)),
        parameters=tuple(map(_parameter, table)),
        preset=_text(_attribute(attributes, "preset"), "preset"),
        seed=int(_attribute(attributes, "seed")),
        version=_text(_attribute(attributes, "version"), "version"),
        versions=tuple((str(name), str(value)) for name, value in versions.items()),
        command=_text(_attribute(attributes, "command"), "command"),
    )


def _read_rows(path: Path, entry: Entry) -> tuple[Row, ...]:
    if not path.is_file():
        return (
            undecided_row("The claims of this experiment can be decided.", "", "there is no claims.json."),
        )
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"claims.json is damaged: {error}.") from error
    if not isinstance(claims, list):
        raise FileError("claims.json must be a list of claims.")
    return tuple(_read_row(claim, number, entry) for number, claim in enumerate(claims, 1))


def _read_row(claim: Any, number: int, entry: Entry) -> Row:
    where = f"claim {number} of claims.json"
    if not isinstance(claim, dict):
        raise FileError(f"{where} is no object.")
    own = (entry.preset, entry.seed, entry.version)
    if (run := tuple(claim.get(key) for key in ("preset", "seed", "version"))) != own:
        raise FileError(
            f"{where} belongs to another run (preset, seed, version {run}) than record.nc ({own}); "
            "reproduce the experiment again."
        )
    words: dict[str, Any] = {key: claim.get(key) for key in ("statement", "system", "reason")}
    if bad := [key for key, value in words.items() if not isinstance(value, str)]:
        raise FileError(f"{where} has no text for {bad[0]}.")
    if claim.get("holds") is None:
        return undecided_row(**words)
    numbers: dict[str, Any] = {
        key: claim.get(key) for key in ("expected", "measured", "standard_error", "tolerance")
    }
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FileError(f"{where} has no finite number for {key}, got {value!r}.")
    if claim.get("kind") not in _KINDS or not isinstance(claim["holds"], bool):
        raise FileError(f"{where} has kind {claim.get('kind')!r} and holds {claim['holds']!r}.")
    return claim_row(Claim(**words, **numbers, kind=claim["kind"], holds=claim["holds"]))


def _attribute(attributes: Mapping[Any, Any], name: str) -> Any:
    if name not in attributes:
        raise FileError(f"record.nc has no attribute {name}.")
    return attributes[name]


def _json(attributes: Mapping[Any, Any], name: str, kind: type) -> Any:
    try:
        value = json.loads(_attribute(attributes, name))
    except (ValueError, TypeError) as error:
        raise FileError(f"the attribute {name} of record.nc is damaged: {error}.") from error
    if not isinstance(value, kind):
        raise FileError(f"the attribute {name} of record.nc must be a JSON {kind.__name__}.")
    return value


def _part(card: Mapping[str, Any], name: str, kind: Callable[..., Any]) -> Any:
    value = card.get(name)
    if not isinstance(value, kind):  # pyright: ignore[reportArgumentType]
        raise FileError(f"the card in record.nc has no {name}.")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise FileError(f"record.nc holds no text for {name}, got {value!r}.")
    return value


def _source(key: Any) -> Markup:
    """The citation, or the key itself where the record knows more papers than this version."""
    try:
        return citation(str(key))
    except KeyError:
        return Markup("{} (not in this version's references)").format(key)


def _parameter(line: Any) -> Parameter:
    if not isinstance(line, dict) or not {"name", "value", "unit", "low", "high", "doc"} <= set(line):
        raise FileError("the attribute parameter_table of record.nc has a line without one of its keys.")
    unit = "" if line["unit"] == "1" else str(line["unit"])
    return Parameter(str(line["name"]), _value(line["value"]), unit, allowed(line), str(line["doc"]))


def allowed(limits: Mapping[str, Any]) -> str:
    """The range of a parameter in words, from `low`, `high`, `open_low`, `open_high` and `choices`.

    >>> allowed({"low": 0, "high": 1, "open_low": True}), allowed({"low": 0, "high": 1}), allowed({"low": 1})
    ('> 0, ≤ 1', '0 to 1', '≥ 1')
    """
    low, high = limits.get("low"), limits.get("high")
    if limits.get("choices"):
        return ", ".join(map(str, limits["choices"]))
    if None not in (low, high) and not (limits.get("open_low") or limits.get("open_high")):
        return f"{low:g} to {high:g}"
    ends = []
    if low is not None:
        ends.append(f"{'>' if limits.get('open_low') else '≥'} {low:g}")
    if high is not None:
        ends.append(f"{'<' if limits.get('open_high') else '≤'} {high:g}")
    return ", ".join(ends) or "any"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_with_error(value, 0.0) if isinstance(value, float) else str(value)
