"""Counts in sliding windows, and the path that a population takes through its principal components.

A window begins at a multiple of the step and counts all spikes for its width. Each stimulus is then a point
with one coordinate a cell, which moves with the window; the principal axes are those of all points of all
stimuli and windows together (Matsumoto, Okada, Sugase-Miyamoto, Yamane and Kawano 2005, Cereb. Cortex
15:1103).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from neuromanifold._base import check_finite, check_integer, check_real, require


class WindowCounts(NamedTuple):
    """Spikes in sliding windows.

    Args:
        counts: shape (..., n_windows, n_cells).
        starts: beginning of each window, in milliseconds, shape (n_windows,).
        width: of the windows, in milliseconds.
    """

    counts: Int[np.ndarray, "*batch n_windows n_cells"]
    starts: Float[np.ndarray, " n_windows"]
    width: float


class Trajectory(NamedTuple):
    """Paths of a population in its principal components.

    Args:
        scores: coordinates, shape (..., n_components).
        components: principal axes, orthonormal, shape (n_components, n_cells).
        mean: the point that the coordinates are measured from, shape (n_cells,).
        explained: share of the variance along each axis, falling, shape (n_components,).
    """

    scores: Float[np.ndarray, "*batch n_components"]
    components: Float[np.ndarray, "n_components n_cells"]
    mean: Float[np.ndarray, " n_cells"]
    explained: Float[np.ndarray, " n_components"]


def _bins(name: str, time: float, bin_width: float) -> int:
    time = check_real(name, time, 0, open_low=True)
    number = round(time / bin_width)
    whole = number >= 1 and abs(number * bin_width - time) <= 1e-9 * time
    require(whole, name, f"be a multiple of bin_width = {bin_width:g}", time)
    return number


def window_counts(spikes: Any, width: float, step: float, *, bin_width: float = 1.0) -> WindowCounts:
    """Spike counts in windows of one width, slid by a step from the beginning of the recording to its end.

    Args:
        spikes: numbers of spikes, integers >= 0, shape (..., n_bins, n_cells).
        width: of a window, in milliseconds, a multiple of the bin width.
        step: between the beginnings of windows, in milliseconds, a multiple of the bin width.
        bin_width: in milliseconds, > 0.

    Raises:
        ValueError: an argument outside its range, or a window longer than the recording.

    >>> import numpy as np
    >>> from neuromanifold.data.populations import window_counts
    >>> windows = window_counts(np.ones((38, 350, 45), int), 50, 1)
    >>> windows.counts.shape, windows.starts[[0, -1]].tolist(), int(windows.counts.max())
    ((38, 301, 45), [0.0, 300.0], 50)
    """
    values = np.asarray(spikes)
    require(values.ndim >= 2, "spikes", "have shape (..., n_bins, n_cells)", values.shape)
    require(values.dtype.kind in "iub", "spikes", "be integers", values.dtype)
    require(values.dtype.kind != "i" or (values >= 0).all(), "spikes", "be >= 0", int(values.min(initial=0)))
    bin_width = check_real("bin_width", bin_width, 0, open_low=True)
    n_width, n_step = _bins("width", width, bin_width), _bins("step", step, bin_width)
    length = values.shape[-2] * bin_width
    require(n_width <= values.shape[-2], "width", f"be at most the recording's {length:g} ms", width)
    total = np.cumsum(values, axis=-2, dtype=np.int32)
    total = np.concatenate([np.zeros_like(total[..., :1, :]), total], axis=-2)
    first = np.arange(0, values.shape[-2] - n_width + 1, n_step)
    counts = total[..., first + n_width, :] - total[..., first, :]
    return WindowCounts(counts, first * bin_width, float(width))


def stabilise(counts: Any) -> Float[np.ndarray, "*shape"]:
    """Counts as numbers of nearly unit variance: 2 sqrt(n + 3/8) for Poisson n (Anscombe 1948).

    Args:
        counts: >= 0, any shape; sum trials first, for a sum of Poisson counts is Poisson.

    Raises:
        ValueError: a count below zero or not finite.
    """
    values = check_finite("counts", counts)
    require((values >= 0).all(), "counts", "be >= 0", float(values.min(initial=0)))
    return 2.0 * np.sqrt(values + 0.375)


def population_trajectory(points: Any, n_components: int = 3) -> Trajectory:
    """Principal components of all points, by singular values, and the points in these coordinates.

    The sign of an axis is chosen so that its largest entry is positive.

    Args:
        points: shape (..., n_cells), for example (n_stimuli, n_windows, n_cells), at least two points.
        n_components: axes to keep, in [1, n_cells].

    Raises:
        ValueError: an argument outside its range, or points that are all the same.

    >>> import numpy as np
    >>> from neuromanifold.data.populations import population_trajectory
    >>> line = np.outer(np.arange(5.0), [3.0, 4.0])
    >>> path = population_trajectory(line, 2)
    >>> path.components[0].round(6).tolist(), path.explained.round(6).tolist()
    ([0.6, 0.8], [1.0, 0.0])
    """
    values = check_finite("points", points).astype(np.float64)
    require(values.ndim >= 2, "points", "have shape (..., n_cells)", values.shape)
    n_cells = values.shape[-1]
    n_components = check_integer("n_components", n_components, 1, n_cells)
    flat = values.reshape(-1, n_cells)
    require(len(flat) >= 2, "points", "be at least two", len(flat))
    mean = flat.mean(0)
    centred = flat - mean
    # The scatter matrix has n_cells rows however many points there are; its eigenvectors are the axes.
    _, singular, axes = np.linalg.svd(centred if len(flat) <= n_cells else _root(centred))
    variance = np.zeros(n_cells)
    variance[: len(singular)] = singular**2
    require(variance.sum() > 0, "points", "not be all the same", mean.tolist())
    axes = axes[:n_components]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    axes = axes * np.where(largest < 0, -1.0, 1.0)
    scores = (values - mean) @ axes.T
    return Trajectory(scores, axes, mean, variance[:n_components] / variance.sum())


def _root(centred: np.ndarray) -> np.ndarray:
    """The triangular factor of the points, which has their singular values and right vectors."""
    return np.asarray(np.linalg.qr(centred, mode="r"))
