"""Memory of sparse 0/1 patterns, with a fixed threshold or with control of the activity.

Covariance rule     J_ij = (1/(N f (1-f))) sum_mu (xi_i^mu - f)(xi_j^mu - f),   i != j
Clipped (Willshaw)  J_ij = 1 where some pattern has both units, else 0,          i != j

f the activity of the patterns. Units are 0/1. With a fixed threshold unit i becomes 1 where h_i > theta. With
activity control exactly the k units of largest field become 1, k = round(f N) as a rule, whatever the cue's
size: the threshold follows the fields. Units of equal field fire in order of their index.

A control of the activity looks at all units together. Recall with it is synchronous, and has no energy.

Couplings by covariance are kept as patterns, P x N; clipped ones are N x N.

Source: Amari 1989, Neural Networks 2:451; Tsodyks and Feigelman 1988, Europhys. Lett. 6:101; Willshaw,
Buneman and Longuet-Higgins 1969, Nature 222:960.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Num

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.networks.memory._factored import FactoredNetwork
from neuromanifold.networks.memory._network import check_values
from neuromanifold.networks.memory._threshold import ThresholdNetwork

SPARSE_RULES = ("covariance", "clipped")


class SparseMemory(eqx.Module):
    """Memory of 0/1 patterns; see the module's header.

    Args:
        patterns: 0/1, shape (n_patterns, n_units).
        rule: "covariance" or "clipped".
        activity: f, in (0, 1); None: the mean of the patterns, which must then be known.
        n_active: k, for activity control; None: a fixed threshold.
        thresholds: theta, a number or one a unit; added to the fields' competition under activity control.
        strengths: weight of each pattern in the covariance rule, a number or one a pattern.

    Raises:
        ValueError: patterns that are no 0/1 matrix; an activity outside (0, 1); n_active outside [1, N].

    >>> import jax
    >>> from neuromanifold.data import sparse_cue, sparse_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import SparseMemory, synchronous
    >>> patterns = sparse_patterns(jax.random.key(0), 200, 1000, 0.05, exact=True)
    >>> cue = sparse_cue(jax.random.key(1), patterns[0], missing=0.6)
    >>> memory = SparseMemory(patterns, n_active=50)
    >>> recall = run(synchronous(memory), jax.random.key(2), cue, 5)
    >>> bool((recall.state == patterns[0]).all())
    True
    """

    network: FactoredNetwork | ThresholdNetwork
    patterns: Num[Array, "n_patterns n_units"]
    activity: Float[Array, ""]
    n_active: int | None = eqx.field(static=True)

    def __init__(
        self,
        patterns: Any,
        rule: str = "covariance",
        *,
        activity: Any = None,
        n_active: int | None = None,
        thresholds: ArrayLike = 0.0,
        strengths: Any = 1.0,
    ):
        shape = np.shape(patterns)
        require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
        check_choice("rule", rule, SPARSE_RULES)
        xi = check_values("patterns", patterns, shape[1], (0, 1), jnp.result_type(float))
        known = not isinstance(xi, Tracer)
        if activity is None:
            require(known, "activity", "be given for patterns that are not known yet", None)
            activity = float(np.mean(np.asarray(xi, np.float64)))
        if not isinstance(activity, Tracer):
            check_real("activity", activity, 0, 1, open_low=True, open_high=True)
        self.activity = jnp.asarray(activity, xi.dtype)
        self.n_active = None if n_active is None else check_integer("n_active", n_active, 1, shape[1])
        self.patterns = xi
        if rule == "covariance":
            scale = jnp.sqrt(self.activity * (1.0 - self.activity))
            self.network = FactoredNetwork(
                (xi - self.activity) / scale,
                strengths=strengths,
                units="bits",
                thresholds=thresholds,
                tie="keep",
            )
        else:
            together = np.asarray(xi).T @ np.asarray(xi) > 0
            np.fill_diagonal(together, False)
            self.network = ThresholdNetwork(together.astype(xi.dtype), thresholds=thresholds)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.network.n_units

    @property
    def has_energy(self) -> bool:
        """Whether the threshold is fixed."""
        return self.n_active is None and self.network.has_energy

    def overlaps(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues n_patterns"]:
        """m_mu = sum_i (xi_i^mu - f) u_i / (N f (1-f)): 1 for the pattern itself, 0 for strangers."""
        values = state.astype(self.patterns.dtype)
        total = jnp.sum(values, -1, keepdims=True) * self.activity
        scale = self.n_units * self.activity * (1.0 - self.activity)
        return (values @ self.patterns.T - total) / scale

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries other than 0 and 1, or another number of units.
        """
        return self.network.start(cue)

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field of every unit."""
        return self.network.field(state)

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Threshold, or the n_active units of largest field on the last axis."""
        if self.n_active is None:
            return self.network.respond(field, value)
        return winners(field, self.n_active).astype(value.dtype)

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """The energy at a fixed threshold, never raised by a single-unit update.

        Raises:
            ValueError: a memory with activity control.
        """
        require(self.n_active is None, "n_active", "be None to have an energy", self.n_active)
        return self.network.energy(state)

    def carry(self, state: Float[Array, "cues n_units"]) -> Any:
        """What single-unit updates carry along.

        Raises:
            ValueError: a memory with activity control, whose units cannot be updated one by one.
        """
        require(self.n_active is None, "n_active", "be None for asynchronous recall", self.n_active)
        return self.network.carry(state)

    def unit_field(
        self, carry: Any, unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """h_i."""
        return self.network.unit_field(carry, unit, value)

    def carry_change(self, carry: Any, unit: Int[Array, ""], change: Float[Array, " cues"]) -> Any:
        """The carry after u_i changed."""
        return self.network.carry_change(carry, unit, change)


def winners(field: Float[Array, "*cues n_units"], n_active: int) -> Float[Array, "*cues n_units"]:
    """1 for the n_active largest entries of the last axis, equal ones in order of their index; else 0.

    Args:
        field: any shape.
        n_active: how many fire, in [1, n_units].
    """
    _, places = jax.lax.top_k(field, n_active)
    return jnp.put_along_axis(jnp.zeros_like(field), places, 1.0, axis=-1, inplace=False)
