"""What a finite width n changes, to first order in 1/n.

Given a layer's input, its units are independent and identically distributed Gaussians. Order parameters s
(the activity A, or A_x, A_y and D of two inputs) are means of n independent functions of them, so at every
width

    E[s' | s] = F(s),   Cov[s' | s] = V(s) / n        exactly, F the map of infinite width

and all corrections come from carrying fluctuations through the curved F. With E s = m + b/n and Cov s = S/n,

    m' = F(m),   S' = J S J^T + V(m),   b' = J b + (1/2) sum_ij H_ij S_ij        J, H: derivatives of F at m

up to O(1/n^2), from b = 0, S = 0 at an input of fixed order parameters. The process carries (m, b, S); it
is meant for float64. It is the expansion of any Markov chain of means in its size (van Kampen); for
networks see Hanin and Nica (2020) on products of ReLU layers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import (
    angle_of_distance,
    check_pair,
    fourth_moment,
    pair_step,
    second_moment,
)
from neuromanifold.theory.meanfield._precision import as_real
from neuromanifold.theory.meanfield._quadrature import pair_rule


class Fluctuations(NamedTuple):
    """Order parameters of a network of finite width n: mean m + bias/n, covariance/n.

    Args:
        mean: m, the value at infinite width: (A,) or (A_x, A_y, D).
        bias: b, n times the first correction of the mean.
        covariance: S, n times the covariance.
    """

    mean: Float[Array, "k"]
    bias: Float[Array, "k"]
    covariance: Float[Array, "k k"]


class FiniteWidthLayer(eqx.Module):
    """One layer's map of mean, bias and covariance, for one input or a pair."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, order_parameters: ArrayLike) -> Fluctuations:
        """Start from (A,) or (A_x, A_y, D) of fixed inputs."""
        del key
        s = as_real("order_parameters", order_parameters, 0.0)
        require(s.shape in ((1,), (3,)), "order_parameters", "be (A,) or (A_x, A_y, D)", s.shape)
        if s.size == 3:
            check_pair(*s)
        return Fluctuations(s, jnp.zeros_like(s), jnp.zeros((s.size, s.size), s.dtype))

    def forward(self, s: Float[Array, "k"]) -> Float[Array, "k"]:
        """F(s)."""
        s_w, s_b = self.sigma_w.astype(s.dtype), self.sigma_b.astype(s.dtype)
        if s.size == 1:
            return jnp.stack([second_moment(self.phi, s_w**2 * s[0] + s_b**2)])
        return jnp.stack(pair_step(self.phi, s_w, s_b, (s[0], s[1], s[2])))

    def noise(self, s: Float[Array, "k"]) -> Float[Array, "k k"]:
        """V(s): covariance of phi(u)^2, or of phi(u)^2, phi(v)^2 and (phi(u) - phi(v))^2."""
        s_w, s_b = self.sigma_w.astype(s.dtype), self.sigma_b.astype(s.dtype)
        if s.size == 1:
            q = s_w**2 * s[0] + s_b**2
            return jnp.reshape(fourth_moment(self.phi, q) - second_moment(self.phi, q) ** 2, (1, 1))
        q_1, q_2 = s_w**2 * s[0] + s_b**2, s_w**2 * s[1] + s_b**2
        u, v, w = pair_rule(q_1, q_2, angle_of_distance(q_1, q_2, s_w**2 * s[2]), self.phi.kinks)
        x, y = self.phi.function(u), self.phi.function(v)
        terms = jnp.stack([x**2, y**2, (x - y) ** 2])
        centred = terms - (terms @ w)[:, None]
        return (centred * w[None, :]) @ centred.T

    def step(self, key: Any, t: Any, state: Fluctuations) -> tuple[Fluctuations, None]:
        """Mean, bias and covariance one layer on."""
        del key, t
        mean, bias, covariance = state
        slope = jax.jacfwd(self.forward)(mean)
        curvature = jax.jacfwd(jax.jacfwd(self.forward))(mean)
        bent = 0.5 * jnp.einsum("aij,ij->a", curvature, covariance)
        spread = slope @ covariance @ slope.T + self.noise(mean)
        return Fluctuations(self.forward(mean), slope @ bias + bent, spread), None


def finite_width_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """Order parameters with their 1/n corrections and fluctuations, as a process on `Fluctuations`.

    Args:
        phi: the activation, twice differentiable between its kinks; with a kink, continuous.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative or non-finite argument.
    """
    layer = FiniteWidthLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)


def relu_kurtosis(n_units: int, depth: int) -> float:
    """E A_L^2 / (E A_L)^2 of ReLU layers with sigma_w^2 = 2 and no bias, exactly: (1 + 5/n)^L.

    Source: Hanin and Nica (2020), for equal widths.
    """
    return math.exp(depth * math.log1p(5.0 / n_units))
