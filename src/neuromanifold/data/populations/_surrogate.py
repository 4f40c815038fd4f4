"""A surrogate population: cells tuned to category from one latency on, to detail from another.

    rate_c(s, t) = b_c exp( g(t - t_category) A_c,category(s) + g(t - t_detail) D_c,detail(s) )
    g(t) = min(max(t / rise, 0), 1)

Tunings A and D are Gaussian and independent, baselines b log-normal. The order of category and detail is put
in by the latencies: the surrogate tests an analysis, not a theory of cortex.

Units: rates in spikes a second, times in milliseconds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.data.populations._stimuli import Stimuli


class Tuning(NamedTuple):
    """What each cell prefers.

    Args:
        baseline: b in spikes a second, shape (n_cells,).
        category: A, shape (n_cells, n_categories).
        detail: D, shape (n_cells, n_details).
    """

    baseline: Float[Array, " n_cells"]
    category: Float[Array, "n_cells n_categories"]
    detail: Float[Array, "n_cells n_details"]


def random_tuning(
    key: Key[Array, ""],
    n_cells: int,
    stimuli: Stimuli,
    *,
    baseline: float = 15.0,
    baseline_spread: float = 0.5,
    category_strength: float = 0.7,
    detail_strength: float = 0.5,
) -> Tuning:
    """Tunings of cells drawn at random.

    Args:
        key: a typed key.
        n_cells: number of cells, >= 1.
        stimuli: what they are tuned to.
        baseline: median rate before the stimulus acts, in spikes a second, > 0.
        baseline_spread: standard deviation of the logarithm of the baseline, >= 0.
        category_strength: standard deviation of A, >= 0.
        detail_strength: standard deviation of D, >= 0.

    Raises:
        ValueError: an argument outside its range.
    """
    n_cells = check_integer("n_cells", n_cells, 1)
    check_real("baseline", baseline, 0, open_low=True)
    for name, value in (
        ("baseline_spread", baseline_spread),
        ("category_strength", category_strength),
        ("detail_strength", detail_strength),
    ):
        check_real(name, value, 0)
    n_categories, n_details = len(stimuli.categories), int(stimuli.detail.max()) + 1
    normal = jax.random.normal(key, (n_cells, 1 + n_categories + n_details))
    return Tuning(
        baseline * jnp.exp(baseline_spread * normal[:, 0]),
        category_strength * normal[:, 1 : 1 + n_categories],
        detail_strength * normal[:, 1 + n_categories :],
    )


def tuned_rates(
    tuning: Tuning,
    stimuli: Stimuli,
    times: Any,
    *,
    category_latency: float = 90.0,
    detail_latency: float = 140.0,
    rise: float = 10.0,
) -> Float[np.ndarray, "n_stimuli n_times n_cells"]:
    """Rates of all cells for all stimuli at given times, in spikes a second.

    Args:
        tuning: of the cells.
        stimuli: labels that the tuning is about.
        times: after the onset of the stimulus, in milliseconds, shape (n_times,).
        category_latency: when tuning to the category begins, in milliseconds, >= 0.
        detail_latency: when tuning to the detail begins, in milliseconds, >= 0.
        rise: time that either takes to reach its full strength, in milliseconds, > 0.

    Raises:
        ValueError: an argument outside its range, or a tuning to other numbers of labels.

    >>> import jax
    >>> from neuromanifold.data.populations import random_tuning, stimulus_set, tuned_rates
    >>> stimuli = stimulus_set()
    >>> tuning = random_tuning(jax.random.key(0), 45, stimuli)
    >>> rates = tuned_rates(tuning, stimuli, range(350))
    >>> rates.shape, bool((rates[0, :90] == rates[37, :90]).all())
    ((38, 350, 45), True)
    """
    times = check_finite("times", times).astype(np.float64)
    require(times.ndim == 1, "times", "have shape (n_times,)", times.shape)
    check_real("rise", rise, 0, open_low=True)
    for name, level, labels in (
        ("category", tuning.category, stimuli.category),
        ("detail", tuning.detail, stimuli.detail),
    ):
        have, wanted = level.shape[1], int(labels.max()) + 1
        require(have == wanted, f"tuning.{name}", f"be for {wanted} labels", have)
    exponent = 0.0
    for name, latency, level, labels in (
        ("category_latency", category_latency, tuning.category, stimuli.category),
        ("detail_latency", detail_latency, tuning.detail, stimuli.detail),
    ):
        grown = np.clip((times - check_real(name, latency, 0)) / rise, 0.0, 1.0)
        strength = np.asarray(level, np.float64).T[labels]
        exponent = exponent + grown[None, :, None] * strength[:, None, :]
    return np.asarray(tuning.baseline, np.float64)[None, None] * np.exp(exponent)
