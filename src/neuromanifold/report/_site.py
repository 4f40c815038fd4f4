"""The site: an index and a page an experiment, made from records and claims alone.

No page asks for anything but files of its own folder, so the site opens from a disk as from a server. The
same records give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from neuromanifold._base import atomic
from neuromanifold.report._csv import record_csv
from neuromanifold.report._entries import Entry, read_entries
from neuromanifold.report._rows import tally

LECTURES = {
    "A": "Amari 2016, Foundations of deep learning: self-organisation and supervised learning",
    "B": "Amari 2019, Deep random neural field",
    "C": "Okada",
    "D": "Fujita",
}


def build_site(folder: Path, entries: Sequence[Entry] | None = None) -> Path:
    """Write `index.html`, and `index.html` and `record.csv` of every experiment; return the index.

    Args:
        folder: as written by `neuromanifold.experiments.reproduce`.
        entries: what `read_entries(folder)` gave, where it is at hand already.

    Raises:
        FileError: there is no record in the folder, it cannot be written, or the disk is full.
    """
    found = tuple(read_entries(folder) if entries is None else entries)
    templates = _templates()
    whole = [entry for entry in found if not entry.damage]
    for place, entry in enumerate(found):
        if entry.record is not None:
            _write(folder / entry.name / "record.csv", record_csv(entry.record))
        page = templates.get_template("experiment.html").render(
            entry=entry,
            before=found[place - 1] if place else None,
            after=found[place + 1] if place + 1 < len(found) else None,
        )
        _write(folder / entry.name / "index.html", page)
    shown = [entry for entry in whole if entry.rows]
    index = templates.get_template("index.html").render(
        tally=tally(row for entry in whole for row in entry.counted),
        topics=_grouped(shown, lambda entry: (entry.topic or "other",)),
        lectures=_grouped(shown, lambda entry: entry.lectures),
        titles=LECTURES,
        broken=[entry for entry in found if entry.damage or not entry.rows],
        entries=found,
    )
    _write(folder / "index.html", index)
    return folder / "index.html"


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("neuromanifold.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["address"] = lambda name: quote(str(name), safe="")
    environment.filters["anchor"] = lambda name: re.sub(r"[^A-Za-z0-9]+", "-", str(name))
    return environment


def _grouped(
    entries: Sequence[Entry], keys: Callable[[Entry], Sequence[str]]
) -> list[tuple[str, list[Entry]]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        for key in keys(entry):
            groups.setdefault(key, []).append(entry)
    return sorted(groups.items())


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
