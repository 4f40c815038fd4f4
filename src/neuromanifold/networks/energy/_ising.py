"""Ising energies of units +-1, and what can be turned into one.

    E(s) = - 1/2 sum_{i != j} J_ij s_i s_j - sum_i b_i s_i + offset,   s_i = +-1,   J_ij = J_ji,   J_ii = 0

The local field h_i = sum_j J_ij s_j + b_i gives the cost of turning one unit: Delta E = 2 s_i h_i. A machine
of 0/1 units is the same thing in other variables, u_i = (1 + s_i)/2.

Symbols: N units, J couplings, b biases, h fields.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key, Num

from neuromanifold._base import check_finite, check_integer, check_signs, require


class Ising(eqx.Module):
    """The energy E(s) = -1/2 s J s - b s + offset of units +-1.

    Args:
        couplings: J, symmetric with zero diagonal, shape (n_units, n_units).
        biases: b, a number or one a unit.
        offset: a constant added to the energy.

    Raises:
        ValueError: couplings that are not square, not symmetric, not finite, or have a diagonal; biases of
            another shape.

    >>> from neuromanifold.networks.energy import Ising
    >>> pair = Ising([[0.0, 1.0], [1.0, 0.0]], biases=0.5)
    >>> pair.energy([[1, 1], [1, -1]]).tolist()
    [-2.0, 1.0]
    """

    couplings: Float[Array, "n_units n_units"]
    biases: Float[Array, " n_units"]
    offset: Float[Array, ""]

    def __init__(self, couplings: Any, biases: Any = 0.0, offset: float = 0.0) -> None:
        # Values of couplings drawn within a compiled program cannot be seen; their shapes can.
        if not isinstance(couplings, Tracer):
            couplings = check_symmetric("couplings", couplings)
            diagonal = np.diagonal(couplings)
            require(not diagonal.any(), "couplings", "have a diagonal of zeros", diagonal[diagonal != 0][:1])
        self.couplings = as_real(couplings)
        n = len(self.couplings)
        values = biases if isinstance(biases, Tracer) else check_finite("biases", biases)
        fits = values.shape in ((), (n,)) and self.couplings.shape == (n, n)
        require(fits, "biases", f"be a number or have shape ({n},)", values.shape)
        self.biases = jnp.broadcast_to(as_real(values), (n,))
        self.offset = as_real(check_finite("offset", offset))

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.couplings.shape[-1]

    def ising(self) -> Ising:
        """Itself."""
        return self

    def local_fields(self, spins: Any) -> Float[Array, "*reads n_units"]:
        """The fields h = J s + b of states of shape (..., n_units)."""
        values = jnp.asarray(spins, self.couplings.dtype)
        return values @ self.couplings + self.biases.reshape((1,) * (values.ndim - 1) + (-1,))

    def energy(self, spins: Any) -> Float[Array, "*reads"]:
        """E(s) for states of shape (..., n_units)."""
        values = jnp.asarray(spins, self.couplings.dtype)
        return self.energy_of(values, self.local_fields(values))

    def energy_of(self, spins: Array, fields: Array) -> Float[Array, "*reads"]:
        """E(s) from states and their local fields: -1/2 sum_i s_i (h_i + b_i) + offset."""
        biases = self.biases.reshape((1,) * (spins.ndim - 1) + (-1,))
        return -0.5 * jnp.sum(spins * (fields + biases), -1) + self.offset

    def variables(self, spins: Any) -> Num[Array, "*reads n_units"]:
        """A state in the model's own variables: here the spins."""
        return jnp.asarray(spins)


@runtime_checkable
class IsingModel(Protocol):
    """What can be annealed: anything that says which Ising energy it is."""

    def ising(self) -> Ising:
        """The same energy of units +-1."""
        ...

    def variables(self, spins: Any) -> Any:
        """A state of units +-1 in the model's own variables."""
        ...


def random_spins(key: Key[Array, ""], n_reads: int, n_units: int) -> Float[Array, "n_reads n_units"]:
    """Independent states of independent units, P(+1) = P(-1) = 1/2.

    Args:
        key: a typed key.
        n_reads: number of states, >= 1.
        n_units: number of units, >= 1.

    Raises:
        ValueError: a count below one.
    """
    shape = check_integer("n_reads", n_reads, 1), check_integer("n_units", n_units, 1)
    return jax.random.rademacher(key, shape, jnp.result_type(float))


def check_start(name: str, spins: Any, n_units: int, dtype: Any) -> Float[Array, "*reads n_units"]:
    """A state of units +-1 as an array of the model's type.

    Raises:
        ValueError: entries other than +-1, or another number of units.
    """
    if not isinstance(spins, Tracer):
        check_signs(name, spins)
    values = jnp.asarray(spins, dtype)
    fits = values.ndim >= 1 and values.shape[-1] == n_units
    require(fits, name, f"have shape (..., {n_units})", values.shape)
    return values


def check_symmetric(name: str, matrix: Any) -> np.ndarray:
    """A concrete symmetric matrix, as numpy.

    Raises:
        ValueError: not square, not finite, or not symmetric; the message names the first pair that differs.
    """
    values = check_finite(name, matrix)
    shape = values.shape
    square = len(shape) == 2 and shape[0] == shape[1] >= 1
    require(square, name, "have shape (n_units, n_units)", shape)
    uneven = np.argwhere(values != values.T)
    if len(uneven):
        i, j = (int(k) for k in uneven[0])
        pair = values[i, j].item(), values[j, i].item()
        require(False, name, f"be symmetric, entries ({i}, {j}) and ({j}, {i}) alike", pair)
    return values


def as_real(values: Any) -> Array:
    """An array of the default real type: float32, or float64 where that is enabled."""
    return jnp.asarray(values, jnp.result_type(float))
