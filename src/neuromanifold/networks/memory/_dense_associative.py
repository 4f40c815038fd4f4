"""Dense associative memory: an energy that rewards overlaps by more than their square.

    E = -(1/(n N^(n-1))) sum_mu F(xi^mu . x),   F(z) = z^n ("polynomial") or max(z, 0)^n ("rectified"),
    E = -ln sum_mu exp(xi^mu . x)               ("exponential": a rising function of -sum_mu exp(xi^mu . x)).

A unit takes the value of lower energy: with E(+-) the energy at x_i = +-1,

    h_i = (E(-) - E(+))/2,     x_i <- sgn(h_i),

so that no update of a single unit raises E, and at a temperature P(x_i = +1) = 1/(1 + exp(-2 h_i/T)) keeps
exp(-E/T). At n = 2 the field is Hebb's with zero diagonal, h_i = sum_j J_ij x_j, and E its energy less P/2.
All recall of two-valued units applies: synchronous, asynchronous, any temperature.

With S_mu = xi^mu . x and a = xi_i^mu x_i = +-1 a flip of unit i takes S_mu to S_mu - 2a, hence

    F(S) - F(S - 2a) = A + a B,   A = F(S) - (F(S+2) + F(S-2))/2,   B = (F(S+2) - F(S-2))/2,
    h_i = (x_i sum_mu A_mu + sum_mu xi_i^mu B_mu) / (2 n N^(n-1)),

4 P N operations for all units, O(P) for one. A and B are expanded in powers of 2/S, so that nothing cancels.
For the exponential memory, with p = softmax(S),

    h_i = -(x_i/2) ln(1 + sum_mu p_mu (exp(-2a) - 1)),

which no overlap overflows.

Symbols: N units, P patterns, n order, S sums of a pattern with the state. Time: updates.

Source: Krotov and Hopfield 2016, NeurIPS 29 (polynomial, rectified); Demircigil, Heusel, Loewe, Upgang and
Vermet 2017, J. Stat. Phys. 168:288 (exponential). Even order n is the memory of Gardner 1987, J. Phys. A
20:3453, and Abbott and Arian 1987, Phys. Rev. A 36:5091, but for terms of repeated units.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from neuromanifold._base import check_choice, check_integer
from neuromanifold.networks.memory._hopfield import Hopfield

INTERACTIONS = ("polynomial", "rectified", "exponential")


class DenseAssociativeMemory(eqx.Module):
    """Memory of P patterns in N units by an energy of any order; see the module's header.

    Args:
        patterns: +-1, shape (n_patterns, n_units).
        interaction: F: "polynomial", "rectified" or "exponential".
        order: n >= 2; not used by "exponential".
        tie: a unit at field zero becomes +1 ("positive") or stays ("keep").
        storage: see `Hopfield`.

    Raises:
        ValueError: patterns that are no +-1 matrix, an unknown word, or an order below 2.

    >>> import jax
    >>> from neuromanifold.data import flip_cue, random_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import DenseAssociativeMemory, asynchronous
    >>> patterns = random_patterns(jax.random.key(0), 300, 100)    # three times as many as units
    >>> memory = DenseAssociativeMemory(patterns, order=3)
    >>> cue = flip_cue(jax.random.key(1), patterns[0], 0.1)
    >>> recall = run(asynchronous(memory), jax.random.key(2), cue, 5)
    >>> float(memory.overlaps(recall.state)[0])
    1.0
    """

    memory: Hopfield
    interaction: str = eqx.field(static=True)
    order: int = eqx.field(static=True)

    def __init__(
        self,
        patterns: Any,
        interaction: str = "polynomial",
        *,
        order: int = 2,
        tie: str = "positive",
        storage: str = "auto",
    ):
        self.interaction = check_choice("interaction", interaction, INTERACTIONS)
        self.order = check_integer("order", order, 2)
        self.memory = Hopfield(patterns, self_coupling=True, tie=tie, storage=storage)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.memory.n_units

    @property
    def n_patterns(self) -> int:
        """Number of patterns P."""
        return self.memory.n_patterns

    @property
    def patterns(self) -> Num[Array, "n_patterns n_units"]:
        """The patterns as given."""
        return self.memory.patterns

    @property
    def has_energy(self) -> bool:
        """True: fields are differences of the energy."""
        return True

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries other than +-1, or another number of units.
        """
        return self.memory.start(cue)

    def overlaps(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues n_patterns"]:
        """m_mu = (1/N) sum_i xi_i^mu x_i for every pattern."""
        return self.memory.overlaps(state)

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """h_i = (E(-) - E(+))/2 for every unit."""
        even, odd = self._parts(self.memory.carry(state))
        return self._answer(even[..., None], self.memory.superpose(odd), state)

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sgn(h), with the convention of `tie` at h = 0."""
        return self.memory.respond(field, value)

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """E, never raised by a single-unit update."""
        sums = self.memory.carry(state.astype(self.memory.bias.dtype))
        if self.interaction == "exponential":
            return -jax.nn.logsumexp(sums, axis=-1)
        kept = jnp.maximum(sums, 0) if self.interaction == "rectified" else sums
        return -self.n_units / self.order * jnp.sum((kept / self.n_units) ** self.order, -1)

    def carry(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_patterns"]:
        """The sums Xi x, from which the field of a unit costs O(P)."""
        return self.memory.carry(state)

    def unit_field(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """h_i from S."""
        even, odd = self._parts(carry)
        return self._answer(
            even, self.n_units * self.memory.unit_field(odd, unit, jnp.zeros_like(value)), value
        )

    def carry_change(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], change: Float[Array, " cues"]
    ) -> Float[Array, "cues n_patterns"]:
        """S after x_i changed."""
        return self.memory.carry_change(carry, unit, change)

    def _parts(self, sums: Array) -> tuple[Array, Array]:
        """What the field needs of S: sum of A and all B; of the exponential memory 1 and softmax(S)."""
        if self.interaction == "exponential":
            weights = jax.nn.softmax(sums, axis=-1)
            return jnp.sum(weights, -1), weights
        even, odd = _differences(sums, self.n_units, self.order, self.interaction == "rectified")
        return jnp.sum(even, -1), odd

    def _answer(self, even: Array, raised: Array, value: Array) -> Array:
        if self.interaction != "exponential":
            return (value * even + raised) / (2 * self.order)
        # sum_mu p_mu exp(-2a) from the weights of the patterns with a = -1 and a = +1.
        unlike, like = (even - value * raised) / 2, (even + value * raised) / 2
        growth = unlike * math.expm1(2.0) + like * math.expm1(-2.0)
        return -0.5 * value * jnp.log1p(jnp.maximum(growth, math.expm1(-2.0)))


def _differences(sums: Array, n_units: int, order: int, rectified: bool) -> tuple[Array, Array]:
    """A and B of N^(1-n) F at S = `sums`."""
    scaled, step = sums / n_units, 2.0 / n_units
    # N^(1-n) (S + 2)^n = N (S/N + 2/N)^n; even and odd powers of 2/N apart.
    even = sum(
        math.comb(order, k) * scaled ** (order - k) * step**k * n_units for k in range(2, order + 1, 2)
    )
    odd = sum(math.comb(order, k) * scaled ** (order - k) * step**k * n_units for k in range(1, order + 1, 2))
    if not rectified:
        return -jnp.asarray(even), jnp.asarray(odd)
    # Where S - 2 or S + 2 has another sign than S the kept powers differ; S is an integer, so |S| < 2 there.
    near = [n_units * jnp.maximum(scaled + shift * step, 0.0) ** order for shift in (-1, 0, 1)]
    inside, above = jnp.abs(sums) < 2, sums >= 2
    zero = jnp.zeros_like(sums)
    even_near, odd_near = near[1] - (near[2] + near[0]) / 2, (near[2] - near[0]) / 2
    return (
        jnp.where(inside, even_near, jnp.where(above, -even, zero)),
        jnp.where(inside, odd_near, jnp.where(above, odd, zero)),
    )
