"""A random neural field: layers of positions on a line or a ring, with weights correlated along the layer.

    u(z') = int w(z', z) x(z) dz + b(z'),   x' = phi(u)
    E w(z_1', z_1) w(z_2', z_2) = sigma_w^2 kappa(z_1', z_2') delta(z_1 - z_2),   E b b = sigma_b^2 kappa_b

The layer has length 1 and n positions of weight dz = 1/n, so that the delta function is 1/dz on the diagonal
and the weights are w = sigma_w K xi / sqrt(dz) with K K^T = kappa and xi independent N(0, 1): the law of u
does not depend on the grid. Weights correlated along the input as well, E w w = sigma_w^2 kappa kappa_in, are
sigma_w K xi K_in^T. Steps are layers; weights are drawn from the key of the step. Several inputs go through
the same weights, one row each.

Source: Amari (1977); the random field of layers is from Amari's lecture "Deep random neural field" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process


class RandomField(eqx.Module):
    """The layers of a random neural field; `random_field` makes the process.

    Args:
        phi: activation, an elementwise function.
        root: sigma_w K, shape (n, n).
        bias_root: sigma_b K_b, shape (n, n).
        input_root: K_in, shape (n, n); None for weights that are white along the input.
    """

    phi: Callable[[Any], Any] = eqx.field(static=True)
    root: Float[Array, "n n"]
    bias_root: Float[Array, "n n"]
    input_root: Float[Array, "n n"] | None

    def init(self, key: Any, x0: ArrayLike) -> Float[Array, "inputs n"]:
        """Begin with inputs of shape (inputs, n) or one input of shape (n,)."""
        del key
        signal = jnp.atleast_2d(jnp.asarray(x0, self.root.dtype))
        n = len(self.root)
        require(signal.ndim == 2 and signal.shape[1] == n, "x0", f"have {n} positions", signal.shape)
        return signal

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], signal: Float[Array, "inputs n"]
    ) -> tuple[Float[Array, "inputs n"], Float[Array, "inputs n"]]:
        """The next layer; the information is u."""
        del t
        n = len(self.root)
        normal = jax.random.normal(key, (n + 1, n), signal.dtype)
        scaled = signal / math.sqrt(n) if self.input_root is None else signal @ self.input_root / n
        u = (scaled @ normal[1:].T) @ self.root.T + (self.bias_root @ normal[0])[None, :]
        return self.phi(u), u


def random_field(
    phi: Callable[[Any], Any],
    kernel: ArrayLike,
    *,
    sigma_w: float,
    sigma_b: float,
    bias_kernel: ArrayLike | None = None,
    input_kernel: ArrayLike | None = None,
) -> Process:
    """Signals through layers of a random neural field, as a process whose state is one signal a row.

    Args:
        phi: activation, any elementwise JAX function.
        kernel: kappa at pairs of positions, symmetric positive semidefinite, shape (n, n).
        sigma_w: strength of the weights, >= 0.
        sigma_b: strength of the bias, >= 0.
        bias_kernel: kappa_b, shape (n, n); that of the weights where None.
        input_kernel: kappa_in, shape (n, n); None for weights that are white along the input.

    Raises:
        ValueError: a kernel that is not square, symmetric and positive semidefinite, or a negative strength.
    """
    s_w, s_b = check_real("sigma_w", sigma_w, 0.0), check_real("sigma_b", sigma_b, 0.0)
    root = _root("kernel", kernel)
    others = [
        None if given is None else _root(name, given)
        for name, given in (("bias_kernel", bias_kernel), ("input_kernel", input_kernel))
    ]
    for name, other in zip(("bias_kernel", "input_kernel"), others, strict=True):
        if other is not None:
            require(other.shape == root.shape, name, f"have shape {root.shape}", other.shape)
    bias_root = root if others[0] is None else others[0]
    input_root = None if others[1] is None else _float(others[1])
    field = RandomField(phi, _float(s_w * root), _float(s_b * bias_root), input_root)
    return Process(field.init, field.step)


def ring_kernel(n_positions: int, width: float) -> Float[np.ndarray, "n n"]:
    """exp(-d^2 / (2 width^2)) between equally spaced positions on a ring of length 1, d the shorter distance.

    Args:
        n_positions: n >= 1.
        width: > 0; above about 0.13 the kernel is no longer positive semidefinite.
    """
    n = check_integer("n_positions", n_positions, 1)
    width = check_real("width", width, 0.0, open_low=True)
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.exp(-0.5 * (np.minimum(steps, n - steps) / (n * width)) ** 2)


def _float(values: np.ndarray) -> Array:
    return jnp.asarray(values, jnp.result_type(float))


def _root(name: str, kernel: ArrayLike) -> np.ndarray:
    values = np.asarray(check_finite(name, kernel), np.float64)
    require(values.ndim == 2 and values.shape[0] == values.shape[1], name, "be square", values.shape)
    require(np.allclose(values, values.T), name, "be symmetric", "one that is not")
    scale, frame = np.linalg.eigh(values)
    rule = "be positive semidefinite"
    require(scale[0] > -1e-6 * scale[-1], name, rule, f"least eigenvalue {scale[0]:.3g}")
    return frame * np.sqrt(np.maximum(scale, 0.0))[None, :]
