"""Lists, cards and claims on a terminal; plain lines of any length elsewhere.

A claim is one line, verdict first and statement last, so that a narrow terminal cuts the statement and never
a number. What a failed or undecided claim has to say follows on indented lines of its own.
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from neuromanifold.experiments import Card
from neuromanifold.report._entries import allowed
from neuromanifold.report._rows import Row
from neuromanifold.report._sources import citation_text

_STYLES = {"holds": "green", "fails": "bold red", "undecided": "bold yellow"}
_WIDTHS = (9, 10, 21)
_PLAIN = 100_000


def terminal() -> Console:
    """Standard output: as wide as the terminal, or lines of any length where there is none."""
    width = None if sys.stdout.isatty() else _PLAIN
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def print_claim_head(console: Console) -> None:
    """The heads of the columns that `print_claim` fills."""
    console.print(_line("verdict", "expected", "measured", "claim"), style="dim")


def print_claim(console: Console, row: Row) -> None:
    """One claim as it is decided."""
    statement = row.statement
    reason = f"{row.margin}: {row.reason}" if row.margin else row.reason
    plain = console.width >= _PLAIN
    if plain:
        shown = statement if row.verdict == "holds" else f"{statement} ({reason})"
    else:
        room = console.width - len(_line("", "", "", ""))
        room -= sum(max(0, len(text) - width) for text, width in zip(_cells(row), _WIDTHS, strict=True))
        shown = textwrap.shorten(statement, max(room, 12), placeholder=" …")
    line = Text(_line(*_cells(row), shown))
    line.stylize(_STYLES[row.verdict], 0, len(row.verdict))
    console.print(line, no_wrap=True, overflow="ellipsis", crop=not plain, soft_wrap=plain)
    if not plain and row.verdict != "holds":
        rest = reason if shown == statement else f"{statement} {reason}"
        console.print(textwrap.indent(textwrap.fill(rest, max(console.width - 12, 30)), " " * 11))


def print_experiments(console: Console, cards: Iterable[Card]) -> None:
    """A table of experiments."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("name", no_wrap=True)
    table.add_column("topic", no_wrap=True)
    table.add_column("lecture", no_wrap=True)
    table.add_column("systems", no_wrap=True)
    table.add_column("title", ratio=1 if console.width < _PLAIN else None)
    for card in cards:
        table.add_row(card.name, card.topic, card.lecture or "-", " ".join(card.systems), card.title)
    _print_table(console, table)


def print_card(console: Console, kind: type[Any], rows: Iterable[Row], where: str) -> None:
    """Everything there is to know of an experiment before it runs, and its claims where it has run.

    Args:
        console: as made by `terminal`.
        kind: the experiment.
        rows: its claims, if they have been decided.
        where: what to say of the claims: where they come from, or how to get them.
    """
    card = kind.card
    width = min(console.width, 88)
    console.print(Text(card.title, "bold"))
    console.print(f"{card.name}, topic {card.topic}, systems {', '.join(card.systems)}", style="dim")
    for paragraph in card.idea.split("\n\n"):
        console.print("\n" + textwrap.fill(" ".join(paragraph.split()), width))
    _head(console, "Equations")
    for caption, latex in card.equations:
        console.print(textwrap.indent(textwrap.fill(caption, width - 2), "  "))
        console.print(f"      {latex}", soft_wrap=True)
    _head(console, "Parameters")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("name", "quick", "full", "unit", "allowed"):
        table.add_column(column, overflow="fold")
    table.add_column("meaning", ratio=1 if console.width < _PLAIN else None)
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        unit = "-" if field.metadata["unit"] == "1" else field.metadata["unit"]
        quick, full = _value(field.default), _value(kind.full.get(field.name, field.default))
        table.add_row(field.name, quick, full, unit, allowed(field.metadata), field.metadata["doc"])
    _print_table(console, table)
    _head(console, "Claims")
    console.print(where)
    if rows := tuple(rows):
        print_claim_head(console)
        for row in rows:
            print_claim(console, row)
    _head(console, "Sources")
    for key in card.sources:
        console.print(textwrap.fill(citation_text(key), width, initial_indent="  ", subsequent_indent="  "))


def _cells(row: Row) -> tuple[str, str, str]:
    return row.verdict, row.expected or "-", row.measured or "-"


def _line(verdict: str, expected: str, measured: str, statement: str) -> str:
    texts = zip((verdict, expected, measured), _WIDTHS, strict=True)
    return "  ".join([f"{text:<{width}}" for text, width in texts] + [statement])


def _head(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, "bold"))


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _print_table(console: Console, table: Table) -> None:
    """Without the blanks that fill the last column, which mean nothing in a file."""
    if console.width < _PLAIN:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    console.print("\n".join(line.rstrip() for line in capture.get().splitlines()), soft_wrap=True)
