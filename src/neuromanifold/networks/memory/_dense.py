"""Recall with an N x N matrix of couplings, given or formed for comparison.

    h_i = sum_j J_ij x_j + s_i - theta_i,   x_i <- sgn(h_i),   E = -1/2 x^T J x - (s - theta)^T x

The energy exists for symmetric couplings with zero diagonal alone: single-unit updates then never raise it.

Source: Hopfield 1982, PNAS 79:2554.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, Int, Num

from neuromanifold._base import require
from neuromanifold.networks.memory._network import (
    carried_change,
    carried_field,
    check_bias,
    check_couplings,
    check_tie,
    check_values,
    matrix_field,
    quadratic_energy,
    sign_response,
)


class DenseHopfield(eqx.Module):
    """Units +-1 with given couplings.

    Args:
        couplings: J, shape (n_units, n_units), any finite matrix. Symmetry and finiteness are
            looked at where they can be: couplings inside a compiled function have no energy.
        thresholds: theta, a number or one a unit.
        inputs: s, a number or one a unit.
        tie: a unit at field zero becomes +1 ("positive") or stays ("keep").

    Raises:
        ValueError: couplings that are no finite square matrix; thresholds or inputs of another shape.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.networks.memory import DenseHopfield
    >>> pair = DenseHopfield(jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> float(pair.energy(jnp.array([1.0, 1.0])))
    -1.0
    """

    couplings: Float[Array, "n_units n_units"]
    bias: Float[Array, " n_units"]
    tie: str = eqx.field(static=True)
    has_energy: bool = eqx.field(static=True)

    def __init__(
        self, couplings: Any, *, thresholds: ArrayLike = 0.0, inputs: ArrayLike = 0.0, tie: str = "positive"
    ):
        self.couplings, self.has_energy = check_couplings(couplings)
        n, dtype = len(self.couplings), self.couplings.dtype
        self.bias = check_bias("inputs", inputs, n, dtype) - check_bias("thresholds", thresholds, n, dtype)
        self.tie = check_tie(tie)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.couplings.shape[-1]

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries other than +-1, or another number of units.
        """
        return check_values("cue", cue, self.n_units, (-1, 1), self.couplings.dtype)

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field h = J x + s - theta of every unit."""
        return matrix_field(self.couplings, self.bias, state)

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sgn(h), with the convention of `tie` at h = 0."""
        return sign_response(field, value, self.tie)

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """E = -1/2 x^T J x - (s - theta)^T x, never raised by a single-unit update.

        Raises:
            ValueError: couplings that are asymmetric or have a non-zero diagonal.
        """
        rule = "be symmetric with zero diagonal to have an energy"
        require(self.has_energy, "couplings", rule, f"a matrix of shape {self.couplings.shape} that is not")
        return quadratic_energy(self.couplings, self.bias, state)

    def carry(self, state: Float[Array, "cues n_units"]) -> Float[Array, "cues n_units"]:
        """The fields of all units."""
        return self.field(state)

    def unit_field(
        self, carry: Float[Array, "cues n_units"], unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """h_i."""
        del value
        return carried_field(carry, unit)

    def carry_change(
        self, carry: Float[Array, "cues n_units"], unit: Int[Array, ""], change: Float[Array, " cues"]
    ) -> Float[Array, "cues n_units"]:
        """All fields after x_i changed: h_j + J_ji times the change."""
        return carried_change(carry, self.couplings, unit, change)
