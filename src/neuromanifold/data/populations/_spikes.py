"""Poisson spikes from rates, whatever they come from.

In a bin of width w the number of spikes of a cell is Poisson with mean rate * w, independent between bins,
cells and trials.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, UInt16

from neuromanifold._base import check_finite, check_integer, check_real, require


def poisson_spikes(
    key: Key[Array, ""], rates: Any, n_trials: int, *, bin_width: float = 1.0
) -> UInt16[np.ndarray, "n_stimuli n_trials n_bins n_cells"]:
    """Spikes in bins, for trials that all have the same rates.

    Args:
        key: a typed key.
        rates: of each bin, in spikes a second, >= 0, shape (n_stimuli, n_bins, n_cells).
        n_trials: trials of each stimulus, >= 1.
        bin_width: in milliseconds, > 0.

    Raises:
        ValueError: an argument outside its range, or more spikes in a bin than can be stored.

    >>> import jax, numpy as np
    >>> from neuromanifold.data.populations import poisson_spikes
    >>> spikes = poisson_spikes(jax.random.key(0), np.full((2, 1000, 3), 40.0), 50)
    >>> spikes.shape, bool(abs(spikes.mean() - 0.04) < 5 * (0.04 / spikes.size) ** 0.5)
    ((2, 50, 1000, 3), True)
    """
    values = check_finite("rates", rates)
    require(values.ndim == 3, "rates", "have shape (n_stimuli, n_bins, n_cells)", values.shape)
    require((values >= 0).all(), "rates", "be >= 0", float(values.min()))
    n_trials = check_integer("n_trials", n_trials, 1)
    mean = values * (check_real("bin_width", bin_width, 0, open_low=True) / 1000.0)
    require(mean.max() < 2**15, "rates * bin_width", "stay below 32768 spikes a bin", float(mean.max()))
    # NumPy draws small means several times faster than JAX on a CPU.
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    shape = (values.shape[0], n_trials, *values.shape[1:])
    spikes = np.empty(shape, np.uint16)
    for stimulus in range(shape[0]):
        spikes[stimulus] = generator.poisson(mean[stimulus], shape[1:])
    return spikes
