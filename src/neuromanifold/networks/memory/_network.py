"""What recall asks of a network of two-valued units, and the checks that its networks share.

A network gives every unit a field h_i(x) and says how a unit answers it. Synchronous recall needs no more.
Asynchronous recall also carries something from which one field costs little and which one changed unit
updates cheaply: the overlaps with the patterns, or the fields of all units.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Num

from neuromanifold._base import check_choice, check_finite, require

TIES = ("positive", "keep")


class RecallInfo(NamedTuple):
    """Diagnostics of a step of recall.

    Args:
        changed: number of units whose value the step changed (asynchronous: of changes), for each cue.
    """

    changed: Int[Array, "*cues"]


@runtime_checkable
class RecallNetwork(Protocol):
    """A network of two-valued units that recall can move; see the module's header."""

    @property
    def n_units(self) -> int:
        """Number of units N."""
        ...

    @property
    def has_energy(self) -> bool:
        """Whether couplings are symmetric with zero diagonal, so that an energy exists."""
        ...

    def start(self, cue: Any) -> Float[Array, "*cues n_units"]:
        """A cue, checked, as a state."""
        ...

    def field(self, state: Float[Array, "*cues n_units"]) -> Float[Array, "*cues n_units"]:
        """The field of every unit."""
        ...

    def respond(self, field: Float[Array, "*shape"], value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The new value of units with given fields and old values."""
        ...

    def energy(self, state: Num[Array, "*cues n_units"]) -> Float[Array, "*cues"]:
        """The energy that single-unit updates never raise."""
        ...

    def carry(self, state: Float[Array, "cues n_units"]) -> Any:
        """What asynchronous recall carries along."""
        ...

    def unit_field(
        self, carry: Any, unit: Int[Array, ""], value: Float[Array, " cues"]
    ) -> Float[Array, " cues"]:
        """The field of one unit, whose value is given."""
        ...

    def carry_change(self, carry: Any, unit: Int[Array, ""], change: Float[Array, " cues"]) -> Any:
        """The carry after the value of one unit changed."""
        ...


def check_bias(name: str, values: Any, n_units: int, dtype: Any) -> Array:
    """Thresholds or inputs as an array of one value a unit."""
    if isinstance(values, Tracer):
        return jnp.broadcast_to(values, (n_units,)).astype(dtype)
    array = check_finite(name, values)
    require(array.shape in ((), (n_units,)), name, f"be a number or have shape ({n_units},)", array.shape)
    return jnp.broadcast_to(jnp.asarray(array, dtype), (n_units,))


def check_tie(tie: str) -> str:
    """What a unit does at field zero."""
    return check_choice("tie", tie, TIES)


def sign_response(field: Array, value: Array, tie: str) -> Array:
    """sgn(h), with +1 or the old value at h = 0."""
    up, down = jnp.ones((), value.dtype), -jnp.ones((), value.dtype)
    if tie == "positive":
        return jnp.where(field >= 0, up, down)
    return jnp.where(field > 0, up, jnp.where(field < 0, down, value))


def check_values(name: str, state: Any, n_units: int, values: tuple[int, int], dtype: Any) -> Array:
    """A state of two-valued units, of shape (..., n_units)."""
    shape = np.shape(state)
    require(len(shape) >= 1 and shape[-1] == n_units, name, f"have {n_units} units on its last axis", shape)
    if not isinstance(state, Tracer):
        array = np.asarray(state)
        bad = (array != values[0]) & (array != values[1])
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{name} must hold only {values[0]} and {values[1]}, got {array[index].item()!r} at "
                f"index {index}."
            )
    return jnp.asarray(state, dtype)


def matrix_field(
    couplings: Float[Array, "n_units n_units"],
    bias: Float[Array, " n_units"],
    state: Float[Array, "*cues n_units"],
) -> Float[Array, "*cues n_units"]:
    """The fields J x + bias of all units, from a matrix of couplings."""
    return state @ couplings.T + bias.reshape((1,) * (state.ndim - 1) + bias.shape)


def quadratic_energy(
    couplings: Float[Array, "n_units n_units"],
    bias: Float[Array, " n_units"],
    state: Num[Array, "*cues n_units"],
) -> Float[Array, "*cues"]:
    """-1/2 x^T J x - bias^T x, in the type of the couplings."""
    values = state.astype(couplings.dtype)
    return -0.5 * jnp.sum((values @ couplings) * values, -1) - values @ bias


def carried_field(carry: Float[Array, "cues n_units"], unit: Int[Array, ""]) -> Float[Array, " cues"]:
    """The field of one unit where the fields of all are carried along."""
    return jax.lax.dynamic_index_in_dim(carry, unit, -1, keepdims=False)


def carried_change(
    carry: Float[Array, "cues n_units"],
    couplings: Float[Array, "n_units n_units"],
    unit: Int[Array, ""],
    change: Float[Array, " cues"],
) -> Float[Array, "cues n_units"]:
    """The fields carried along, after the value of one unit changed."""
    return carry + change[:, None] * couplings[:, unit][None]


def check_couplings(couplings: Any) -> tuple[Array, bool]:
    """A square matrix of finite couplings, and whether it is symmetric with zero diagonal.

    Couplings inside a compiled function cannot be looked at, and are not taken to be symmetric.
    """
    if isinstance(couplings, Tracer):
        shape = couplings.shape
        require(len(shape) == 2 and shape[0] == shape[1], "couplings", "be a square matrix", shape)
        return couplings, False
    array = check_finite("couplings", couplings)
    square = array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] >= 1
    require(square, "couplings", "be a square matrix", array.shape)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    return jnp.asarray(array), asymmetry(array) is None and not np.any(np.diagonal(array))


def asymmetry(couplings: np.ndarray) -> tuple[int, int] | None:
    """Where a matrix differs from its transpose by more than rounding, or None."""
    difference = np.abs(couplings - couplings.T)
    worst = int(np.argmax(difference))
    if difference.flat[worst] <= 1e-6 * np.abs(couplings).max():
        return None
    row, column = np.unravel_index(worst, couplings.shape)
    return int(row), int(column)
