"""The house's docstrings, which are plain text, as reStructuredText.

In a docstring `*`, `|` and a trailing `_` are mathematics and no markup, a name between backticks is code,
and lines set off by four spaces are formulas, printed as they are.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SECTIONS = {"Args:", "Returns:", "Raises:", "Yields:"}
_INLINE = re.compile(r"(`[^`]+`)")


def _escaped(line: str) -> str:
    """A line of prose without accidental markup."""
    parts = _INLINE.split(line)
    for number, part in enumerate(parts):
        if number % 2:
            parts[number] = f"`{part}`"
        else:
            part = part.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")
            parts[number] = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", part)
    return "".join(parts)


def translate(lines: list[str]) -> list[str]:
    """A docstring for napoleon, which reads the sections."""
    made: list[str] = []
    section, printed, example = False, False, False
    for line in lines:
        words = line.strip()
        indent = len(line) - len(line.lstrip())
        if not words:
            printed, example = False, False
            made.append(line)
            continue
        if indent == 0:
            section = words in _SECTIONS
            table = not section and re.search(r"\S {2,}\S", words) is not None
        else:
            table = False
        if example or words.startswith(">>>"):
            example = True
            made.append(line)
        elif indent == 0 and table:
            if not printed:
                if made and made[-1].strip():
                    made.append("")
                made += ["::", ""]
            printed = True
            made.append(f"    {line}")
        elif indent > 0 and not section:
            if not printed:
                if made and made[-1].strip():
                    made.append("")
                made += ["::", ""]
            printed = True
            made.append(line)
        else:
            if printed:
                made.append("")
            printed = False
            made.append(_escaped(line))
    return made


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    del app, what, name, thing, options
    lines[:] = translate(lines)


def _skip(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, which the class's own docstring explains."""
    del app, what, name, skip, options
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


# Types that Sphinx writes out, and the names that the source has for them; `~` and a module may precede
# each word.
_LONG = (
    (
        r"_Buffer \| _SupportsArray\[dtype\[Any\]\] \| _NestedSequence\[_SupportsArray\[dtype\[Any\]\]\] \| "
        r"complex \| bytes \| str \| _NestedSequence\[complex \| bytes \| str\]",
        "ArrayLike",
    ),
    (r"ndarray\[tuple\[Any, \.\.\.\], dtype\[float64\]\]", "NDArray[float64]"),
    (r"jaxlib\._jax\.Array", "Array"),
)
_WORD = re.compile(r"(?<![\w\\.])([A-Za-z_]\w*)")
_PATTERNS = tuple((re.compile(_WORD.sub(r"~?(?:\\w+\\.)*\1", long)), short) for long, short in _LONG)


def _shorten(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Types by the names that the source gives them, where Sphinx has written them out."""
    del app, what, name, thing, options
    pair = [signature, returns]
    for number, text in enumerate(pair):
        for pattern, short in _PATTERNS:
            text = text and pattern.sub(short, text)
        pair[number] = text
    return pair[0], pair[1]


def setup(app: Sphinx) -> dict[str, bool]:
    """Translate before napoleon reads (a smaller number comes first)."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
