"""The exact law of a Metropolis chain on few states while the temperature changes.

    P_T(i -> j) = q_ij min{1, exp(-(E_j - E_i)/T)},  j != i;      p(t+1) = p(t) P_{T(t)}

q proposes; what is not moved stays. With q symmetric the law exp(-E/T)/Z is stationary at constant T. A
proposal that is not symmetric keeps it only with Hastings' correction, q_ij min{1, (q_ji/q_ij) exp(...)}.

Symbols: E energies, q proposal, T temperature, p law over states. Time: proposals.

Source: Metropolis et al. 1953; Hastings 1970, Biometrika 57:97; Kirkpatrick, Gelatt and Vecchi 1983.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process


def path_proposal(n_states: int) -> NDArray[np.float64]:
    """Steps to the left and right on a path of states, each with probability 1/2; at its ends some stay.

    Args:
        n_states: number of states, >= 2.

    Raises:
        ValueError: fewer than two states.
    """
    n = check_integer("n_states", n_states, 2)
    return 0.5 * (np.eye(n, k=1) + np.eye(n, k=-1))


def gibbs_law(energies: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """exp(-E/T) / Z, shape (n_states,).

    Args:
        energies: E, shape (n_states,).
        temperature: T > 0.

    Raises:
        ValueError: energies that are no finite vector, or T <= 0.
    """
    levels = _levels(energies)
    weights = np.exp(-(levels - levels.min()) / check_real("temperature", temperature, 0, open_low=True))
    return weights / weights.sum()


class ExactChain(eqx.Module):
    """The law of a Metropolis chain, moved exactly; several schedules at once.

    Args:
        energies: E, shape (n_states,).
        proposal: q, rows that sum to at most 1 (the rest stays), shape (n_states, n_states).
        temperature: t -> T, a number or an array of one T > 0 a schedule.
        correction: use Hastings' correction, for a proposal that is not symmetric.

    Raises:
        ValueError: shapes that do not fit; probabilities outside [0, 1]; a proposal that is not symmetric,
            without correction.

    Run it under `jax.enable_x64` where errors below 1e-6 matter.
    """

    energies: Float[Array, " n_states"]
    moves: Float[Array, "n_states n_states"]
    log_correction: Float[Array, "n_states n_states"]
    temperature: Callable[..., Any]

    def __init__(
        self,
        energies: ArrayLike,
        proposal: ArrayLike,
        temperature: Callable[..., Any],
        *,
        correction: bool = False,
    ) -> None:
        levels, moves = _levels(energies), check_proposal(proposal, correction=correction)
        fits = moves.shape == (levels.size,) * 2
        require(fits, "proposal", f"have shape ({levels.size}, {levels.size})", moves.shape)
        np.fill_diagonal(moves, 0.0)
        both = (moves > 0) & (moves.T > 0)
        ratio = np.where(both, moves.T, 1.0) / np.where(both, moves, 1.0)
        self.energies, self.moves = jnp.asarray(levels), jnp.asarray(np.where(both, moves, 0.0))
        self.log_correction = jnp.asarray(np.log(ratio))
        self.temperature = temperature

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self.energies.shape[0]

    def matrix(self, temperature: Any) -> Float[Array, "*schedules n_states n_states"]:
        """P_T, rows from, columns to, for temperatures of any shape."""
        t = jnp.asarray(temperature)[..., None, None]
        gain = (self.energies[:, None] - self.energies[None, :]).reshape(
            (1,) * (t.ndim - 2) + self.moves.shape
        )
        taken = jnp.exp(jnp.minimum(gain / t + self.log_correction.reshape(gain.shape), 0.0))
        away = self.moves.reshape(gain.shape) * taken
        return away + jnp.eye(self.n_states).reshape(gain.shape) * (1.0 - jnp.sum(away, -1))[..., None]

    def process(self) -> Process:
        """The process that moves the law p, shape (n_states,) or (n_schedules, n_states)."""
        return Process(_start, self.step, conserves=_total)

    def step(self, key: Any, t: Int[Array, ""], law: Array) -> tuple[Array, None]:
        """The law after one proposal."""
        del key
        matrix = self.matrix(self.temperature(t))
        return jnp.sum(law[..., None] * matrix, -2), None


class ScaledLogarithm(eqx.Module):
    """T(t) = c / log(t + 2) at step t = 0, 1, 2 ..., for one c or several at once.

    Args:
        scales: c > 0, a number or shape (n_schedules,).

    Raises:
        ValueError: a scale that is not positive.

    Source: Hajek 1988, Math. Oper. Res. 13:311 (his steps begin with 1).
    """

    scales: Array

    def __init__(self, scales: ArrayLike) -> None:
        values = check_finite("scales", scales).astype(np.float64)
        require(np.all(values > 0), "scales", "be > 0", scales)
        self.scales = jnp.asarray(values)

    def __call__(self, t: Any) -> Array:
        """Temperatures of step t."""
        return self.scales / jnp.log(jnp.asarray(t, self.scales.dtype) + 2.0)


def _start(key: Any, law: ArrayLike) -> Array:
    return jnp.asarray(law, jnp.result_type(float))


def _total(law: Array) -> Array:
    return jnp.sum(law, -1)


def _levels(energies: ArrayLike) -> NDArray[np.float64]:
    levels = check_finite("energies", energies).astype(np.float64)
    require(levels.ndim == 1 and levels.size >= 1, "energies", "have shape (n_states,)", levels.shape)
    return levels


def check_proposal(proposal: ArrayLike, *, correction: bool = False) -> NDArray[np.float64]:
    """A matrix of probabilities whose rows sum to at most 1, as a copy.

    Raises:
        ValueError: not square; an entry outside [0, 1]; a row above 1; not symmetric, without correction.
    """
    moves = np.array(check_finite("proposal", proposal), np.float64)
    square = moves.ndim == 2 and moves.shape[0] == moves.shape[1]
    require(square, "proposal", "have shape (n_states, n_states)", moves.shape)
    require(moves.min() >= 0, "proposal", "hold no negative probability", float(moves.min()))
    heaviest = float(moves.sum(1).max())
    require(heaviest <= 1 + 1e-12, "proposal", "have rows that sum to at most 1", heaviest)
    if not correction:
        uneven = np.argwhere(np.abs(moves - moves.T) > 1e-12)
        if len(uneven):
            i, j = (int(k) for k in uneven[0])
            rule = f"be symmetric, entries ({i}, {j}) and ({j}, {i}) alike, or have its correction"
            require(False, "proposal", rule, (moves[i, j].item(), moves[j, i].item()))
    return moves
