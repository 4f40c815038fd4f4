"""A random network of +-1 units: one layer applied again and again.

    x'_i = sgn(u_i),   u_i = sum_j W_ij x_j + b_i,   W_ij ~ N(w_bar/n, sigma_w^2/n),   b_i ~ N(s, sigma_b^2)

with sgn(0) = +1. Several states go through the same weights, one row each. Three ways to use weights:

    fresh       new W and b at every step: depth is time. They are drawn from the key of the step in blocks of
                rows and forgotten, so that no n x n matrix is ever held.
    same        W and b drawn once, W_ij and W_ji independent: the network is recurrent.
    symmetric   W drawn once with W_ij = W_ji: detailed balance holds, the network falls into cycles of two.

Symbols: n units, w_bar and s means of weights (times n) and biases. Time: steps.

Source: Amari 1974, Kybernetik 14:201; Amari, Yoshida and Kanatani 1977, SIAM J. Appl. Math. 33:95.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, check_real, check_signs, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.random._deep import Weights

WEIGHTS = ("fresh", "same", "symmetric")
# Weights drawn at once where they are fresh: 16 MiB of float32.
_BLOCK_ENTRIES = 2**22


class BinaryState(NamedTuple):
    """States of the network after some steps.

    Args:
        units: +-1, one state a row.
        before: the states one step earlier; at the start the states themselves.
        weights: the weights that are used again at every step; None where they are fresh.
    """

    units: Float[Array, "n_states n_units"]
    before: Float[Array, "n_states n_units"]
    weights: Weights | None


class BinaryNetwork(eqx.Module):
    """The law of a step; `binary_network` makes the process.

    Args:
        n_units: n.
        sigma_w: standard deviation of sqrt(n) W_ij.
        sigma_b: standard deviation of the biases.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.
    """

    n_units: int = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    mean_w: Float[Array, ""]
    mean_b: Float[Array, ""]

    def init(self, weights: str, key: Key[Array, ""], x0: ArrayLike) -> BinaryState:
        """Begin with one state of shape (n_units,) or several, (n_states, n_units), entries +-1.

        Raises:
            ValueError: another shape, or an entry that is not +-1.
        """
        shape = np.shape(x0)
        rule = f"have shape (n_states, n_units) or (n_units,) with n_units = {self.n_units}"
        require(len(shape) in (1, 2) and shape[-1] == self.n_units, "x0", rule, shape)
        if not isinstance(x0, Tracer):
            check_signs("x0", x0)
        units = jnp.atleast_2d(jnp.asarray(x0, jnp.result_type(float)))
        if weights == "fresh":
            return BinaryState(units, units, None)
        # One draw for both: a second generator would double the time to compile.
        normal = jax.random.normal(key, (self.n_units + 1, self.n_units), units.dtype)
        matrix, bias = normal[1:], self.sigma_b.astype(units.dtype) * normal[0]
        if weights == "symmetric":
            matrix = jnp.triu(matrix) + jnp.triu(matrix, 1).T
        return BinaryState(units, units, Weights(matrix * self._scale(units.dtype), bias))

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], state: BinaryState
    ) -> tuple[BinaryState, Float[Array, " n_states"]]:
        """The next states; the information is their overlap x(t+1) . x(t-1)/n with those two steps before.

        At t = 0 it is the overlap with the start, x(1) . x(0)/n.
        """
        del t
        mean = jnp.mean(state.units, axis=1, keepdims=True)
        raised = self.mean_w.astype(mean.dtype) * mean + self.mean_b.astype(mean.dtype)
        if state.weights is None:
            random = self._fresh(key, state.units)
        else:
            random = state.units @ state.weights.weight.T + state.weights.bias[None, :]
        units = jnp.where(random + raised >= 0, 1.0, -1.0).astype(state.units.dtype)
        return BinaryState(units, state.units, state.weights), jnp.mean(units * state.before, axis=1)

    def _scale(self, dtype: Any) -> Array:
        return (self.sigma_w / jnp.sqrt(1.0 * self.n_units)).astype(dtype)

    def _fresh(self, key: Array, units: Array) -> Array:
        """W x + b without their means, W and b drawn block by block of rows."""
        rows = max(1, min(self.n_units, _BLOCK_ENTRIES // self.n_units))
        n_blocks = -(-self.n_units // rows)
        scale, spread = self._scale(units.dtype), self.sigma_b.astype(units.dtype)

        def block(key_block: Array) -> Array:
            normal = jax.random.normal(key_block, (rows, self.n_units + 1), units.dtype)
            return scale * (units @ normal[:, 1:].T) + spread * normal[None, :, 0]

        if n_blocks == 1:
            return block(key)
        parts = jax.lax.map(block, jax.random.split(key, n_blocks))
        return jnp.moveaxis(parts, 0, 1).reshape(len(units), -1)[:, : self.n_units]


class _Start(eqx.Module):
    """How weights are drawn is no part of the step, so that both kinds of reuse share one program."""

    network: BinaryNetwork
    weights: str = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: ArrayLike) -> BinaryState:
        return self.network.init(self.weights, key, x0)


def binary_network(
    n_units: int,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    mean_w: float = 0.0,
    mean_b: float = 0.0,
    weights: str = "fresh",
) -> Process:
    """Random +-1 units as a process on `BinaryState`; see the module's header.

    It begins with one state or with several, which share all weights: distances between rows are distances
    under one network.

    Args:
        n_units: n, >= 1.
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        mean_w: w_bar, n times the mean weight.
        mean_b: s, the mean bias.
        weights: "fresh" (new ones every step), "same" (one asymmetric matrix reused) or "symmetric" (one
            symmetric matrix reused).

    Raises:
        ValueError: an argument outside its range.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.random import binary_activities, binary_network
    >>> network = binary_network(1000, sigma_w=1.0, mean_w=2.0, mean_b=0.3)
    >>> start = random_patterns(jax.random.key(0), 1, 1000)
    >>> made = run(network, jax.random.key(1), start, 6, observe=binary_activities)
    >>> bool(abs(made.values[-1, 0] - 0.976) < 0.035)
    True
    """
    network = BinaryNetwork(
        n_units=check_integer("n_units", n_units, 1),
        sigma_w=jnp.asarray(check_real("sigma_w", sigma_w, 0.0, open_low=True)),
        sigma_b=jnp.asarray(check_real("sigma_b", sigma_b, 0.0)),
        mean_w=jnp.asarray(check_real("mean_w", mean_w)),
        mean_b=jnp.asarray(check_real("mean_b", mean_b)),
    )
    return Process(_Start(network, check_choice("weights", weights, WEIGHTS)).init, network.step)


def binary_activities(state: BinaryState) -> Float[Array, " n_states"]:
    """X = (1/n) sum_i x_i of each state."""
    return jnp.mean(state.units, axis=1)


def hamming_from_first(state: BinaryState) -> Float[Array, " n_others"]:
    """D = fraction of units in which every other state differs from the first, in [0, 1]."""
    return jnp.mean(state.units[1:] != state.units[:1], axis=1, dtype=state.units.dtype)
