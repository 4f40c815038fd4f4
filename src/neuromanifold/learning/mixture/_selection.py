"""How many components: the maximum of the evidence bound over K.

A mixture with K distinguishable components and exchangeable weights has K! equal maxima, of which one fit
finds
one; the bound for K is therefore compared with log K! added (Bishop 2006, section 10.2.4). Sticks are not
exchangeable, and for them nothing is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from neuromanifold._base import check_integer, require
from neuromanifold.dynamics import run
from neuromanifold.learning.mixture._ascent import MixtureState, mixture_ascent
from neuromanifold.learning.mixture._initial import initial_labels
from neuromanifold.learning.mixture._posterior import n_found
from neuromanifold.learning.mixture._prior import MixturePrior, default_prior


class Selection(NamedTuple):
    """What `select_components` returns.

    Args:
        n_components: the K tried, shape (n_tried,).
        evidence: bound for each K, with log K! for Dirichlet weights, shape (n_tried,).
        found: components with a share above 1/N for each K, shape (n_tried,).
        best: K of the largest evidence.
        prior: prior of the best.
        state: final state of the best.
    """

    n_components: np.ndarray
    evidence: np.ndarray
    found: np.ndarray
    best: int
    prior: MixturePrior
    state: MixtureState


def select_components(
    key: Key[Array, ""],
    data: Any,
    n_components: Sequence[int],
    *,
    max_steps: int = 200,
    tolerance: float = 1e-3,
    n_init: int = 1,
    init: str = "k-means",
    missing: bool = False,
    **prior: Any,
) -> Selection:
    """Fit mixtures of several sizes and compare their evidence.

    Args:
        key: chooses where fits begin.
        data: shape (n_points, n_features).
        n_components: the K to try, each >= 1.
        max_steps: steps of each fit, >= 1.
        tolerance: see `mixture_ascent`.
        n_init: fits of each K, >= 1, of which the best counts.
        init: see `initial_labels`.
        missing: NaN marks a missing entry.
        prior: arguments of `default_prior`.

    Raises:
        ValueError: an argument outside its range.
    """
    require(len(n_components) > 0, "n_components", "hold at least one number", n_components)
    check_integer("max_steps", max_steps, 1)
    check_integer("n_init", n_init, 1)
    evidence, found, fits = [], [], []
    for k in n_components:
        believed = default_prior(data, k, **prior)
        process = mixture_ascent(believed, data, missing=missing, tolerance=tolerance)
        best: MixtureState | None = None
        for number in range(n_init):
            start = jax.random.fold_in(jax.random.fold_in(key, k), number)
            labels = initial_labels(start, data, k, init=init, missing=missing)
            state = run(process, start, labels, max_steps, label=f"mixture of {k}").state
            if best is None or float(state.bound) > float(best.bound):
                best = state
        assert best is not None
        permutations = math.lgamma(k + 1) if believed.weights == "dirichlet" else 0.0
        evidence.append(float(best.bound) + permutations)
        found.append(int(n_found(best.statistics)))
        fits.append((believed, best))
    place = int(np.argmax(evidence))
    return Selection(
        np.asarray(n_components),
        np.asarray(evidence),
        np.asarray(found),
        int(n_components[place]),
        *fits[place],
    )
