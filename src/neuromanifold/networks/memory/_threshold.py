"""Hopfield's network of 0/1 units with thresholds and inputs, and its map to the +-1 form.

    u_i <- 1, 0 or u_i  as  h_i = sum_j w_ij u_j + s_i - theta_i  is > 0, < 0 or = 0,
    E = -1/2 sum_{ij} w_ij u_i u_j - sum_i (s_i - theta_i) u_i,

w symmetric with zero diagonal; a change of u_i changes E by -(Delta u_i) h_i <= 0.

With x = 2u - 1 a network of +-1 units with couplings J, thresholds theta and inputs s is the 0/1 network with

    w_ij = 4 J_ij,   theta_i -> 2 theta_i + 2 sum_j J_ij,   s_i -> 2 s_i;

its fields are twice those of the +-1 form, its energy differs by a constant, and since a unit at field zero
stays here, so it must there (tie="keep").

Source: Hopfield 1982, PNAS 79:2554; Hopfield 1984, PNAS 81:3088.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Num

from neuromanifold._base import check_choice, require
from neuromanifold.networks.memory._dense import DenseHopfield
from neuromanifold.networks.memory._network import (
    asymmetry,
    carried_change,
    carried_field,
    check_bias,
    check_couplings,
    check_values,
    matrix_field,
    quadratic_energy,
)

RULES = ("product", "centred")


class ThresholdNetwork(eqx.Module):
    """Units 0/1 with thresholds; see the module's header.

    Args:
        couplings: w, shape (n_units, n_units), symmetric with zero diagonal.
        thresholds: theta, a number or one a unit.
        inputs: s, a number or one a unit.

    Raises:
        ValueError: couplings asymmetric or with a non-zero diagonal (no energy is defined), or not finite;
            thresholds or inputs of another shape.

    >>> import jax
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import asynchronous, learn
    >>> network = learn([[1, 1, 0, 0], [1, 0, 1, 0]], rule="product", thresholds=0.5)
    >>> run(asynchronous(network), jax.random.key(0), [1, 1, 0, 0], 3).state.tolist()
    [1.0, 1.0, 1.0, 0.0]
    """

    couplings: Float[Array, "n_units n_units"]
    thresholds: Float[Array, " n_units"]
    inputs: Float[Array, " n_units"]

    def __init__(self, couplings: Any, *, thresholds: ArrayLike = 0.0, inputs: ArrayLike = 0.0):
        self.couplings, _ = check_couplings(couplings)
        given = np.asarray(self.couplings)
        place = asymmetry(given)
        if place is not None:
            mirrored = place[::-1]
            raise ValueError(
                "couplings must be symmetric, for else no energy is defined, got "
                f"{given[place]:g} at {place} and {given[mirrored]:g} at {mirrored}."
            )
        own = np.flatnonzero(np.diagonal(given))
        require(
            not own.size,
            "couplings",
            "have a zero diagonal, for else the energy may rise",
            f"{given[own[0], own[0]]} at unit {own[0]}" if own.size else None,
        )
        n, dtype = len(self.couplings), self.couplings.dtype
        self.thresholds = check_bias("thresholds", thresholds, n, dtype)
        self.inputs = check_bias("inputs", inputs, n, dtype)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.couplings.shape[-1]

    @property
    def has_energy(self) -> bool:
        """True: other couplings are refused."""
        return True

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries other than 0 and 1, or another number of units.
        """
        return check_values("cue", cue, self.n_units, (0, 1), self.couplings.dtype)

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field h = w u + s - theta of every unit."""
        return matrix_field(self.couplings, self.inputs - self.thresholds, state)

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """1, 0 or the old value as the field is > 0, < 0 or = 0."""
        one, zero = jnp.ones((), value.dtype), jnp.zeros((), value.dtype)
        return jnp.where(field > 0, one, jnp.where(field < 0, zero, value))

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """E = -1/2 u^T w u - (s - theta)^T u, never raised by a single-unit update."""
        return quadratic_energy(self.couplings, self.inputs - self.thresholds, state)

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
        """All fields after u_i changed."""
        return carried_change(carry, self.couplings, unit, change)


def learn(
    pictures: Any, rule: str = "centred", *, thresholds: ArrayLike | None = None, inputs: ArrayLike = 0.0
) -> ThresholdNetwork:
    """A 0/1 network that has learnt pictures, each once.

    w_ij = sum over pictures of u_i u_j ("product"), or of 4 (u_i - 1/2)(u_j - 1/2) ("centred"), which is
    Hebb's rule for x = 2u - 1 and stores a picture and its negative alike; w_ii = 0. Sums are exact integers.

    Args:
        pictures: 0/1, shape (n_patterns, n_units).
        rule: "product" or "centred".
        thresholds: theta; None is 0 for "product" and sum_j w_ij / 2 for "centred", the threshold under which
            the network is Hebb's memory of x = 2u - 1 with no threshold.
        inputs: s.

    Raises:
        ValueError: pictures that are no 0/1 matrix, or an unknown rule.
    """
    check_choice("rule", rule, RULES)
    array = np.asarray(pictures)
    require(
        array.ndim == 2 and min(array.shape) >= 1, "pictures", "have shape (n_patterns, n_units)", array.shape
    )
    values = np.asarray(check_values("pictures", array, array.shape[1], (0, 1), jnp.float32))
    if rule == "centred":
        values = 2 * values - 1
    couplings = values.T @ values
    np.fill_diagonal(couplings, 0)
    usual: ArrayLike = couplings.sum(1) / 2 if rule == "centred" else 0.0
    return ThresholdNetwork(couplings, thresholds=usual if thresholds is None else thresholds, inputs=inputs)


def from_signs(network: DenseHopfield) -> ThresholdNetwork:
    """The 0/1 network that moves as a +-1 network does, u = (x + 1)/2.

    Args:
        network: symmetric couplings, zero diagonal, and tie "keep", for a 0/1 unit at field zero stays.

    Raises:
        ValueError: a network with another tie; couplings without an energy.
    """
    require(network.tie == "keep", "tie", "be 'keep' to have a 0/1 form", network.tie)
    sums = network.couplings.sum(1)
    return ThresholdNetwork(4 * network.couplings, thresholds=2 * sums - 2 * network.bias)


def to_signs(network: ThresholdNetwork) -> DenseHopfield:
    """The +-1 network that moves as a 0/1 network does, x = 2u - 1: J = w/4, fields half as large.

    The inverse of `from_signs`.
    """
    couplings = network.couplings / 4
    bias = (network.inputs - network.thresholds) / 2 + couplings.sum(1)
    return DenseHopfield(couplings, inputs=bias, tie="keep")
