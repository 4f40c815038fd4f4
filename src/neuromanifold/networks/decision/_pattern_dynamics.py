"""Pattern dynamics with symbols: excitation patterns compete, a symbol is read out and may act back.

An interpretation of words in a lecture, not a model taken from it: symbols are excitation patterns xi^mu,
thought is a parallel dynamics of patterns on one side and logic on symbols on the other.

    dx/dt = -x + phi(K x + s(t) + kappa b),    K = (beta/n) sum_mu xi^mu xi^mu^T
    symbol read out      mu(t) = argmax_mu m_mu,    m_mu = xi^mu . x / n
    commitment           the first time t_c at which max_mu m_mu reaches theta
    intervention         from t_c on b = xi^{g(mu(t_c))}, g a map of symbols (the logic); b = 0 before

With kappa = 0 there is no way from symbols back to patterns. The symbol is latched at commitment: what is
read out later may change, what was committed to does not. K is kept as the patterns and costs 4 P n a step.

Without noise and before commitment E(x) = -1/2 x.Kx - s.x + sum_i int_0^{x_i} phi^{-1} never rises (phi =
tanh, |x_i| < 1). Time: in units of the time constant of a unit.

Source: Amari, lecture 2016 (words only); dynamics and E as in Hopfield 1984, PNAS 81:3088.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline

from neuromanifold._base import check_finite, check_integer, check_real, check_signs, require
from neuromanifold.dynamics import Flow, solve


class PatternDynamics(eqx.Module):
    """Competing patterns under tanh units; see the module's header.

    Args:
        patterns: xi, +-1, shape (n_patterns, n_units).
        beta: strength of the couplings, > 0; above 1 a pattern sustains itself.
        rule: g, one symbol for each symbol, entries in 0 ... n_patterns - 1; None for the identity.
        kappa: strength of the intervention, >= 0.
        inputs: s, a number or one a unit.

    Raises:
        ValueError: patterns that are no +-1 matrix, a rule that names no pattern, beta or kappa outside.

    >>> import jax
    >>> from neuromanifold.data import random_patterns
    >>> from neuromanifold.networks.decision import PatternDynamics
    >>> patterns = random_patterns(jax.random.key(0), 4, 400)
    >>> thought = PatternDynamics(patterns, beta=2.5, rule=(0, 1, 3, 3), kappa=3.0)
    >>> course = thought.decide(0.15 * patterns[2], theta=0.6, horizon=12.0)
    >>> course.symbol, int(course.symbols[-1])
    (2, 3)
    """

    patterns: Float[Array, "n_patterns n_units"]
    beta: Float[Array, ""]
    rule: tuple[int, ...] = eqx.field(static=True)
    kappa: Float[Array, ""]
    inputs: Float[Array, " n_units"]

    def __init__(
        self,
        patterns: Any,
        beta: float,
        rule: Sequence[int] | None = None,
        kappa: float = 0.0,
        inputs: ArrayLike = 0.0,
    ):
        shape = np.shape(patterns)
        require(len(shape) == 2 and min(shape) >= 1, "patterns", "have shape (n_patterns, n_units)", shape)
        if not isinstance(patterns, Tracer):
            check_signs("patterns", patterns)
        self.patterns = jnp.asarray(patterns, jnp.result_type(float))
        self.beta = jnp.asarray(check_real("beta", beta, 0.0, open_low=True), self.patterns.dtype)
        given = tuple(range(shape[0])) if rule is None else tuple(rule)
        require(len(given) == shape[0], "rule", f"hold one symbol for each of {shape[0]} patterns", rule)
        self.rule = tuple(check_integer(f"rule[{i}]", g, 0, shape[0] - 1) for i, g in enumerate(given))
        self.kappa = jnp.asarray(check_real("kappa", kappa, 0.0), self.patterns.dtype)
        lifted = check_finite("inputs", inputs)
        require(
            lifted.shape in ((), shape[1:]), "inputs", f"be a number or have shape {shape[1:]}", lifted.shape
        )
        self.inputs = jnp.broadcast_to(jnp.asarray(lifted, self.patterns.dtype), shape[1:])

    def overlaps(self, x: Float[Array, "*times n_units"]) -> Float[Array, "*times n_patterns"]:
        """m_mu = xi^mu . x / n."""
        return x @ self.patterns.T / self.patterns.shape[1]

    def read_out(self, x: Float[Array, "*times n_units"]) -> Int[Array, "*times"]:
        """The symbol argmax_mu m_mu."""
        return jnp.argmax(self.overlaps(x), axis=-1)

    def velocity(
        self, x: Float[Array, " n_units"], goal: Float[Array, " n_units"]
    ) -> Float[Array, " n_units"]:
        """dx/dt while a symbol's pattern b = goal acts back; b = 0 before commitment."""
        field = self.beta * (self.overlaps(x) @ self.patterns) + self.inputs + self.kappa * goal
        return jnp.tanh(field) - x

    def flow(self, committed: int | None = None) -> Flow:
        """The flow before commitment (None), or after it to a symbol, which then acts back."""
        if committed is None:
            return Flow(_Course(self, jnp.zeros_like(self.inputs)).velocity, descends=self.energy)
        check_integer("committed", committed, 0, len(self.patterns) - 1)
        return Flow(_Course(self, self.patterns[self.rule[committed]]).velocity)

    def energy(self, x: Float[Array, " n_units"]) -> Float[Array, ""]:
        """E(x) of the flow before commitment; see the module's header."""
        m = self.overlaps(x)
        inside = jnp.clip(x, -1.0, 1.0)
        # int_0^x artanh = x artanh x + log(1 - x^2)/2 = [(1 + x) log(1 + x) + (1 - x) log(1 - x)]/2.
        entropy = 0.5 * sum(
            jnp.where(
                1 + s * inside > 0, (1 + s * inside) * jnp.log1p(jnp.maximum(s * inside, -0.9999999)), 0.0
            )
            for s in (1, -1)
        )
        return -0.5 * self.beta * self.patterns.shape[1] * jnp.sum(m**2) - self.inputs @ x + jnp.sum(entropy)

    def decide(self, x0: ArrayLike, theta: float, horizon: float, n_times: int = 121) -> Course:
        """Follow the patterns, commit at overlap theta, and let the symbol act back from then on.

        Args:
            x0: the pattern to begin with, shape (n_units,).
            theta: overlap of commitment, in (0, 1).
            horizon: time to follow, > 0.
            n_times: times at which the course is kept, before commitment and after, >= 8.

        Raises:
            ValueError: an argument outside its range.
        """
        theta = check_real("theta", theta, 0.0, 1.0, open_low=True, open_high=True)
        horizon = check_real("horizon", horizon, 0.0, open_low=True)
        times = np.linspace(0.0, horizon, check_integer("n_times", n_times, 8))
        shape = self.patterns.shape[1:]
        require(np.shape(x0) == shape, "x0", f"have shape {shape}", np.shape(x0))
        start = jnp.asarray(x0, self.patterns.dtype)
        rtol, atol = (1e-5, 1e-6) if start.dtype == jnp.float32 else (1e-8, 1e-10)
        free = np.asarray(solve(self.flow(), start, times, rtol=rtol, atol=atol).states)
        m, slope = self._course(free)
        when, symbol = commit_time(times, m, slope, theta)
        if math.isnan(when) or when >= horizon or float(self.kappa) == 0.0:
            return Course(times, m, np.argmax(m, 1), when, symbol)
        at = CubicHermiteSpline(times, free, self._velocities(free))(when)
        later = np.linspace(when, horizon, n_times)
        moved = solve(self.flow(symbol), jnp.asarray(at, start.dtype), later, rtol=rtol, atol=atol).states
        before = times < when
        times = np.concatenate([times[before], later])
        m = np.concatenate([m[before], np.asarray(self.overlaps(moved), np.float64)])
        return Course(times, m, np.argmax(m, 1), when, symbol)

    def _velocities(self, states: np.ndarray) -> np.ndarray:
        field = float(self.beta) * np.asarray(self.overlaps(jnp.asarray(states))) @ np.asarray(self.patterns)
        return np.tanh(field + np.asarray(self.inputs)) - states

    def _course(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Overlaps and their rates of change."""
        scale = np.asarray(self.patterns).T / self.patterns.shape[1]
        return np.array(states @ scale, np.float64), np.array(self._velocities(states) @ scale, np.float64)


class Course(NamedTuple):
    """The course of a decision.

    Args:
        times: shape (n_times,).
        overlaps: m_mu at all times, shape (n_times, n_patterns).
        symbols: what is read out at all times, shape (n_times,).
        commit_time: t_c; NaN where nothing was committed to.
        symbol: what was committed to; -1 for nothing.
    """

    times: np.ndarray
    overlaps: np.ndarray
    symbols: np.ndarray
    commit_time: float
    symbol: int


class _Course(eqx.Module):
    dynamics: PatternDynamics
    goal: Float[Array, " n_units"]

    def velocity(self, t: Any, x: Array) -> Array:
        del t
        return self.dynamics.velocity(x, self.goal)


def commit_time(times: ArrayLike, overlaps: ArrayLike, slopes: ArrayLike, theta: float) -> tuple[float, int]:
    """The first time an overlap reaches theta, and which: (t_c, symbol), or (NaN, -1).

    Between the times given overlaps are cubic, with the slopes given at both ends; the error is of fourth
    order in the spacing.

    Args:
        times: increasing, shape (n_times,).
        overlaps: shape (n_times, n_patterns).
        slopes: rates of change of the overlaps, of the same shape.
        theta: overlap of commitment.

    Raises:
        ValueError: shapes that disagree.

    >>> import numpy as np
    >>> from neuromanifold.networks.decision import commit_time
    >>> t = np.linspace(0, 1, 9)[:, None]
    >>> when, which = commit_time(t[:, 0], np.hstack([t**2, t**3]), np.hstack([2 * t, 3 * t**2]), 0.25)
    >>> round(when, 6), which
    (0.5, 0)
    """
    t, m, rate = (
        check_finite(n, v) for n, v in (("times", times), ("overlaps", overlaps), ("slopes", slopes))
    )
    require(m.ndim == 2 and len(m) == len(t), "overlaps", f"have shape ({len(t)}, n_patterns)", m.shape)
    require(rate.shape == m.shape, "slopes", f"have shape {m.shape}", rate.shape)
    theta = check_real("theta", theta)
    begun = int(np.argmax(m[0]))
    if m[0, begun] >= theta:
        return float(t[0]), begun
    best = (math.nan, -1)
    for symbol in range(m.shape[1]):
        crossed = np.flatnonzero((m[1:, symbol] >= theta) & (m[:-1, symbol] < theta))
        if not len(crossed):
            continue
        part = slice(crossed[0], crossed[0] + 2)
        curve = CubicHermiteSpline(t[part], m[part, symbol] - theta, rate[part, symbol])
        roots = curve.roots(extrapolate=False)
        when = float(roots.min()) if len(roots) else float(t[crossed[0] + 1])
        if not when >= best[0]:
            best = (when, symbol)
    return best
