"""Boltzmann machine: units 0 and 1 with symmetric couplings at a temperature, some of them visible.

    P(u_i = 1 | others) = 1 / (1 + exp(-I_i/T)),     I_i = sum_j w_ij u_j + b_i
    p(u) = exp(-E(u)/T) / Z,     E = -sum_{i<j} w_ij u_i u_j - sum_i b_i u_i

The first units are visible, the others hidden. As T -> 0 the units become threshold units, as T -> infinity
all states are equally likely. Each pair has one weight, so that the derivative of the divergence KL[data :
visible law] is, pair by pair,

    -(<u_i u_j>_clamped - <u_i u_j>_free) / T,

with visible units held at data in the clamped phase. Small machines are summed exactly, `log_partition` over
all states and `log_weight` over the hidden ones; `process` samples either phase.

Source: Ackley, Hinton and Sejnowski 1985, Cognit. Sci. 9:147.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process, gibbs
from neuromanifold.networks.energy._restricted import LARGEST_SUM, log_sum
from neuromanifold.networks.energy._units import Bernoulli


class BoltzmannMachine(eqx.Module):
    """Units 0 and 1, symmetric couplings, a temperature; see the module's header.

    Args:
        couplings: w, shape (N, N), symmetric with zero diagonal; only the pairs are kept, as `weights`.
        bias: b, a number or shape (N,).
        n_visible: how many units, the first ones, are visible, in [1, N].
        temperature: T > 0; learning does not change it.
        connected: shape (N, N), symmetric, True for pairs that have a coupling and may learn one; None for
            all pairs.

    Raises:
        ValueError: couplings that are not square, symmetric and zero on the diagonal; a temperature that is
            not positive; a coupling between units that are not connected.
    """

    weights: Float[Array, " pairs"]
    bias: Float[Array, " n_units"]
    connected: Bool[Array, " pairs"]
    temperature: Float[Array, ""]
    n_units: int = eqx.field(static=True)
    n_visible: int = eqx.field(static=True)

    def __init__(
        self,
        couplings: Any,
        bias: Any = 0.0,
        *,
        n_visible: int,
        temperature: float = 1.0,
        connected: Any = None,
    ) -> None:
        w = couplings if isinstance(couplings, Tracer) else check_finite("couplings", couplings)
        require(w.ndim == 2 and w.shape[0] == w.shape[1], "couplings", "be a square matrix", w.shape)
        self.n_units = n = w.shape[0]
        self.n_visible = check_integer("n_visible", n_visible, 1, n)
        check_real("temperature", temperature, 0, open_low=True)
        allowed = np.ones((n, n), bool) if connected is None else np.asarray(connected)
        fits = allowed.shape == (n, n) and allowed.dtype == bool and np.array_equal(allowed, allowed.T)
        require(fits, "connected", f"be a symmetric {n} x {n} matrix of truth values", connected)
        if not isinstance(w, Tracer):
            require(np.array_equal(w, w.T), "couplings", "be symmetric", couplings)
            require(not np.diagonal(w).any(), "couplings", "have a zero diagonal", np.diagonal(w))
            stray = np.argwhere((w != 0) & ~allowed)
            require(not len(stray), "couplings", "be zero where `connected` is False", stray[:1].tolist())
        upper = np.triu_indices(n, 1)
        self.weights = jnp.asarray(w, float)[upper]
        self.temperature = jnp.asarray(temperature, self.weights.dtype)
        self.connected = jnp.asarray(allowed[upper])
        if not isinstance(bias, Tracer):
            shape = check_finite("bias", bias).shape
            require(shape in ((), (n,)), "bias", f"be a number or have shape ({n},)", shape)
        self.bias = jnp.broadcast_to(jnp.asarray(bias, self.weights.dtype), (n,))

    @property
    def couplings(self) -> Float[Array, "n_units n_units"]:
        """The symmetric matrix w, zero where units are not connected."""
        kept = jnp.where(self.connected, self.weights, 0.0)
        upper = (
            jnp.zeros((self.n_units, self.n_units), kept.dtype).at[np.triu_indices(self.n_units, 1)].set(kept)
        )
        return upper + upper.T

    def energy(self, u: Float[Array, "*batch n_units"]) -> Float[Array, "*batch"]:
        """E(u)."""
        return -0.5 * ((u @ self.couplings) * u).sum(-1) - u @ self.bias

    def log_joint(self, u: Float[Array, "*batch n_units"]) -> Float[Array, "*batch"]:
        """-E(u)/T: the logarithm of the law of all units, up to a constant."""
        return -self.energy(u) / jax.lax.stop_gradient(self.temperature)

    def log_weight(self, v: Float[Array, "*batch n_visible"]) -> Float[Array, "*batch"]:
        """The logarithm of the law of the visible units, up to a constant: a sum over hidden states.

        Raises:
            ValueError: more than 20 hidden units.
        """
        n_hidden = self.n_units - self.n_visible
        if n_hidden == 0:
            return self.log_joint(v)
        count = 2**n_hidden
        require(
            count <= LARGEST_SUM, "the number of hidden units", "be at most 20 to be summed over", n_hidden
        )
        hidden = Bernoulli(n_hidden)

        def one(v: Array) -> Array:
            def weight(h: Array) -> Array:
                both = jnp.concatenate([jnp.broadcast_to(v, (len(h), self.n_visible)), h.astype(v.dtype)], 1)
                return self.log_joint(both)

            return log_sum(weight, hidden.configuration, count)

        rows = v.reshape(-1, self.n_visible)
        return jax.vmap(one)(rows).reshape(v.shape[:-1])

    def log_partition(self) -> Float[Array, ""]:
        """Log Z over all states, exactly.

        Raises:
            ValueError: more than 20 units.
        """
        require(self.n_units <= 20, "n_units", "be at most 20 to be summed over", self.n_units)
        units = Bernoulli(self.n_units)

        def weight(u: Array) -> Array:
            return self.log_joint(u.astype(self.weights.dtype))

        return log_sum(weight, units.configuration, 2**self.n_units)

    def log_likelihood(self, v: Float[Array, "*batch n_visible"]) -> Float[Array, "*batch"]:
        """Log p(v), exactly."""
        return self.log_weight(v) - self.log_partition()

    def probability(self, i: Any, u: Float[Array, " n_units"]) -> Float[Array, ""]:
        """P(u_i = 1) given all others."""
        return jax.nn.sigmoid((self.couplings[i] @ u + self.bias[i]) / self.temperature)

    def clamp(self, key: Key[Array, ""], v: Float[Array, "batch n_visible"]) -> Float[Array, "batch n_units"]:
        """Visible units at given values, hidden ones at random: where the clamped phase begins."""
        hidden = jax.random.bernoulli(key, 0.5, (len(v), self.n_units - self.n_visible))
        return jnp.concatenate([v, hidden.astype(v.dtype)], 1)

    def process(self, *, clamped: bool = False, order: str = "permuted") -> Process:
        """Gibbs sampling, every unit once a step on average, of one state (n_units,).

        Args:
            clamped: visible units keep their values.
            order: see `dynamics.gibbs`.
        """
        chain = _Conditional(self, clamped)
        log_weight = None if clamped else self.log_joint
        made = gibbs(chain.draw, self.n_units, order=order, updates=self.n_units, log_weight=log_weight)
        return Process(chain.init, made.step, log_weight=made.log_weight)


class _Conditional(eqx.Module):
    machine: BoltzmannMachine
    clamped: bool = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Any) -> Array:
        """Zeros and ones, checked."""
        return Bernoulli(self.machine.n_units).check("x0", x0).astype(self.machine.weights.dtype)

    def draw(self, key: Key[Array, ""], t: Any, i: Int[Array, ""], u: Array) -> Array:
        """Unit i given all others."""
        up = jax.random.bernoulli(key, self.machine.probability(i, u)).astype(u.dtype)
        return jnp.where(i < self.machine.n_visible, u[i], up) if self.clamped else up
