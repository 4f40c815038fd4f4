"""LaTeX to MathML that is safe to put on a page.

The converter passes text and some attributes through as they are, so its output is parsed and only elements
and attributes of MathML that draw mathematics are let through. An equation that it does not understand is an
error: a page never shows raw LaTeX in place of mathematics.
"""

from __future__ import annotations

import functools
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_ELEMENTS = [
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "mfrac",
    "msqrt",
    "mroot",
    "mstyle",
    "mpadded",
    "mphantom",
    "menclose",
    "msub",
    "msup",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mmultiscripts",
    "mprescripts",
    "none",
    "mtable",
    "mtr",
    "mtd",
]
_ATTRIBUTES = [
    "display",
    "displaystyle",
    "scriptlevel",
    "mathvariant",
    "stretchy",
    "fence",
    "form",
    "separator",
    "accent",
    "accentunder",
    "lspace",
    "rspace",
    "minsize",
    "maxsize",
    "movablelimits",
    "largeop",
    "symmetric",
    "linethickness",
    "width",
    "height",
    "depth",
    "columnalign",
    "rowalign",
    "columnspacing",
    "rowspacing",
    "columnlines",
    "rowlines",
    "notation",
]


class EquationError(ValueError):
    """An equation that cannot be turned into MathML."""


@functools.cache
def mathml(latex: str) -> Markup:
    """An equation as a block of MathML.

    >>> print(mathml("m = 1").partition("block")[2])
    "><mrow><mi>m</mi><mo>=</mo><mn>1</mn></mrow></math>

    Args:
        latex: the formula without dollar signs.

    Raises:
        EquationError: the formula is broken, uses a command that is not known, or holds anything but
            mathematics.
    """
    try:
        root = ElementTree.fromstring(convert(latex, display="block"))
    except Exception as error:  # the converter raises a dozen kinds of its own, IndexError and KeyError too
        raise EquationError(
            f"cannot convert {latex!r} to MathML: {type(error).__name__} {error}".strip()
        ) from error
    for element in root.iter():
        tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
        if tag not in _ELEMENTS:
            raise EquationError(f"cannot convert {latex!r} to MathML: it holds the element <{tag}>.")
        for text in (element.text, element.tail):
            if text and (("\\" in text and tag != "mtext") or (text in ("{", "}") and tag == "mi")):
                raise EquationError(f"cannot convert {latex!r} to MathML: {text} is not understood.")
        if refused := set(element.attrib) - set(_ATTRIBUTES):
            raise EquationError(f"cannot convert {latex!r} to MathML: it sets {', '.join(sorted(refused))}.")
        element.tag = tag
    root.set("xmlns", _NAMESPACE)
    attributes = {"xmlns": _NAMESPACE, "display": root.attrib.get("display", "block")}
    root.attrib.clear()
    root.attrib.update(attributes)
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))
