"""Signal-to-noise theory of recall: the overlap and the noise of the field, step by step.

Synchronous recall x(t+1) = sgn(W x(t)) of P = alpha N random patterns. The field of a unit is the signal m_t
xi plus a noise that is taken to be Gaussian with variance sigma_t^2:

    m_{t+1} = erf(u_t / sqrt(2)),   u_t = m_t / sigma_t,   sigma_0^2 = alpha.

The noise is sqrt(alpha) times the overlaps with the patterns not recalled. Each such overlap, times sqrt(N),
is a sum over the past, M_t = A_t + U_t M_{t-1}, with U_t = 2 p(u_{t-1}) / sigma_{t-1} (p the standard normal
density) and <A_t A_s> = q_{t,s}, the correlation of the states at t and s. With v_{t,s} = <M_t M_s> and
sigma_t^2 = alpha v_{t,t}:

    v_{t,t}   = 1 + 2 U_t w_{t,t-1} + U_t^2 v_{t-1,t-1},
    w_{t,s}   = <A_t M_s> = sum_b q_{t,s-b} U_s ... U_{s-b+1},
    v_{t,t-a} = w_{t,t-a} + U_t v_{t-1,t-a},
    q_{t,s}   = <sgn(u_{t-1} + z) sgn(u_{s-1} + z')>,  z, z' normal with correlation v_{t-1,s-1} / sqrt(v v).

Order n keeps correlations over n steps: lags beyond n are dropped from w, and at lag n the noises of the two
states are taken as independent, q_{t,t-n} = m_t m_{t-n}. Order 1 is the recursion of Amari and Maginu,

    sigma_{t+1}^2 = alpha + 4 p(u_t)^2 + 4 alpha m_t m_{t+1} p(u_t) / sigma_t,

order 2 and above are Okada's hierarchy. For a sequence memory W = (1/N) sum_mu xi^{mu+1} xi^{mu T} the
overlaps of one step with different patterns never meet again, w = 0, and at every order

    sigma_{t+1}^2 = alpha + 4 p(u_t)^2.

The first step is exact for N -> infinity. From the second on the theory of auto-associative recall leaves
out, at every order, that a unit's own past comes back to it: the second step is a little larger
(`second_step`), and later the theory overestimates the overlap near the border of the basin. Time is counted
in synchronous updates.

Source: Amari and Maginu 1988, Neural Networks 1:63; Okada 1995, Neural Networks 8:833.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.special import erf
from jaxtyping import Array, Float, Key
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import erf as erf_exact

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process, run

KINDS = ("auto", "sequence")
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


class MacroState(NamedTuple):
    """Order parameters of recall; windows hold the present first.

    Args:
        overlap: m_t.
        noise: sigma_t.
        overlaps: m_t, m_{t-1} ... over `order` + 1 steps, 0 before the start.
        signals: u_{t-1}, u_{t-2} ... over `order` + 1 steps, so that m = erf(u/sqrt(2)); 0 for the start and
        before. gains: U_t, U_{t-1} ... over `order` + 1 steps, 0 up to the start.
        variances: v_{t,t}, v_{t-1,t-1} ... over `order` steps, 1 before the start.
        covariances: v_{t,t}, v_{t,t-1} ... over `order` steps, 0 before the start.
    """

    overlap: Float[Array, ""]
    noise: Float[Array, ""]
    overlaps: Float[Array, " window"]
    signals: Float[Array, " window"]
    gains: Float[Array, " window"]
    variances: Float[Array, " order"]
    covariances: Float[Array, " order"]


class SignalToNoise(eqx.Module):
    """The macroscopic law of synchronous recall as a `Process` on `MacroState`.

    Args:
        alpha: load P/N, > 0.
        kind: "auto" (Hebb, zero diagonal) or "sequence".
        order: number of steps n over which correlations of the noise are kept, >= 1; 1 is Amari and Maginu.
            A sequence memory has none to keep, and takes 1 alone.

    Raises:
        ValueError: alpha not positive, an unknown kind, order < 1, or a sequence of another order than 1.

    >>> from neuromanifold.theory.memory import recall_dynamics
    >>> recall_dynamics(0.08, 0.388, 4).overlap.round(3).tolist()
    [0.388, 0.83, 0.914, 0.978, 0.998]
    """

    alpha: Float[Array, ""]
    kind: str = eqx.field(static=True)
    order: int = eqx.field(static=True)

    def __init__(self, alpha: ArrayLike, kind: str = "auto", order: int = 1):
        if not isinstance(alpha, Tracer):
            check_real("alpha", alpha, 0, open_low=True)
        self.alpha = jnp.asarray(alpha, jnp.result_type(float))
        self.kind = check_choice("kind", kind, KINDS)
        self.order = check_integer("order", order, 1)
        require(kind == "auto" or order == 1, "order", "be 1 for a sequence memory", order)

    def process(self) -> Process:
        """The process; it begins with `MacroState` of an overlap m_0 in [-1, 1]."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""] | None, overlap: ArrayLike) -> MacroState:
        """The state of a cue with a given overlap whose errors are independent of the patterns."""
        del key
        if not isinstance(overlap, Tracer):
            check_real("overlap", overlap, -1, 1)
        m = jnp.asarray(overlap, self.alpha.dtype)
        past = jnp.zeros(self.order + 1, m.dtype)
        first = jnp.zeros(self.order, m.dtype).at[0].set(1.0)
        return MacroState(
            m,
            jnp.sqrt(self.alpha),
            past.at[0].set(m),
            past,
            past,
            jnp.ones(self.order, m.dtype),
            first,
        )

    def step(self, key: Key[Array, ""] | None, t: ArrayLike, state: MacroState) -> tuple[MacroState, None]:
        """One synchronous update of m and sigma."""
        del key, t
        signal = state.overlap / state.noise
        density = jnp.exp(-(signal**2) / 2) / jnp.sqrt(2 * jnp.pi)
        m = erf(signal / jnp.sqrt(2.0))
        gain = 2 * density / state.noise
        overlaps, gains = _push(state.overlaps, m), _push(state.gains, gain)
        signals = _push(state.signals, signal)
        if self.kind == "sequence":
            # <A_t M_{t-1}> = 0; v_{t,t} = 1 + U_t^2 v_{t-1,t-1}.
            covariances = 1 + gain**2 * state.variances
        else:
            # Order 1 has lag 1 alone, and takes the noises as independent there.
            correlations = self._state_correlations(state, overlaps, signals)
            covariances = self._covariances(state, correlations, gains)
        variances = _push(state.variances, covariances[0])
        noise = jnp.sqrt(self.alpha * covariances[0])
        return MacroState(m, noise, overlaps, signals, gains, variances, covariances), None

    def _state_correlations(self, state: MacroState, overlaps: Array, signals: Array) -> list[Array]:
        """q_{t,t-a} for a = 0 ... order."""
        q = [jnp.ones((), overlaps.dtype)]
        for lag in range(1, self.order):
            scale = jnp.sqrt(state.variances[0] * state.variances[lag])
            rho = jnp.clip(state.covariances[lag] / scale, -1.0, 1.0)
            # A cue's errors are independent of all noise: covariances before the start are 0.
            q.append(_sign_correlation(signals[0], signals[lag], rho, overlaps[0] * overlaps[lag]))
        return [*q, overlaps[0] * overlaps[self.order]]

    def _covariances(self, state: MacroState, q: list[Array], gains: Array) -> Array:
        """v_{t,t-a} for a = 0 ... order - 1."""

        def noise_with_past(lag: int) -> Array:
            total, product = jnp.zeros((), gains.dtype), jnp.ones((), gains.dtype)
            for back in range(self.order - lag + 1):
                total = total + q[lag + back] * product
                product = product * gains[lag + back]
            return total

        gain = gains[0]
        diagonal = 1 + 2 * gain * noise_with_past(1) + gain**2 * state.variances[0]
        rest = [noise_with_past(lag) + gain * state.covariances[lag - 1] for lag in range(1, self.order)]
        return jnp.stack([diagonal, *rest])


def _push(window: Array, value: Array) -> Array:
    return jnp.concatenate([value[None], window[:-1]])


def _sign_correlation(a: Array, b: Array, rho: Array, independent: Array) -> Array:
    """<sgn(a + z) sgn(b + z')> for standard normal z, z' of correlation rho (Plackett 1954).

    d/d rho of it is four times the bivariate normal density; with rho = sin(theta) the integrand is smooth.
    """
    end = jnp.arcsin(rho)
    theta = 0.5 * end * (jnp.asarray(_NODES, a.dtype) + 1)
    sine, cosine2 = jnp.sin(theta), jnp.maximum(jnp.cos(theta) ** 2, jnp.finfo(a.dtype).tiny)
    exponent = -(a**2 - 2 * a * b * sine + b**2) / (2 * cosine2)
    return independent + end / jnp.pi * jnp.sum(jnp.asarray(_WEIGHTS, a.dtype) * jnp.exp(exponent))


class Recall(NamedTuple):
    """Overlap and noise of the field at t = 0 ... n_steps, each of the shape of m_0 and (n_steps + 1,)."""

    overlap: NDArray[np.float64]
    noise: NDArray[np.float64]


def _watch(state: MacroState) -> tuple[Array, Array]:
    return state.overlap, state.noise


def recall_dynamics(
    alpha: float, overlap: ArrayLike, n_steps: int, kind: str = "auto", order: int = 1
) -> Recall:
    """Overlap against time from one or several initial overlaps, in float64.

    Args:
        alpha: load P/N, > 0.
        overlap: initial overlaps m_0, any shape, in [-1, 1].
        n_steps: number of synchronous updates, >= 0.
        kind: "auto" or "sequence".
        order: see `SignalToNoise`.

    Raises:
        ValueError: an argument outside its range.
    """
    starts = check_finite("overlap", overlap).astype(np.float64)
    require(np.all(np.abs(starts) <= 1), "overlap", "lie in [-1, 1]", overlap)
    with jax.enable_x64(True):
        process = _Batch(SignalToNoise(alpha, kind, order)).process()
        made = run(process, jax.random.key(0), jnp.asarray(starts.ravel()), n_steps, observe=_watch)
        m, sigma = (np.moveaxis(np.asarray(x), 0, -1) for x in made.values)
    return Recall(*(x.reshape(*starts.shape, n_steps + 1) for x in (m, sigma)))


class _Batch(eqx.Module):
    """A macroscopic law on a batch of starts."""

    law: SignalToNoise

    def process(self) -> Process:
        return Process(self.init, self.step)

    def init(self, key: Any, overlaps: Array) -> MacroState:
        return jax.vmap(lambda m: self.law.init(None, m))(overlaps)

    def step(self, key: Any, t: Array, states: MacroState) -> tuple[MacroState, None]:
        return jax.vmap(lambda state: self.law.step(None, 0, state)[0])(states), None


class Branch(NamedTuple):
    """Stationary states of the recursion: load and overlap along u = m/sigma, of the shape of u."""

    load: NDArray[np.float64]
    overlap: NDArray[np.float64]


def dynamical_branch(signal: ArrayLike, kind: str = "auto", order: int = 1) -> Branch:
    """Stationary solutions of the recursion along u = m/sigma; given u, the load is explicit but for q.

    Args:
        signal: u = m/sigma, any shape, > 0; larger u on the stable side of the fold.
        kind: "auto" or "sequence".
        order: see `SignalToNoise`.

    Returns:
        A `Branch`; the load is 0 where the recursion has no stationary state at u (its noise would
        exceed what the signal allows at any load).

    Raises:
        ValueError: an argument outside its range.
    """
    check_choice("kind", kind, KINDS)
    check_integer("order", order, 1)
    require(kind == "auto" or order == 1, "order", "be 1 for a sequence memory", order)
    points = check_finite("signal", signal).astype(np.float64)
    require(np.all(points > 0), "signal", "be > 0", signal)
    loads = np.array([_stationary_load(float(u), kind, order) for u in points.ravel()])
    return Branch(loads.reshape(points.shape), erf_exact(points / np.sqrt(2.0)))


def _stationary_load(u: float, kind: str, order: int) -> float:
    m = float(erf_exact(u / np.sqrt(2.0)))
    sigma = m / u
    gain = 2.0 * np.exp(-(u**2) / 2.0) / np.sqrt(2.0 * np.pi) / sigma
    if gain >= 1.0:
        return 0.0
    if kind == "sequence":
        return sigma**2 * (1.0 - gain**2)
    rho = np.zeros(order)
    while True:
        q = [1.0, *(_sign_correlation_exact(u, r, m**2) for r in rho[1:]), m**2]
        w = [sum(q[lag + b] * gain**b for b in range(order - lag + 1)) for lag in range(order + 1)]
        v = [(1.0 + 2.0 * gain * w[1]) / (1.0 - gain**2)]
        for lag in range(1, order):
            v.append(w[lag] + gain * v[-1])
        new = np.minimum(np.array(v) / v[0], 1.0)
        if np.abs(new - rho)[1:].max(initial=0.0) < 1e-13:
            return float(sigma**2 / v[0])
        rho = new


def _sign_correlation_exact(u: float, rho: float, independent: float) -> float:
    end = np.arcsin(rho)
    theta = 0.5 * end * (_NODES + 1)
    return float(independent + end / np.pi * np.sum(_WEIGHTS * np.exp(-(u**2) / (1.0 + np.sin(theta)))))


class DynamicalCapacity(NamedTuple):
    """The largest load at which the recursion keeps a memory, and its overlap there."""

    load: float
    overlap: float


def dynamical_capacity(kind: str = "auto", order: int = 1) -> DynamicalCapacity:
    """Capacity of the recursion: the maximum of the load along u = m/sigma.

    .15961 for auto-association at order 1 (Amari and Maginu's "0.16"), .26906 for sequences. Orders 2, 3, 4
    give .14089, .13874, .13830: close to, but for lack of the retarded self-interaction not exactly at, the
    .13791 of the replica theory.

    Args:
        kind: "auto" or "sequence".
        order: see `SignalToNoise`.

    >>> from neuromanifold.theory.memory import dynamical_capacity
    >>> print(f"{dynamical_capacity('auto').load:.5f} {dynamical_capacity('sequence').load:.5f}")
    0.15961 0.26906
    """
    grid = np.linspace(0.2, 5.0, 97)
    best = int(np.argmax(dynamical_branch(grid, kind, order).load))
    found: Any = minimize_scalar(
        lambda u: -float(dynamical_branch(u, kind, order).load),
        bounds=(grid[max(best - 1, 0)], grid[best + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    point = dynamical_branch(found.x, kind, order)
    return DynamicalCapacity(float(point.load), float(point.overlap))


def critical_overlap(
    alpha: float, kind: str = "auto", order: int = 1, n_steps: int = 500, tolerance: float = 1e-6
) -> float:
    """Smallest initial overlap from which the recursion recalls.

    Args:
        alpha: load, in (0, capacity).
        kind: "auto" or "sequence".
        order: see `SignalToNoise`.
        n_steps: synchronous updates after which recall is judged, >= 1.
        tolerance: width to which the border of the basin is bracketed, > 0.

    Raises:
        ValueError: alpha at or above the capacity of the recursion, where nothing is recalled.
    """
    check_integer("n_steps", n_steps, 1)
    check_real("tolerance", tolerance, 0, open_low=True)
    limit = dynamical_capacity(kind, order)
    check_real("alpha", alpha, 0, limit.load, open_low=True, open_high=True)
    # Below capacity the stable state lies above the overlap of the fold, the border of its basin below.
    least = limit.overlap
    low, high = 0.0, 1.0
    while high - low > tolerance:
        middle = low + (high - low) * np.linspace(0, 1, 66)[1:-1]
        recalled = recall_dynamics(alpha, middle, n_steps, kind, order).overlap[:, -1] > least
        first = int(np.argmax(recalled)) if recalled.any() else len(middle)
        high = float(middle[first]) if recalled.any() else high
        low = float(middle[first - 1]) if first > 0 else low
    return 0.5 * (low + high)
