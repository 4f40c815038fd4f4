"""Words typed on the command line: what they mean, and what to say of those that mean nothing."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any


class UsageError(Exception):
    """A mistake of the user, in one sentence with a suggestion."""


def unboxed(text: str) -> str:
    """The first paragraph under the title of one of tyro's boxes, as one line."""
    lines = [line.strip(" │╭╮╰╯") for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]
    lines = [line if line.strip("─-") else "" for line in lines]
    body = itertools.dropwhile(lambda line: not line, lines)
    next(body, None)
    said = " ".join(itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, body))).rstrip(".")
    said = re.sub(r"Error parsing (\S+): invalid literal for int.*: ", r"\1 must be an integer, got ", said)
    return said or "the command line cannot be read"


def spread(words: Sequence[str]) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`, so that the flag may be given either way."""
    setting = False
    spread: list[str] = []
    for word in words:
        if word.startswith("--"):
            setting = word == "--set"
        elif setting and "=" in word and spread[-1] != "--set":
            spread.append("--set")
        spread.append(word)
    return spread


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion: the nearest of the known words, or all of them."""
    known = list(known)
    folded = {item.lower(): item for item in known}
    close = [folded[item] for item in difflib.get_close_matches(word.lower(), folded, 3, 0.5)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(known)}." if known else "there are none."


def setting(word: str) -> tuple[str, str]:
    field, equals, value = word.partition("=")
    if not equals or not field:
        raise UsageError(f"--set takes field=value, got {word!r}.")
    return field.strip().replace("-", "_"), value.strip()


def parse_value(field: str, text: str, default: Any) -> Any:
    """The value that a word on the command line means for a field.

    >>> parse_value("n_units", "1e4", 100), parse_value("loads", "0.1,0.2", (0.3,))
    (10000, (0.1, 0.2))

    Args:
        field: name of the field, for the error.
        text: what was typed; entries of a tuple are separated by commas.
        default: the field's default, whose type decides.

    Raises:
        ValueError: the text is no such value.
    """
    if isinstance(default, tuple):
        parts = text.strip("()").rstrip(",").split(",")
        return tuple(parse_value(field, part.strip(), default[0]) for part in parts)
    if isinstance(default, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{field} must be true or false, got {text!r}.")
        return words[text.lower()]
    if isinstance(default, int | float):
        try:
            value = float(text)
            exact = int(text) if text.lstrip("+-").replace("_", "").isdigit() else value
        except ValueError:
            what = "an integer" if isinstance(default, int) else "a number"
            raise ValueError(f"{field} must be {what}, got {text!r}.") from None
        if isinstance(default, float):
            return value
        return int(exact) if value.is_integer() else value
    return text
