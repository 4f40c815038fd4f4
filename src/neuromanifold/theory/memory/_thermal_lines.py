"""Lines of the phase diagram of Hebb's memory in load and temperature, and the diagram itself.

    retrieval line       largest load alpha_M(T) with a memory: the spinodal, max_sigma alpha(sigma; T)
    thermodynamic line   load alpha_1(T) below which the memory is the global minimum of the free energy
    spin-glass line      T_g = 1 + sqrt(alpha): above it nothing is ordered
    mixture line         largest load at which the symmetric mixture of n patterns attracts

All follow the explicit curves alpha(sigma; T) of the states; nothing is iterated to a fixed point. Near
alpha = 0 the first two leave T = 1 as T_M = 1 - 1.95 sqrt(alpha) and T_c = 1 - 2.6 sqrt(alpha). Near T = 0
both loads rise a little with T (alpha_M to .1382 at T = .02): there replica symmetry is broken.

Source: Amit, Gutfreund and Sompolinsky 1987, Ann. Phys. 173:30 (figures 3 and 6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from neuromanifold._base import require
from neuromanifold.theory.memory._thermal import (
    ThermalState,
    branch_load,
    check_load,
    check_mixture,
    check_temperature,
    increasing_root,
    mixture_weights,
    thermal_branch,
    thermal_spin_glass,
)

# Points of sigma on a branch: no memory has noise above sqrt(2/pi), where m = erf(m/(sqrt(2) sigma)) ends.
_SIGMA = np.geomspace(1e-4, np.sqrt(2 / np.pi), 60)
_ROUNDS, _FINE = 5, np.linspace(-1, 1, 17)


class ThermalPhases(NamedTuple):
    """The phase diagram, arrays of shape (n_temperature, n_alpha).

    Args:
        memory: whether the memory exists (metastable or not).
        ground: whether it is the global minimum of the free energy.
        mixture: whether the symmetric mixture of three patterns attracts.
        glass: whether units freeze at all, T < T_g.
        overlap: m of the memory, 0 where there is none.
    """

    memory: NDArray[np.bool_]
    ground: NDArray[np.bool_]
    mixture: NDArray[np.bool_]
    glass: NDArray[np.bool_]
    overlap: NDArray[np.float64]


def _top(temperature: NDArray[np.float64], n_mixed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sigma and load of the spinodal at temperatures of shape (k,); NaN and 0 where nothing is retrieved."""
    grid = np.tile(_SIGMA, (len(temperature), 1))
    rows = np.arange(len(temperature))
    ratio, centre, load = _SIGMA[1] / _SIGMA[0], np.zeros(len(temperature)), np.zeros(len(temperature))
    for _ in range(_ROUNDS):
        values = branch_load(grid, np.broadcast_to(temperature[:, None], grid.shape), n_mixed)
        best = np.argmax(values, axis=1)
        centre, load = grid[rows, best], values[rows, best]
        grid = centre[:, None] * ratio**_FINE
        ratio = ratio ** (1.5 / 8)
    return np.where(load > 0, centre, np.nan), load


def retrieval_load(temperature: ArrayLike, n_mixed: int = 1) -> NDArray[np.float64]:
    """The largest load alpha_M(T) at which the memory, or a symmetric mixture, is a solution; 0 above T = 1.

    Args:
        temperature: T >= 0, any shape.
        n_mixed: number of patterns mixed, odd; 1 is the memory.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import retrieval_load
    >>> retrieval_load([0.0, 0.5, 1.0]).round(4).tolist()
    [0.1379, 0.0588, 0.0]
    """
    check_mixture(n_mixed)
    t = check_temperature(temperature)
    return _top(t.ravel(), n_mixed)[1].reshape(t.shape)


def _crossing(
    condition: Callable[[NDArray[np.float64]], NDArray[np.bool_]], top: NDArray[np.float64], steps: int = 34
) -> NDArray[np.float64]:
    """Up to which sigma below `top` a condition holds that holds at small sigma; NaN if nowhere."""
    shares = np.append(np.geomspace(1e-3, 0.9, 24), 1.0 - 1e-9)
    known = np.isfinite(top)
    safe = np.where(known, top, 1.0)
    holds = np.stack([condition(safe * share) for share in shares], 1) & known[:, None]
    first = np.argmin(holds, axis=1)  # the first share at which it fails
    always = holds.all(1)
    high = safe * shares[first]
    low = safe * shares[np.maximum(first - 1, 0)]
    for _ in range(steps):
        middle = np.sqrt(low * high)
        inside = condition(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(always, safe, np.where(holds[:, 0], low, np.nan))


def _load_at(
    sigma: NDArray[np.float64], temperature: NDArray[np.float64], n_mixed: int
) -> NDArray[np.float64]:
    known = np.isfinite(sigma)
    return np.where(known, branch_load(np.where(known, sigma, 1.0), temperature, n_mixed), 0.0)


def thermodynamic_load(temperature: ArrayLike) -> NDArray[np.float64]:
    """The load alpha_1(T) below which the memory's free energy is the lowest; 0 above T = 1.

    At T = 0 it is .0519.

    Args:
        temperature: T >= 0, any shape.

    Raises:
        ValueError: a temperature below zero.

    >>> from neuromanifold.theory.memory import thermodynamic_load
    >>> thermodynamic_load([0.0, 0.5]).round(4).tolist()
    [0.0519, 0.0281]
    """
    given = check_temperature(temperature)
    t = given.ravel()

    def lower(sigma: NDArray[np.float64]) -> NDArray[np.bool_]:
        state = thermal_branch(sigma, t)
        known = np.isfinite(state.load)
        glass = thermal_spin_glass(np.where(known, state.load, 1.0), t)
        return known & (state.free_energy < glass.free_energy)

    return _load_at(_crossing(lower, _top(t, 1)[0]), t, 1).reshape(given.shape)


def mixture_load(temperature: ArrayLike, n_mixed: int = 3) -> NDArray[np.float64]:
    """The largest load at which the symmetric mixture of n patterns attracts; 0 where it never does.

    Args:
        temperature: T >= 0, any shape.
        n_mixed: number n of patterns, odd, >= 3.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import mixture_load
    >>> mixture_load([0.0, 0.3, 0.5]).round(4).tolist()
    [0.0299, 0.0061, 0.0]
    """
    check_mixture(n_mixed)
    require(n_mixed >= 3, "n_mixed", "be >= 3 for a mixture", n_mixed)
    given = check_temperature(temperature)
    t = given.ravel()

    def attracts(sigma: NDArray[np.float64]) -> NDArray[np.bool_]:
        return thermal_branch(sigma, t, n_mixed).antisymmetric < 1

    return _load_at(_crossing(attracts, _top(t, n_mixed)[0]), t, n_mixed).reshape(given.shape)


def mixture_temperature(n_mixed: int) -> float:
    """The temperature below which the symmetric mixture of n patterns attracts at alpha = 0.

    (1/T) (1 - q + << xi^1 xi^2 tanh^2 >>) = 1 with m = << (S/n) tanh(m S/T) >>, solved along x = m/T.

    Args:
        n_mixed: number n of patterns, odd, >= 3.

    Raises:
        ValueError: an even number, or one below 3.

    Source: Amit, Gutfreund and Sompolinsky 1985, Phys. Rev. A 32:1007 (.46 for n = 3).

    >>> from neuromanifold.theory.memory import mixture_temperature
    >>> [round(mixture_temperature(n), 4) for n in (3, 5, 7)]
    [0.4598, 0.3847, 0.3439]
    """
    check_mixture(n_mixed)
    require(n_mixed >= 3, "n_mixed", "be >= 3 for a mixture", n_mixed)
    values, weights = mixture_weights(n_mixed)

    def temperature(x: float) -> float:
        return float(weights @ (values / n_mixed * np.tanh(values * x))) / x

    def growth(x: float) -> float:
        square = np.tanh(values * x) ** 2
        pair = (values**2 - n_mixed) / (n_mixed * (n_mixed - 1))
        return float(weights @ (1 - square + pair * square)) / temperature(x) - 1

    root: Any = brentq(growth, 0.1, 20.0, xtol=1e-14)
    return temperature(root)


def _inverse(line: Callable[[Any], NDArray[np.float64]], alpha: ArrayLike) -> NDArray[np.float64]:
    """The largest temperature at which a line lies above a load; NaN where it never does."""
    loads = check_load(alpha)
    grid = np.linspace(0.0, 1.0, 41)
    above = line(grid) >= loads.reshape(-1, 1)
    last = above.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1)
    low, high = grid[last], grid[np.minimum(last + 1, 40)]
    at = increasing_root(lambda t: loads.ravel() - line(t), low, high, 1e-12)
    return np.where(above.any(1), at, np.nan).reshape(loads.shape)


def retrieval_temperature(alpha: ArrayLike) -> NDArray[np.float64]:
    """T_M(alpha), the highest temperature at which the memory exists; NaN above its largest load.

    Args:
        alpha: load P/N > 0, any shape.

    Raises:
        ValueError: a load that is not positive.

    >>> from neuromanifold.theory.memory import retrieval_temperature
    >>> retrieval_temperature([0.01, 0.1, 0.2]).round(4).tolist()
    [0.801, 0.3154, nan]
    """
    return _inverse(retrieval_load, alpha)


def thermodynamic_temperature(alpha: ArrayLike) -> NDArray[np.float64]:
    """T_c(alpha), the highest temperature at which the memory is the global minimum; NaN above alpha = .053.

    Args:
        alpha: load P/N > 0, any shape.

    Raises:
        ValueError: a load that is not positive.
    """
    return _inverse(thermodynamic_load, alpha)


def spin_glass_temperature(alpha: ArrayLike) -> NDArray[np.float64]:
    """T_g = 1 + sqrt(alpha), above which all averages of units vanish.

    Args:
        alpha: load P/N > 0, any shape.

    Raises:
        ValueError: a load that is not positive.
    """
    return np.asarray(1 + np.sqrt(check_load(alpha)))


def thermal_retrieval(alpha: ArrayLike, temperature: ArrayLike, n_mixed: int = 1) -> ThermalState:
    """The memory, or the symmetric mixture, at given loads and temperatures; NaN where there is none.

    Args:
        alpha: load P/N > 0; broadcast against `temperature`.
        temperature: T >= 0.
        n_mixed: number of patterns mixed, odd; 1 is the memory.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import thermal_retrieval
    >>> thermal_retrieval(0.05, [0.0, 0.3, 0.6]).overlap.round(4).tolist()
    [1.0, 0.9912, nan]
    """
    check_mixture(n_mixed)
    loads, t = np.broadcast_arrays(check_load(alpha), check_temperature(temperature))
    shape, loads, t = loads.shape, loads.ravel(), t.ravel()
    levels, level_of = np.unique(t, return_inverse=True)
    tops, highest = _top(levels, n_mixed)
    exists = loads < highest[level_of]
    # A table of the rising branch at each temperature, dense towards the spinodal, gives brackets.
    shares = np.sin(np.linspace(0, np.pi / 2, 33)[1:])
    grid = np.nan_to_num(tops, nan=1.0)[:, None] * shares
    table = branch_load(grid, np.broadcast_to(levels[:, None], grid.shape), n_mixed)
    rows = np.concatenate([np.zeros((len(levels), 1)), table], 1)[level_of[exists]]
    wanted, warm, ends = loads[exists], t[exists], tops[level_of][exists]
    place = np.clip((rows <= wanted[:, None]).sum(1), 1, 32)
    edge = np.append(0.0, shares)
    sigma = increasing_root(
        lambda x: branch_load(np.maximum(x, 1e-12), warm, n_mixed) - wanted,
        ends * edge[place - 1],
        ends * edge[place],
    )
    found = thermal_branch(np.maximum(sigma, 1e-12), warm, n_mixed)
    result = []
    for field in found:
        whole = np.full(loads.shape, np.nan)
        whole[exists] = field
        result.append(whole.reshape(shape))
    return ThermalState(*result)._replace(
        load=loads.reshape(shape).copy(), temperature=t.reshape(shape).copy()
    )


def memory_phase_diagram(alpha: ArrayLike, temperature: ArrayLike) -> ThermalPhases:
    """Which states there are at each load and temperature, and how well the memory remembers.

    Args:
        alpha: loads P/N, shape (n_alpha,), > 0.
        temperature: T, shape (n_temperature,), >= 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import memory_phase_diagram
    >>> diagram = memory_phase_diagram([0.02, 0.1], [0.1, 0.5])
    >>> diagram.memory.tolist(), diagram.ground.tolist(), diagram.mixture.tolist()
    ([[True, True], [True, False]], [[True, False], [True, False]], [[True, False], [False, False]])
    """
    loads, t = check_load(alpha), check_temperature(temperature)
    require(loads.ndim == 1, "alpha", "be a vector", np.shape(alpha))
    require(t.ndim == 1, "temperature", "be a vector", np.shape(temperature))
    state = thermal_retrieval(loads, t[:, None])
    return ThermalPhases(
        memory=np.isfinite(state.overlap),
        ground=loads <= thermodynamic_load(t)[:, None],
        mixture=loads <= mixture_load(t)[:, None],
        glass=t[:, None] < spin_glass_temperature(loads),
        overlap=np.nan_to_num(state.overlap, nan=0.0),
    )
