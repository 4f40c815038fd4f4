"""Storkey's rule: Hebb's with a local correction, pattern by pattern.

    J_ij <- J_ij + (1/N) (xi_i xi_j - xi_i h_ji - h_ij xi_j),   h_ij = sum_{k != i, j} J_ik xi_k,

from J = 0, J_ii = 0. What the network already says about a pattern is taken off what it is taught. The rule
is local and incremental; the couplings stay symmetric and depend, weakly, on the order of the patterns. With
h_i = sum_k J_ik xi_k the correction is one matrix product and two outer products,

    N Delta J = xi xi^T - xi h^T - h xi^T + 2 J   off the diagonal.

Time: one step learns one pattern, O(N^2).

Source: Storkey 1997, ICANN'97, Lecture Notes in Computer Science 1327:451; Storkey and Valabregue 1999,
Neural Networks 12:869.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Num

from neuromanifold._base import check_signs, require
from neuromanifold.dynamics import Process, run
from neuromanifold.networks.memory._dense import DenseHopfield


class _Storkey(eqx.Module):
    patterns: Num[Array, "n_patterns n_units"]

    def init(self, key: Any, couplings: Any) -> Float[Array, "n_units n_units"]:
        del key
        return jnp.asarray(couplings, jnp.result_type(float))

    def step(
        self, key: Any, t: Any, state: Float[Array, "n_units n_units"]
    ) -> tuple[Float[Array, "n_units n_units"], None]:
        del key
        xi = jax.lax.dynamic_index_in_dim(self.patterns, t % len(self.patterns), 0, keepdims=False)
        return storkey_update(state, xi.astype(state.dtype)), None


def storkey_update(
    couplings: Float[Array, "n_units n_units"], pattern: Float[Array, " n_units"]
) -> Float[Array, "n_units n_units"]:
    """The couplings after one more pattern; a pattern of zeros changes nothing.

    Args:
        couplings: symmetric, zero diagonal.
        pattern: entries -1 and 1, or all 0.
    """
    n = len(pattern)
    field = couplings @ pattern
    cross = jnp.outer(pattern, field)
    square = pattern**2
    change = jnp.outer(pattern, pattern) - cross - cross.T + couplings * (square[:, None] + square[None])
    return couplings + change * (1.0 - jnp.eye(n, dtype=couplings.dtype)) / n


def storkey_learning(patterns: Any) -> Process:
    """The process of learning one pattern after the other by Storkey's rule; it begins with couplings.

    Args:
        patterns: +-1, shape (n_patterns, n_units); step t learns pattern t modulo P. Inside a compiled
            function they are not looked at, and rows of zeros are places without a pattern.

    Raises:
        ValueError: patterns that are no +-1 matrix.
    """
    shape = np.shape(patterns)
    require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
    if not isinstance(patterns, Tracer):
        check_signs("patterns", patterns)
    moved = _Storkey(jnp.asarray(patterns))
    return Process(moved.init, moved.step)


def storkey(
    patterns: Any, *, thresholds: ArrayLike = 0.0, inputs: ArrayLike = 0.0, tie: str = "positive"
) -> DenseHopfield:
    """The memory that has learnt patterns by Storkey's rule, in their order: N x N couplings.

    Args:
        patterns: +-1, shape (n_patterns, n_units).
        thresholds: a number or one a unit.
        inputs: a number or one a unit.
        tie: a unit at field zero becomes +1 ("positive") or stays ("keep").

    Raises:
        ValueError: patterns that are no +-1 matrix.

    >>> from neuromanifold.networks.memory import storkey
    >>> storkey([[1, 1, -1, -1]]).couplings.tolist()[0]
    [0.0, 0.25, -0.25, -0.25]
    """
    process = storkey_learning(patterns)
    n_patterns, n_units = np.shape(patterns)
    start = jnp.zeros((n_units, n_units))
    couplings = run(process, jax.random.key(0), start, n_patterns, label="storkey").state
    # Rounding makes the two outer products differ in the last bit.
    return DenseHopfield((couplings + couplings.T) / 2, thresholds=thresholds, inputs=inputs, tie=tie)
