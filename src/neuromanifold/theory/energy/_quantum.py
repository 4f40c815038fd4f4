"""Quantum annealing of few spins, exactly, and the crossing of two levels.

Schroedinger's equation i d psi/dt = H psi (hbar = 1) with

    annealing   H(s) = -(1 - s) sum_i X_i + s H_P,  s = t/T, H_P diagonal, psi(0) uniform
    crossing    H(t) = (v t Z + Delta X) / 2

The success of annealing is the probability of the ground states of H_P at the end. Slow annealing loses, by
first-order adiabatic perturbation theory, |a - b|^2 / T^2, where a is what the end of the path excites and b
what its beginning does,

    |a|^2 = sum_i (turning spin i costs E_i)^-4,     |b|^2 = sum_i b_i^2 / 16 + sum_{i<j} J_ij^2 / 256,

both turned against each other by phases that depend on T: T^2 (1 - success) ends between (|a| - |b|)^2 and
(|a| + |b|)^2. A crossing stays on its diabatic level with probability exp(-pi Delta^2 / (2 v)).

Symbols: X, Z Pauli matrices; T duration; Delta gap; v rate. Units: energy, and time in 1/energy.

Source: Kadowaki and Nishimori 1998, Phys. Rev. E 58:5355; Landau 1932; Zener 1932, Proc. R. Soc. A 137:696;
the corrections of order 1/T^2: Garrido and Sancho 1962, Physica 28:553; Morita and Nishimori 2008, J. Math.
Phys. 49:125210.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow, solve

MOST_SPINS = 12


def spin_energies(couplings: ArrayLike, biases: ArrayLike = 0.0) -> NDArray[np.float64]:
    """E(s) = -1/2 s J s - b s of all 2^n states, the first spin the slowest, -1 before +1.

    Args:
        couplings: J, symmetric with zero diagonal, shape (n_spins, n_spins), n_spins <= 12.
        biases: b, a number or one a spin.

    Raises:
        ValueError: more than twelve spins, or couplings that are not symmetric or have a diagonal.
    """
    matrix = check_finite("couplings", couplings).astype(np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    require(square, "couplings", "have shape (n_spins, n_spins)", matrix.shape)
    n = check_integer("n_spins", len(matrix), 1, MOST_SPINS)
    even = np.array_equal(matrix, matrix.T) and not np.diagonal(matrix).any()
    require(even, "couplings", "be symmetric with a diagonal of zeros", matrix)
    field = np.broadcast_to(check_finite("biases", biases).astype(np.float64), (n,))
    states = 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1) - 1.0
    return -0.5 * np.einsum("ki,ij,kj->k", states, matrix, states) - states @ field


class _Annealing(eqx.Module):
    """Real and imaginary parts of psi along s, for several durations at once."""

    energies: Array
    durations: Array
    n_spins: int = eqx.field(static=True)

    def velocity(self, s: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        real, imaginary = state
        pace = self.durations[:, None]
        return pace * self.apply(s, imaginary), -pace * self.apply(s, real)

    def apply(self, s: Array, psi: Array) -> Array:
        """H(s) psi."""
        cube = psi.reshape((-1,) + (2,) * self.n_spins)
        turned = sum(jnp.flip(cube, axis) for axis in range(1, self.n_spins + 1))
        return s * self.energies[None] * psi - (1.0 - s) * jnp.reshape(turned, psi.shape)


def quantum_anneal(energies: ArrayLike, durations: ArrayLike, *, rtol: float = 1e-9) -> NDArray[np.float64]:
    """Probabilities of all states at the end of quantum annealing, shape (n_durations, n_states).

    Args:
        energies: the diagonal of H_P, shape (2^n,), n <= 12 (`spin_energies`).
        durations: T > 0, shape (n_durations,).
        rtol: relative tolerance of the solver, > 0.

    Raises:
        ValueError: a number of states that is no power of two or is above 2^12; a duration that is not
            positive.

    >>> import numpy as np
    >>> from neuromanifold.theory.energy import quantum_anneal
    >>> quantum_anneal([1.0, -1.0], [0.001, 50.0])[:, 1].round(3).tolist()
    [0.5, 1.0]
    """
    levels, n = _levels(energies)
    times = np.atleast_1d(check_finite("durations", durations).astype(np.float64))
    require(times.ndim == 1 and np.all(times > 0), "durations", "be > 0, shape (n_durations,)", durations)
    with jax.enable_x64(True):
        # A constant energy only turns phases: the middle of the spectrum asks for the fewest steps.
        centred = levels - 0.5 * (levels.min() + levels.max())
        moves = _Annealing(jnp.asarray(centred), jnp.asarray(times), n)
        start = jnp.full((times.size, 2**n), 2.0 ** (-0.5 * n))
        flow = Flow(velocity=moves.velocity)
        made = solve(flow, (start, jnp.zeros_like(start)), [0.0, 1.0], rtol=rtol, atol=1e-3 * rtol)
        return np.asarray(made.states[0][-1] ** 2 + made.states[1][-1] ** 2)


def success_probability(energies: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Probability of the ground states.

    Args:
        energies: shape (n_states,).
        probabilities: shape (..., n_states).
    """
    levels = check_finite("energies", energies).astype(np.float64)
    ground = levels <= levels.min() + 1e-12 * max(1.0, float(np.abs(levels).max()))
    return np.asarray(np.asarray(probabilities, np.float64)[..., ground].sum(-1))


class SlowLoss(NamedTuple):
    """Bounds of lim T^2 (1 - success) and the two amplitudes that make them."""

    least: float
    most: float
    end: float
    beginning: float


def slow_loss(couplings: ArrayLike, biases: ArrayLike) -> SlowLoss:
    """What slow quantum annealing loses; see the module's header.

    Args:
        couplings: J, as for `spin_energies`.
        biases: b, a number or one a spin.

    Raises:
        ValueError: as for `spin_energies`; or several ground states, to which the theory does not apply.
    """
    levels = spin_energies(couplings, biases)
    lowest = np.flatnonzero(levels <= levels.min() + 1e-12)
    require(lowest.size == 1, "biases", "leave one ground state", f"{lowest.size} of them")
    matrix = np.asarray(couplings, np.float64)
    n = len(matrix)
    costs = levels[lowest[0] ^ (1 << np.arange(n))] - levels[lowest[0]]
    field = np.broadcast_to(np.asarray(biases, np.float64), (n,))
    end = float(np.sqrt(np.sum(costs**-4.0)))
    beginning = float(np.sqrt(np.sum(field**2) / 16 + np.sum(np.triu(matrix, 1) ** 2) / 256))
    return SlowLoss((end - beginning) ** 2, (end + beginning) ** 2, end, beginning)


def minimal_gap(energies: ArrayLike, n_points: int = 201) -> tuple[float, float]:
    """The smallest gap between the lowest two levels along the path, and where: (gap, s).

    Args:
        energies: the diagonal of H_P, shape (2^n,); diagonalised densely, so n <= 8.
        n_points: values of s, evenly from 0 to 1, >= 2.

    Raises:
        ValueError: energies of another shape, or too many.
    """
    levels, n = _levels(energies)
    check_integer("n_spins", n, 1, 8)
    grid = np.linspace(0.0, 1.0, check_integer("n_points", n_points, 2))
    turn = np.zeros((2**n, 2**n))
    for i in range(n):
        turn[np.arange(2**n), np.arange(2**n) ^ (1 << i)] += 1.0
    spectra = np.linalg.eigvalsh(grid[:, None, None] * np.diag(levels) - (1.0 - grid)[:, None, None] * turn)
    gaps = spectra[:, 1] - spectra[:, 0]
    return float(gaps.min()), float(grid[gaps.argmin()])


def landau_zener(gap: ArrayLike, rate: ArrayLike) -> NDArray[np.float64]:
    """Probability exp(-pi Delta^2 / (2 v)) that an infinitely long crossing stays on its diabatic level.

    Args:
        gap: Delta >= 0, any shape.
        rate: v > 0, any shape that broadcasts with it.

    Raises:
        ValueError: a rate that is not positive, or a gap below zero.

    >>> from neuromanifold.theory.energy import landau_zener
    >>> landau_zener(1.0, [0.5, 1.0, 2.0]).round(4).tolist()
    [0.0432, 0.2079, 0.4559]
    """
    delta, v = (check_finite(name, x).astype(np.float64) for name, x in (("gap", gap), ("rate", rate)))
    require(np.all(v > 0), "rate", "be > 0", rate)
    require(np.all(delta >= 0), "gap", "be >= 0", gap)
    return np.asarray(np.exp(-np.pi * delta**2 / (2.0 * v)))


class _Crossing(eqx.Module):
    gap: Array
    rates: Array

    def velocity(self, t: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        real, imaginary = state
        return self.apply(t, imaginary), -self.apply(t, real)

    def apply(self, t: Array, psi: Array) -> Array:
        up, down = psi
        half = 0.5 * self.rates * t
        return jnp.stack([half * up + 0.5 * self.gap * down, 0.5 * self.gap * up - half * down])


class Crossing(NamedTuple):
    """What a crossing of finite length does.

    Args:
        diabatic: probability to be on the diabatic level where it began, shape (n_rates,); rings around its
            limit by about sqrt(P (1 - P)) Delta / (v t).
        adiabatic: probability to have left the adiabatic level where it began; rings by a Delta v / (v t)^3.
    """

    diabatic: NDArray[np.float64]
    adiabatic: NDArray[np.float64]


def crossing(gap: float, rates: ArrayLike, half_time: float, *, rtol: float = 1e-9) -> Crossing:
    """Schroedinger's equation of a crossing from -half_time to half_time.

    Read on diabatic levels it begins on one of them, read on adiabatic levels it begins in the ground state.

    Args:
        gap: Delta > 0.
        rates: v > 0, shape (n_rates,).
        half_time: > 0.
        rtol: relative tolerance of the solver, > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    delta = check_real("gap", gap, 0, open_low=True)
    v = np.atleast_1d(check_finite("rates", rates).astype(np.float64))
    require(np.all(v > 0), "rates", "be > 0", rates)
    t = check_real("half_time", half_time, 0, open_low=True)
    # At -t the ground state of (v t' Z + Delta X)/2 with t' = -t, and at t the excited one: the same vector
    # but for the sign of a component.
    angle = 0.5 * np.arctan2(delta, v * t)
    ground = np.stack([np.cos(angle), -np.sin(angle)])
    excited = np.stack([np.cos(angle), np.sin(angle)])
    with jax.enable_x64(True):
        flow = Flow(velocity=_Crossing(jnp.asarray(delta), jnp.asarray(np.tile(v, 2))).velocity)
        start = jnp.asarray(np.concatenate([np.stack([np.ones_like(v), np.zeros_like(v)]), ground], 1))
        made = solve(flow, (start, jnp.zeros_like(start)), [-t, t], rtol=rtol, atol=1e-2 * rtol)
        psi: Any = np.asarray(made.states[0][-1]) + 1j * np.asarray(made.states[1][-1])
    plain, slow = psi[:, : v.size], psi[:, v.size :]
    return Crossing(np.abs(plain[0]) ** 2, np.abs(np.sum(excited * slow, 0)) ** 2)


def _levels(energies: ArrayLike) -> tuple[NDArray[np.float64], int]:
    levels = check_finite("energies", energies).astype(np.float64)
    n = int(levels.size).bit_length() - 1
    fits = levels.ndim == 1 and levels.size == 2**n and n >= 1
    require(fits, "energies", "have shape (2^n_spins,)", levels.shape)
    require(n <= MOST_SPINS, "n_spins", f"be at most {MOST_SPINS}", n)
    return levels, n
