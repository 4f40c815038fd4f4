"""Citations from references.bib, the one place of papers, written out by pybtex."""

from __future__ import annotations

import functools
from importlib.resources import files

from markupsafe import Markup
from pybtex.backends.html import Backend as HtmlBackend
from pybtex.backends.plaintext import Backend as TextBackend
from pybtex.database import BibliographyData, parse_string
from pybtex.style.formatting.unsrt import Style


class _Offline(HtmlBackend):
    """HTML in which an address is text: no page of the site points outside."""

    @staticmethod
    def format_href(url: str, text: str, external: bool = False) -> str:
        return text


@functools.cache
def _bibliography() -> BibliographyData:
    return parse_string(
        files("neuromanifold").joinpath("references.bib").read_text(encoding="utf-8"), "bibtex"
    )


def _written(key: str, backend: HtmlBackend | TextBackend) -> str:
    bibliography = _bibliography()
    if key not in bibliography.entries:
        raise KeyError(f"there is no {key!r} in references.bib.")
    [entry] = Style().format_entries([bibliography.entries[key]])
    return entry.text.render(backend).replace("\n", " ")


def citation(key: str) -> Markup:
    """The paper of a key as HTML without links.

    Raises:
        KeyError: references.bib has no such key.
    """
    return Markup(_written(key, _Offline("utf-8")))


def citation_text(key: str) -> str:
    """The paper of a key as plain text.

    >>> citation_text("amari1972")[:52]
    'Shun-ichi Amari. Learning patterns and pattern seque'

    Raises:
        KeyError: references.bib has no such key.
    """
    return _written(key, TextBackend("utf-8"))
