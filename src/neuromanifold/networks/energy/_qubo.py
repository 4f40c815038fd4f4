"""Quadratic energies of units 0/1 (QUBO, Boltzmann machines) and the Ising energy that each of them is.

    E(u) = sum_i Q_ii u_i + sum_{i != j} Q_ij u_i u_j = u Q u,   u_i in {0, 1}

With u = (1 + s)/2 and Q symmetric,

    J_ij = -Q_ij / 2,   b_i = -(1/2) sum_j Q_ij,   offset = (1/4) (sum_ij Q_ij + sum_i Q_ii).

A Boltzmann machine with weights w and biases c has E(u) = -1/2 u w u - c u, that is Q = -w/2 - diag(c).

Source: Barahona 1982, J. Phys. A 15:3241, for the equivalence; Ackley, Hinton, Sejnowski 1985 for the
machine.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_finite, require
from neuromanifold.networks.energy._ising import Ising, as_real, check_symmetric


class Qubo(eqx.Module):
    """The energy E(u) = u Q u + offset of units 0/1.

    Args:
        matrix: Q, symmetric or triangular (as the field writes it, and kept as its symmetric half), shape
            (n_units, n_units).
        offset: a constant added to the energy.

    Raises:
        ValueError: a matrix that is not square, not finite, or neither symmetric nor triangular.

    >>> from neuromanifold.networks.energy import Qubo
    >>> one_of_two = Qubo([[-1.0, 2.0], [0.0, -1.0]], offset=1.0)    # (1 - u_0 - u_1)^2
    >>> one_of_two.energy([[0, 0], [0, 1], [1, 1]]).tolist()
    [1.0, 0.0, 1.0]
    """

    matrix: Float[Array, "n_units n_units"]
    offset: Float[Array, ""]

    def __init__(self, matrix: Any, offset: float = 0.0) -> None:
        values = check_finite("matrix", matrix)
        square = values.ndim == 2 and values.shape[0] == values.shape[1]
        if square and (not np.triu(values, 1).any() or not np.tril(values, -1).any()):
            values = 0.5 * (values + values.T)
        self.matrix = as_real(check_symmetric("matrix", values))
        self.offset = as_real(check_finite("offset", offset))

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return self.matrix.shape[-1]

    def energy(self, states: Any) -> Float[Array, "*reads"]:
        """E(u) for states of shape (..., n_units)."""
        values = jnp.asarray(states, self.matrix.dtype)
        return jnp.sum(values * (values @ self.matrix), -1) + self.offset

    def ising(self) -> Ising:
        """The same energy of units +-1."""
        matrix = np.asarray(self.matrix, np.float64)
        trace = np.trace(matrix)
        offset = float(self.offset) + 0.25 * (matrix.sum() + trace)
        return Ising(np.diag(np.diag(matrix)) / 2 - matrix / 2, -0.5 * matrix.sum(1), offset)

    def variables(self, spins: Any) -> Float[Array, "*reads n_units"]:
        """A state of units +-1 as one of units 0/1."""
        return (1 + jnp.asarray(spins, self.matrix.dtype)) / 2


def boltzmann_energy(weights: Any, biases: Any = 0.0) -> Qubo:
    """The energy E(u) = -1/2 u w u - c u of a Boltzmann machine of 0/1 units.

    Args:
        weights: w, symmetric with zero diagonal, shape (n_units, n_units).
        biases: c, a number or one a unit.

    Raises:
        ValueError: weights that are not square, not symmetric, not finite, or have a diagonal; biases of
            another shape.
    """
    matrix = check_symmetric("weights", weights)
    require(not np.diagonal(matrix).any(), "weights", "have a diagonal of zeros", np.diagonal(matrix))
    values, n = check_finite("biases", biases), len(matrix)
    require(values.shape in ((), (n,)), "biases", f"be a number or have shape ({n},)", values.shape)
    return Qubo(-0.5 * matrix - np.diag(np.broadcast_to(values, (n,))))
