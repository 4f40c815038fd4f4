"""Recall with couplings kept as two factors, for any rule that writes them as a sum over patterns.

    J_ij = (1/N) sum_mu s_mu a_i^mu b_j^mu,   i != j,
    h_i  = (1/N) sum_mu s_mu a_i^mu (sum_j b_j^mu x_j) - J_ii x_i + inputs_i - thresholds_i

a are the targets, b the sources and s the strengths of the patterns: 4 P N operations an update instead of
2 N^2, and no N x N matrix. A changed unit changes the sums over b by one column, so that a single-unit update
costs O(P). `Hopfield` is the case a = b = xi, s = 1 with integer arithmetic; the pseudo-inverse has
b = C^-1 xi, the perceptron its embedding strengths in a, sparse memories a = b = xi - f.

Units are +-1 ("signs") or 0/1 ("bits"). An energy exists where J is symmetric with zero diagonal:

    E = -1/2 sum_{i != j} J_ij x_i x_j - sum_i (inputs_i - thresholds_i) x_i.

Symbols: N units, P patterns, a targets, b sources, s strengths, theta thresholds. Time: updates.

Source: Hopfield 1982, PNAS 79:2554; Amari 1977, Biol. Cybern. 26:175.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Num

from neuromanifold._base import check_choice, check_finite, require
from neuromanifold.networks.memory._network import check_bias, check_tie, check_values, sign_response

UNITS = ("signs", "bits")
_VALUES = {"signs": (-1, 1), "bits": (0, 1)}


class FactoredNetwork(eqx.Module):
    """Units +-1 or 0/1 with couplings of two factors; see the module's header.

    Args:
        targets: a, real, shape (n_patterns, n_units).
        sources: b, of the same shape; None: b = a, which makes the couplings symmetric.
        strengths: s, a number or one a pattern.
        units: "signs" (+-1) or "bits" (0/1).
        symmetric: declares (1/N) a^T s b symmetric, which is verified; an energy needs it where b is given.
        self_coupling: keep the diagonal of the couplings; it excludes an energy.
        thresholds: theta, a number or one a unit.
        inputs: a number or one a unit.
        tie: a unit at field zero becomes +1 (or 1) with "positive", or stays with "keep".

    Raises:
        ValueError: factors that are no finite matrices of one shape; couplings declared symmetric that are
            not; an unknown word; strengths, thresholds or inputs of another shape.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.networks.memory import FactoredNetwork
    >>> pair = FactoredNetwork(jnp.array([[1.0, 1.0]]))
    >>> float(pair.energy(jnp.array([1.0, 1.0])))
    -0.5
    """

    targets: Float[Array, "n_units n_patterns"]
    sources: Float[Array, "n_units n_patterns"] | None
    strengths: Float[Array, " n_patterns"]
    diagonal: Float[Array, " n_units"]
    bias: Float[Array, " n_units"]
    units: str = eqx.field(static=True)
    tie: str = eqx.field(static=True)
    self_coupling: bool = eqx.field(static=True)
    has_energy: bool = eqx.field(static=True)

    def __init__(
        self,
        targets: Any,
        sources: Any = None,
        *,
        strengths: Any = 1.0,
        units: str = "signs",
        symmetric: bool = False,
        self_coupling: bool = False,
        thresholds: ArrayLike = 0.0,
        inputs: ArrayLike = 0.0,
        tie: str = "positive",
    ):
        self.units = check_choice("units", units, UNITS)
        self.tie = check_tie(tie)
        self.self_coupling = self_coupling
        # Units first, as a single-unit update reads one row.
        self.targets = _factor("targets", targets).T
        self.sources = None if sources is None else _factor("sources", sources).T
        shape, dtype = self.targets.shape, self.targets.dtype
        if self.sources is not None:
            given = self.sources.shape
            require(given == shape, "sources", f"have the shape of targets, {shape[::-1]}", given[::-1])
        self.strengths = check_bias("strengths", strengths, shape[1], dtype)
        read = self._read()
        products = jnp.sum(self.targets * self.strengths[None] * read, -1) / shape[0]
        self.diagonal = jnp.zeros(shape[0], dtype) if self_coupling else products
        self.bias = check_bias("inputs", inputs, shape[0], dtype) - check_bias(
            "thresholds", thresholds, shape[0], dtype
        )
        if symmetric and sources is not None and not isinstance(read, Tracer):
            wrong = _asymmetry(np.asarray(self.targets * self.strengths[None]), np.asarray(read))
            require(wrong <= 1e-3, "targets and sources", "make symmetric couplings", f"asymmetry {wrong:g}")
        self.has_energy = (symmetric or sources is None) and not self_coupling

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.targets.shape[0]

    @property
    def n_patterns(self) -> int:
        """Number of terms P of the couplings."""
        return self.targets.shape[1]

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries that are none of the two values, or another number of units.
        """
        return check_values("cue", cue, self.n_units, _VALUES[self.units], self.bias.dtype)

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field of every unit; two products for all cues."""
        raised = self._called(self._sums(state)) @ self.targets.T / self.n_units
        return raised - _same_rank(self.diagonal, state) * state + _same_rank(self.bias, state)

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The larger value above field zero, the smaller below, at zero by `tie`."""
        signs = sign_response(field, value if self.units == "signs" else 2 * value - 1, self.tie)
        return signs if self.units == "signs" else (signs + 1) / 2

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """E = -1/2 sum_{i != j} J_ij x_i x_j - sum_i (inputs_i - thresholds_i) x_i.

        Raises:
            ValueError: couplings that are not symmetric, or a self-coupling.
        """
        rule = "be symmetric without self_coupling to have an energy"
        require(self.has_energy, "couplings", rule, "factors that are not known to be")
        values = state.astype(self.bias.dtype)
        called = self._called(self._sums(values))
        quadratic = jnp.sum(called * (values @ self.targets), -1) / self.n_units
        own = jnp.sum(values**2 * _same_rank(self.diagonal, values), -1)
        return -0.5 * (quadratic - own) - values @ self.bias

    def dense_couplings(self) -> Float[Array, "n_units n_units"]:
        """The N x N matrix of couplings, formed here and nowhere else."""
        products = (self.targets * self.strengths[None]) @ self._read().T / self.n_units
        return products - jnp.diag(self.diagonal)

    def carry(self, state: Float[Array, "cues n_units"]) -> Float[Array, "cues n_patterns"]:
        """The sums over sources, from which the field of a unit costs O(P)."""
        return self._sums(state)

    def unit_field(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """h_i from the sums."""
        raised = self._called(carry) @ self.targets[unit] / self.n_units
        return raised - self.diagonal[unit] * value + self.bias[unit]

    def carry_change(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], change: Float[Array, " cues"]
    ) -> Float[Array, "cues n_patterns"]:
        """The sums after x_i changed."""
        return carry + change[:, None] * self._read()[unit][None]

    def _read(self) -> Array:
        return self.targets if self.sources is None else self.sources

    def _sums(self, state: Array) -> Array:
        return state @ self._read().astype(state.dtype)

    def _called(self, sums: Array) -> Array:
        return sums * _same_rank(self.strengths, sums)


def _same_rank(vector: Array, like: Array) -> Array:
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def _factor(name: str, values: Any) -> Array:
    """A finite real matrix; integers become float32."""
    shape = np.shape(values)
    require(len(shape) == 2 and min(shape) >= 1, name, "have shape (n_patterns, n_units)", shape)
    if not isinstance(values, Tracer):
        values = check_finite(name, values)
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)


def _asymmetry(targets: np.ndarray, read: np.ndarray) -> float:
    """|u^T J v - v^T J u| relative to |J u| |v| for random u and v: zero for every pair if J is symmetric."""
    random = np.random.default_rng(0)
    u, v = random.normal(size=(2, len(targets), 8))
    targets, read = targets.astype(np.float64), read.astype(np.float64)
    after = targets @ (read.T @ u)
    back = targets @ (read.T @ v)
    size = np.linalg.norm(after) * np.linalg.norm(v) / np.sqrt(len(targets)) + 1e-300
    return float(np.abs(np.sum(v * after - u * back, 0)).max() / size)
