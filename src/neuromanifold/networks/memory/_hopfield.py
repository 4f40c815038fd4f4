"""Hebb's memory of +-1 patterns, with couplings kept as the patterns they are made of.

Auto-association    J_ij = (1/N) sum_mu xi_i^mu xi_j^mu, J_ii = 0
Sequence            W_ij = (1/N) sum_mu xi_i^{mu+1} xi_j^mu, W_ii = 0 unless asked otherwise

A unit with field h_i = sum_j J_ij x_j + s_i - theta_i becomes sgn(h_i), sgn(0) = +1 by default. The field is
computed from the overlaps,

    h = (1/N) Xi^T A (Xi x) - d x + s - theta,

Xi the P x N matrix of patterns, A the identity or the shift of patterns by one, d the diagonal of
(1/N) Xi^T A Xi (P/N for auto-association): 4 P N operations instead of 2 N^2, and no N x N matrix. One
changed unit changes the overlaps by one column of Xi, so that a single-unit update costs O(P).

While P N < 2^24 all sums are of integers that float32 holds exactly: fields, ties included, do not depend on
the order of summation, and all ways to compute them agree to the last bit (thresholds and inputs zero).

Patterns are kept with the units first, in blocks of units, as float32 (fast), int8 (a quarter of the memory)
or bits (eight patterns a byte, a thirty-second); blocks of the latter are converted as they are used.

Symbols: N units, P patterns, xi patterns, J and W couplings, s inputs, theta thresholds. Time: updates.

Source: Amari 1972, IEEE Trans. Comput. C-21:1197; Hopfield 1982, PNAS 79:2554.
"""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Num

from neuromanifold._base import check_choice, check_signs, require
from neuromanifold.networks.memory._network import check_bias, check_tie, check_values, sign_response

_STORAGE = ("auto", "float32", "float64", "int8", "bits")
# Below this many bytes of float32 patterns "auto" keeps float32.
_FLOAT_BYTES = 2**28
# Entries of an int8 block that are converted at once.
_BLOCK_ENTRIES = 2**20


class Hopfield(eqx.Module):
    """Memory of P patterns in N units by Hebb's rule; see the module's header.

    Args:
        patterns: +-1, shape (n_patterns, n_units).
        kind: "auto" (each pattern recalls itself) or "sequence" (each pattern recalls the next).
        cyclic: sequence only: the last pattern recalls the first.
        self_coupling: keep the diagonal of the couplings; it excludes an energy.
        thresholds: theta, a number or one a unit.
        inputs: s, a number or one a unit.
        tie: a unit at field zero becomes +1 ("positive") or stays ("keep").
        storage: "float32", "float64", "int8", "bits", or "auto": float32 up to 256 MiB, else int8. States are
            float64 with "float64", else float32.

    Raises:
        ValueError: patterns that are no +-1 matrix; an unknown word; thresholds or inputs of another shape.

    >>> import jax
    >>> from neuromanifold.data import overlap_cue, random_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import Hopfield, synchronous
    >>> patterns = random_patterns(jax.random.key(0), 50, 1000)
    >>> memory = Hopfield(patterns)
    >>> cue = overlap_cue(jax.random.key(1), patterns[0], 0.5)
    >>> recall = run(synchronous(memory), jax.random.key(2), cue, 10)
    >>> float(memory.overlaps(recall.state)[0])
    1.0
    """

    blocks: Num[Array, "blocks block stored"]
    diagonal: Float[Array, " n_units"]
    bias: Float[Array, " n_units"]
    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    cyclic: bool = eqx.field(static=True)
    self_coupling: bool = eqx.field(static=True)
    tie: str = eqx.field(static=True)

    def __init__(
        self,
        patterns: Any,
        kind: str = "auto",
        *,
        cyclic: bool = True,
        self_coupling: bool = False,
        thresholds: ArrayLike = 0.0,
        inputs: ArrayLike = 0.0,
        tie: str = "positive",
        storage: str = "auto",
    ):
        shape = np.shape(patterns)
        require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
        traced = isinstance(patterns, Tracer)
        if not traced and not bool(_all_signs(jnp.asarray(patterns))):
            check_signs("patterns", patterns)
        check_choice("storage", storage, _STORAGE)
        self.kind = check_choice("kind", kind, ("auto", "sequence"))
        self.tie = check_tie(tie)
        self.cyclic, self.self_coupling = cyclic, self_coupling
        self.n_patterns, self.n_units = shape
        if storage == "auto":
            storage = "float32" if 4 * shape[0] * shape[1] <= _FLOAT_BYTES else "int8"
        block = max(1, min(self.n_units, _BLOCK_ENTRIES // self.n_patterns))
        self.blocks = _unit_blocks(
            jnp.asarray(patterns), storage, block if storage in ("int8", "bits") else self.n_units
        )
        dtype = jnp.dtype("float64") if self.blocks.dtype == jnp.float64 else jnp.dtype("float32")
        if self_coupling:
            self.diagonal = jnp.zeros(self.n_units, dtype)
        elif kind == "auto":
            self.diagonal = jnp.full(self.n_units, self.n_patterns, dtype)
        else:
            self.diagonal = _diagonal(self.blocks, self.n_patterns, cyclic, dtype).reshape(-1)[: self.n_units]
        self.bias = check_bias("inputs", inputs, self.n_units, dtype) - check_bias(
            "thresholds", thresholds, self.n_units, dtype
        )

    @property
    def patterns(self) -> Num[Array, "n_patterns n_units"]:
        """The patterns as given, in the type they are stored in; int8 where that is bits."""
        return self._all_rows().T

    def select(self, indices: Int[Array, " selected"]) -> Num[Array, "selected n_units"]:
        """Some of the patterns, in the type they are stored in; int8 where that is bits."""
        if self.blocks.dtype == jnp.uint8:
            octets = jnp.take(self.blocks, indices // 8, axis=-1)
            shifts = (7 - indices % 8).astype(jnp.uint8).reshape((1,) * (octets.ndim - 1) + indices.shape)
            chosen = 2 * (octets >> shifts & 1).astype(jnp.int8) - 1
        else:
            chosen = jnp.take(self.blocks, indices, axis=-1)
        return chosen.reshape(-1, len(indices))[: self.n_units].T

    @property
    def has_energy(self) -> bool:
        """Whether couplings are symmetric with zero diagonal."""
        return self.kind == "auto" and not self.self_coupling

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue as a state.

        Raises:
            ValueError: entries other than +-1, or another number of units.
        """
        return check_values("cue", cue, self.n_units, (-1, 1), self.bias.dtype)

    def overlaps(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues n_patterns"]:
        """m_mu = (1/N) sum_i xi_i^mu x_i for every pattern."""
        return self._sums(state.astype(self.bias.dtype)) / self.n_units

    def superpose(self, weights: Float[Array, "*cues n_patterns"]) -> Float[Array, "*cues n_units"]:
        """Sum_mu c_mu xi_i^mu for every unit; one product for all cues."""
        if len(self.blocks) == 1:
            return weights @ self._rows(self.blocks[0], weights.dtype).T
        raised = jax.lax.map(lambda block: weights @ self._rows(block, weights.dtype).T, self.blocks)
        return jnp.moveaxis(raised, 0, -2).reshape(*weights.shape[:-1], -1)[..., : self.n_units]

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field h = (1/N) Xi^T A (Xi x) - d x + s - theta of every unit; one product for all cues."""
        raised = self.superpose(self._mix(self._sums(state)))
        return (raised - _same_rank(self.diagonal, state) * state) / self.n_units + _same_rank(
            self.bias, state
        )

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sgn(h), with the convention of `tie` at h = 0."""
        return sign_response(field, value, self.tie)

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """E = -1/2 sum_{ij} J_ij x_i x_j - sum_i (s_i - theta_i) x_i, never raised by a single-unit update.

        Raises:
            ValueError: a sequence memory or one with self-coupling, which have no energy.
        """
        reason = "be 'auto' without self_coupling to have an energy"
        require(self.has_energy, "kind", reason, (self.kind, self.self_coupling))
        values = state.astype(self.bias.dtype)
        squares = jnp.sum(self._sums(values) ** 2, -1) - self.n_patterns * jnp.sum(values**2, -1)
        return -squares / (2 * self.n_units) - values @ self.bias

    def dense_couplings(self) -> Float[Array, "n_units n_units"]:
        """The N x N matrix of couplings, formed here and nowhere else: 4 N^2 bytes in float32."""
        rows = self._all_rows().astype(self.bias.dtype)
        return (self._mix(rows) @ rows.T).T / self.n_units - jnp.diag(self.diagonal) / self.n_units

    def carry(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_patterns"]:
        """Xi x, from which the field of a unit costs O(P)."""
        return self._sums(state)

    def unit_field(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """h_i from Xi x."""
        raised = self._mix(carry) @ self._row(unit)
        return (raised - self.diagonal[unit] * value) / self.n_units + self.bias[unit]

    def carry_change(
        self, carry: Float[Array, "cues n_patterns"], unit: Int[Array, ""], change: Float[Array, " cues"]
    ) -> Float[Array, "cues n_patterns"]:
        """Xi x after x_i changed."""
        return carry + change[:, None] * self._row(unit)[None]

    def _row(self, unit: Array) -> Array:
        return self._rows(self.blocks.reshape(-1, self.blocks.shape[-1])[unit], self.bias.dtype)

    def _rows(self, stored: Array, dtype: Any) -> Array:
        return _numbers(stored, self.n_patterns, dtype)

    def _all_rows(self) -> Array:
        """All patterns, units first."""
        stored = self.blocks.reshape(-1, self.blocks.shape[-1])[: self.n_units]
        return self._rows(stored, jnp.int8) if stored.dtype == jnp.uint8 else stored

    def _mix(self, sums: Array) -> Array:
        """A (Xi x): which pattern each overlap calls up."""
        return _shift(sums, self.cyclic) if self.kind == "sequence" else sums

    def _sums(self, state: Array) -> Array:
        """Xi x, shape (*cues, n_patterns)."""
        n_blocks, block, _ = self.blocks.shape
        if n_blocks == 1:
            return state @ self._rows(self.blocks[0], state.dtype)
        padding = [(0, 0)] * (state.ndim - 1) + [(0, n_blocks * block - self.n_units)]
        parts = jnp.pad(state, padding).reshape(*state.shape[:-1], n_blocks, block)
        zero = jnp.zeros((*state.shape[:-1], self.n_patterns), state.dtype)

        def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
            rows, values = part
            return total + values @ self._rows(rows, values.dtype), None

        return jax.lax.scan(add, zero, (self.blocks, jnp.moveaxis(parts, -2, 0)))[0]


def _same_rank(vector: Array, like: Array) -> Array:
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def _shift(sums: Array, cyclic: bool) -> Array:
    """Pattern mu + 1 gets the overlap of pattern mu."""
    shifted = jnp.roll(sums, 1, -1)
    return shifted if cyclic else shifted.at[..., 0].set(0)


@jax.jit
def _all_signs(patterns: Array) -> Array:
    return jnp.all(jnp.abs(patterns) == 1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _unit_blocks(patterns: Array, storage: str, block: int) -> Array:
    n_patterns, n_units = patterns.shape
    n_blocks = -(-n_units // block)
    if storage == "bits":
        rows = jnp.pad(jnp.packbits(patterns > 0, axis=0), [(0, 0), (0, n_blocks * block - n_units)]).T
        return rows.reshape(n_blocks, block, -(-n_patterns // 8))
    rows = jnp.pad(patterns.astype(storage), [(0, 0), (0, n_blocks * block - n_units)]).T
    return rows.reshape(n_blocks, block, n_patterns)


def _numbers(stored: Array, n_patterns: int, dtype: Any) -> Array:
    """Patterns as numbers, from any storage."""
    if stored.dtype != jnp.uint8:
        return stored.astype(dtype)
    bits = jnp.unpackbits(stored, axis=-1, count=n_patterns)
    return 2 * bits.astype(dtype) - 1


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _diagonal(blocks: Array, n_patterns: int, cyclic: bool, dtype: Any) -> Array:
    """sum_mu xi_i^{mu+1} xi_i^mu of every unit."""
    kept = jnp.int8 if blocks.dtype == jnp.uint8 else blocks.dtype

    def of_block(stored: Array) -> Array:
        rows = _numbers(stored, n_patterns, kept)
        return jnp.sum(_shift(rows, cyclic) * rows, -1, dtype=dtype)

    return jax.lax.map(of_block, blocks)
