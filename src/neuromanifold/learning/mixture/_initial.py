"""Where a mixture begins: labels from k-means, or from points drawn at random."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key
from scipy.cluster.vq import kmeans2, vq

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.learning.mixture._ascent import check_labels
from neuromanifold.learning.mixture._expectation import Chunks, check_data, cut, statistics_of_labels
from neuromanifold.learning.mixture._posterior import Statistics
from neuromanifold.learning.mixture._prior import MixturePrior

INITS = ("k-means", "random")


def initial_labels(
    key: Key[Array, ""],
    data: Any,
    n_components: int,
    *,
    init: str = "k-means",
    n_sample: int | None = None,
    n_updates: int = 10,
    missing: bool = False,
) -> np.ndarray:
    """Labels in [0, n_components), one a point: the nearest of n_components centres.

    Args:
        key: chooses the centres.
        data: shape (n_points, n_features); a missing entry counts as its column's mean.
        n_components: >= 1 and at most the number of points.
        init: "k-means" (begun by k-means++, Arthur and Vassilvitskii 2007), or "random": the centres are
            distinct points.
        n_sample: points that find the centres, drawn at random; None: all.
        n_updates: updates of k-means, >= 1.
        missing: NaN marks a missing entry; without it NaN is refused.

    Raises:
        ValueError: an argument outside its range.
    """
    check_choice("init", init, INITS)
    check_integer("n_updates", n_updates, 1)
    values = check_data(data, missing=missing)
    n = check_integer("n_components", n_components, 1)
    require(n <= len(values), "n_components", f"be at most the number of points, {len(values)}", n)
    if missing:
        values = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    found = values
    if n_sample is not None:
        n_sample = check_integer("n_sample", n_sample, n, len(values))
        found = values[generator.choice(len(values), n_sample, replace=False)]
    if init == "random":
        centres = found[generator.choice(len(found), n, replace=False)]
    else:
        with warnings.catch_warnings():
            # An empty cluster is a component that begins without points, which a mixture may have.
            warnings.filterwarnings("ignore", message="One of the clusters is empty")
            centres, labels = kmeans2(found, n, iter=n_updates, minit="++", rng=generator)
        if found is values:
            return labels.astype(np.int32)
    return vq(values, centres, check_finite=False)[0].astype(np.int32)


def initial_statistics(
    prior: MixturePrior, data: Any, labels: Any, *, population: int | None = None, missing: bool = False
) -> Statistics:
    """Statistics of labelled points, as if there were `population` of them: where `stochastic_ascent` begins.

    Args:
        prior: the prior.
        data: shape (n_points, n_features).
        labels: integers in [0, n_components), shape (n_points,).
        population: points that they stand for, >= 1; None: their own number.
        missing: NaN marks a missing entry; without it NaN is refused.

    Raises:
        ValueError: an argument outside its range.
    """
    values = check_data(data, missing=missing, n_features=prior.n_features)
    labels = check_labels(labels, len(values), prior.n_components)
    chunks: Chunks = cut(prior, values, min(len(values), 4096), missing=missing)
    factor = 1.0 if population is None else check_integer("population", population, 2) / len(values)
    statistics = statistics_of_labels(prior, chunks, jax.numpy.asarray(labels))
    return jax.tree.map(lambda x: x * factor, statistics)
