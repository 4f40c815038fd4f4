"""A random neural field: one layer of positions whose weights are correlated along the layer.

    u(z') = int w(z', z) x(z) dz + b(z')
    E w(z_1', z_1) w(z_2', z_2) = sigma_w^2 kappa(z_1', z_2') delta(z_1 - z_2)

Given x, u is Gaussian with covariance

    Q(z_1', z_2') = sigma_w^2 kappa(z_1', z_2') A + sigma_b^2 kappa_b(z_1', z_2'),    A = int x^2 dz

(for weights correlated along the input as well, A = int int x(z) kappa_in(z, y) x(y) dz dy). The next
activity A' = int phi(u)^2 dz' has mean int E phi(u)^2 and, as nearby positions move together, a variance

    Var A' = int int Cov(phi(u_1)^2, phi(u_2)^2) dz_1' dz_2'

that no refinement of the grid removes: A does not average itself out, unless the range of kappa goes to zero.
The map A' = E phi^2 holds for the mean over realisations of one layer, given A.

Source: Amari (1977); the variance is derived here.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._precision import as_real, double_precision
from neuromanifold.theory.meanfield._quadrature import angle_of, pair_rule

# Pairs of positions whose covariances agree to this many digits are one pair.
_DIGITS = 12
_CHUNK = 64


class FieldLayer(NamedTuple):
    """One layer of a random field given its input.

    Args:
        covariance: Q of u, shape (n, n).
        overlap: E x'(z_1) x'(z_2), shape (n, n).
        activity: E A'.
        activity_deviation: standard deviation of A' over realisations.
    """

    covariance: Float[Array, "n n"]
    overlap: Float[Array, "n n"]
    activity: Float[Array, ""]
    activity_deviation: Float[Array, ""]


def _moments(phi: Activation, row: Array) -> Array:
    """E phi(U) phi(V) and E phi(U)^2 phi(V)^2 at (q, q', c)."""
    u, v, w = pair_rule(row[0], row[1], angle_of(row[0], row[1], row[2]), phi.kinks)
    first, second = phi.function(u), phi.function(v)
    return jnp.stack([jnp.sum(w * first * second), jnp.sum(w * first**2 * second**2)])


@double_precision
def field_layer(
    phi: Activation,
    activity: ArrayLike,
    kernel: ArrayLike,
    *,
    sigma_w: float,
    sigma_b: float,
    bias_kernel: ArrayLike | None = None,
) -> FieldLayer:
    """Covariances, mean activity and its deviation after one layer, given the activity of the input.

    Args:
        phi: the activation.
        activity: A = int x^2 dz >= 0, a number.
        kernel: kappa at pairs of positions, symmetric, shape (n, n); positions have weight 1/n each.
        sigma_w: strength of the weights, >= 0.
        sigma_b: strength of the bias, >= 0.
        bias_kernel: kappa_b, shape (n, n); that of the weights where None.

    Raises:
        ValueError: a negative strength, or kernels that are not square, symmetric and positive semidefinite.
    """
    a, s_w, s_b = (
        as_real("activity", activity, 0.0),
        as_real("sigma_w", sigma_w, 0.0),
        as_real("sigma_b", sigma_b, 0.0),
    )
    kappa = _checked("kernel", kernel)
    kappa_b = kappa if bias_kernel is None else _checked("bias_kernel", bias_kernel)
    require(kappa_b.shape == kappa.shape, "bias_kernel", f"have shape {kappa.shape}", kappa_b.shape)
    q = np.asarray(s_w) ** 2 * np.asarray(a) * kappa + np.asarray(s_b) ** 2 * kappa_b
    diagonal = np.diag(q)
    # Positions of a homogeneous field have few distinct pairs; each is averaged once.
    low, high = np.minimum.outer(diagonal, diagonal), np.maximum.outer(diagonal, diagonal)
    pairs = np.round(np.stack([low, high, q], -1).reshape(-1, 3), _DIGITS)
    distinct, place = np.unique(pairs, axis=0, return_inverse=True)
    made = _all_moments(phi, distinct)[place.ravel()]
    overlap, fourth = (part.reshape(q.shape) for part in made.T)
    squares = np.diag(overlap)
    variance = (fourth - np.outer(squares, squares)).mean()
    return FieldLayer(
        *(jnp.asarray(x) for x in (q, overlap, squares.mean(), np.sqrt(max(float(variance), 0.0))))
    )


@partial(jax.jit, static_argnums=0)
def _chunk_moments(phi: Activation, rows: Array) -> Array:
    return jax.lax.map(lambda row: _moments(phi, row), rows, batch_size=8)


def _all_moments(phi: Activation, rows: np.ndarray) -> np.ndarray:
    """In chunks of one size, so that every field shares a compiled program."""
    padded = np.pad(rows, ((0, -len(rows) % _CHUNK), (0, 0)), mode="edge")
    chunks = [np.asarray(_chunk_moments(phi, jnp.asarray(c))) for c in padded.reshape(-1, _CHUNK, 3)]
    return np.concatenate(chunks)[: len(rows)]


def _checked(name: str, kernel: ArrayLike) -> np.ndarray:
    values = np.asarray(as_real(name, kernel))
    require(values.ndim == 2 and values.shape[0] == values.shape[1], name, "be square", values.shape)
    require(np.allclose(values, values.T), name, "be symmetric", "one that is not")
    least = float(np.linalg.eigvalsh(values)[0])
    rule = "be positive semidefinite"
    require(least > -1e-6 * np.linalg.norm(values, 2), name, rule, f"least eigenvalue {least:.3g}")
    return values
