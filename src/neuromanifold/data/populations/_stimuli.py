"""Stimuli with labels at two levels: a category, and a detail within it.

The set of Sugase, Yamane, Ueno and Kawano (1999, Nature 400:869) has 38 stimuli in three categories:

    monkey faces    4 expressions (the detail) of 4 individuals
    human faces     3 individuals (the detail) with 4 expressions
    shapes          2 forms (the detail) in 5 colours

so that there are 3 categories and 4 + 3 + 2 = 9 details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from neuromanifold._base import check_integer, require

FACES_AND_SHAPES = (("monkey", 4, 4), ("human", 3, 4), ("shape", 2, 5))


class Stimuli(NamedTuple):
    """Names and labels of stimuli.

    Args:
        names: one a stimulus, "monkey 1.0" for variant 0 of detail 1.
        category: label of the category, shape (n_stimuli,).
        detail: label of the detail, counted through all categories, shape (n_stimuli,).
        categories: name of each category.
    """

    names: tuple[str, ...]
    category: Int[np.ndarray, " n_stimuli"]
    detail: Int[np.ndarray, " n_stimuli"]
    categories: tuple[str, ...]

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli."""
        return len(self.names)

    @property
    def category_of_detail(self) -> Int[np.ndarray, " n_details"]:
        """The category that each detail belongs to."""
        _, first = np.unique(self.detail, return_index=True)
        return self.category[first]


def stimulus_set(groups: Sequence[tuple[str, int, int]] = FACES_AND_SHAPES) -> Stimuli:
    """Stimuli of several categories, in the order category, detail, variant.

    Args:
        groups: of each category its name, the number of details >= 1, and the variants of each detail >= 1.

    Raises:
        ValueError: no category, a name twice, or a count below one.

    >>> from neuromanifold.data.populations import stimulus_set
    >>> stimuli = stimulus_set()
    >>> stimuli.n_stimuli, stimuli.category_of_detail.tolist()
    (38, [0, 0, 0, 0, 1, 1, 1, 2, 2])
    """
    require(len(groups) >= 1, "groups", "hold at least one category", groups)
    known = tuple(str(group[0]) for group in groups)
    require(len(set(known)) == len(known), "groups", "have names that differ", known)
    names, category, detail = [], [], []
    n_details = 0
    for index, (name, details, variants) in enumerate(groups):
        details = check_integer(f"groups[{index}][1]", details, 1)
        variants = check_integer(f"groups[{index}][2]", variants, 1)
        for own in range(details):
            names += [f"{name} {own}.{variant}" for variant in range(variants)]
            category += [index] * variants
            detail += [n_details + own] * variants
        n_details += details
    return Stimuli(tuple(names), np.array(category), np.array(detail), known)
