"""Gradients against finite differences, layer by layer, with the error of the differences known.

For each array of parameters and random directions v of length 1 in it, <gradient, v> is compared with the
central difference

    D(h) = (L(w + h v) - L(w - h v)) / (2 h) = L' + a h^2 + b h^4 + ...

at h, h/2 and h/4, extrapolated twice (Richardson 1911). Its error is taken as the change that the last
extrapolation made plus rounding, 4 eps |L| / h for each difference. A random direction sees every entry at
once: a gradient that is wrong by e changes <gradient, v> by <e, v>, zero with probability zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from neuromanifold._base import check_integer, check_real, require


class GradientCheck(NamedTuple):
    """A gradient beside finite differences.

    Args:
        names: path of each array in the parameters.
        gradient: <gradient, v>, (n_arrays, n_directions).
        difference: the extrapolated central difference, same shape.
        difference_error: its error, same shape.
        scale: |gradient| / sqrt(size), the typical size of <gradient, v>, (n_arrays,).
    """

    names: tuple[str, ...]
    gradient: np.ndarray
    difference: np.ndarray
    difference_error: np.ndarray
    scale: np.ndarray

    @property
    def discrepancy(self) -> np.ndarray:
        """Largest |gradient - difference| over the directions, relative to scale, (n_arrays,)."""
        return np.abs(self.gradient - self.difference).max(1) / self.scale

    @property
    def uncertainty(self) -> np.ndarray:
        """Largest error of a difference over the directions, relative to scale, (n_arrays,)."""
        return self.difference_error.max(1) / self.scale


def gradient_check(
    loss: Callable[..., Any],
    params: PyTree,
    key: Key[Array, ""],
    *,
    gradient: PyTree | None = None,
    n_directions: int = 3,
    step: float = 1e-2,
) -> GradientCheck:
    """Compare a gradient with finite differences of the loss, for every real array of the parameters.

    Args:
        loss: `loss(params)` -> scalar, smooth along lines of length `step`.
        params: a pytree with real arrays in float64.
        key: draws the directions.
        gradient: the gradient to check, None where there is none; None: that of `jax.grad`.
        n_directions: directions in each array, >= 1.
        step: h, > 0.

    Raises:
        ValueError: an array is not float64, the gradient of one vanishes, or an argument is outside its
            range.
    """
    check_integer("n_directions", n_directions, 1)
    check_real("step", step, 0, open_low=True)
    real, rest = eqx.partition(params, eqx.is_inexact_array)
    paths, structure = jax.tree_util.tree_flatten_with_path(real)
    names = tuple(jax.tree_util.keystr(path) for path, _ in paths)
    leaves = [np.asarray(leaf) for _, leaf in paths]
    for name, leaf in zip(names, leaves, strict=True):
        require(leaf.dtype == jnp.float64, name, "be float64 for a gradient check", leaf.dtype.name)

    @jax.jit
    def value(leaves: list[Any]) -> Array:
        return loss(eqx.combine(jax.tree.unflatten(structure, leaves), rest))

    slopes = jax.jit(jax.grad(value))(leaves) if gradient is None else jax.tree.leaves(gradient)
    slopes = [np.asarray(slope) for slope in slopes]
    require(len(slopes) == len(leaves), "gradient", f"hold {len(leaves)} arrays", len(slopes))
    # Directions are drawn on the host: there are as many shapes as arrays, and each would be compiled.
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    level = abs(float(value(leaves)))
    table = np.zeros((3, len(leaves), n_directions))
    for i, (name, leaf) in enumerate(zip(names, leaves, strict=True)):
        require(slopes[i].any(), name, "have a gradient other than zero", 0.0)
        for j in range(n_directions):
            v = generator.standard_normal(leaf.shape)
            v /= np.linalg.norm(v)
            central = []
            for h in (step, step / 2, step / 4):
                up, down = ([*leaves[:i], leaf + s * v, *leaves[i + 1 :]] for s in (h, -h))
                central.append(float((value(up) - value(down)) / (2 * h)))
            once = [(4 * fine - coarse) / 3 for coarse, fine in itertools.pairwise(central)]
            twice = (16 * once[1] - once[0]) / 15
            rounding = 4 * np.finfo(np.float64).eps * level / (step / 4)
            table[:, i, j] = float(np.sum(slopes[i] * v)), twice, abs(twice - once[1]) + rounding
    scale = np.array([float(np.linalg.norm(g)) / np.sqrt(g.size) for g in slopes])
    return GradientCheck(names, table[0], table[1], table[2], scale)
