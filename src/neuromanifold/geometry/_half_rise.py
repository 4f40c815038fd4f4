"""When a curve rises: the time at which it first reaches half of its height."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, require


def half_rise(times: ArrayLike, curve: ArrayLike) -> NDArray[np.float64]:
    """When a curve first reaches half of its largest value above its first, by linear interpolation.

    Args:
        times: increasing, shape (n_times,).
        curve: shape (..., n_times).

    Raises:
        ValueError: shapes that disagree, or a curve that never rises.

    >>> from neuromanifold.geometry import half_rise
    >>> float(half_rise([0, 10, 20, 30], [0.0, 0.0, 1.0, 1.0]))
    15.0
    """
    time, values = check_finite("times", times), check_finite("curve", curve).astype(np.float64)
    require(time.ndim == 1 and len(time) >= 2, "times", "have shape (n_times,), n_times >= 2", time.shape)
    require(values.shape[-1:] == time.shape, "curve", f"have {len(time)} times", values.shape)
    height = values - values[..., :1]
    top = height.max(-1, keepdims=True)
    require((top > 0).all(), "curve", "rise above its first value", float(top.min()))
    after = (height >= top / 2).argmax(-1)[..., None]
    y0 = np.take_along_axis(height, after - 1, -1)
    y1 = np.take_along_axis(height, after, -1)
    t0, t1 = time[after - 1], time[after]
    return np.asarray((t0 + (top / 2 - y0) / (y1 - y0) * (t1 - t0))[..., 0])
