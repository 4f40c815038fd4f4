"""Memory of sparse 0/1 patterns by the covariance rule, at equilibrium and for one step, zero temperature.

P = alpha N patterns with P(1) = f, J_ij = (1/(N f (1-f))) sum_mu (xi_i^mu - f)(xi_j^mu - f), i != j,
u_i = 1 where h_i > theta. Self-consistent signal-to-noise analysis gives for N -> infinity the field
(xi - f) m + sigma z + Gamma u, where a unit's answer comes back to it with Gamma = alpha U/(1 - U). By the
equal-area rule that only lowers the threshold to theta_0 = theta - Gamma/2. With

    a_1 = (theta_0 - (1-f) m)/sigma,   a_0 = (theta_0 + f m)/sigma,   Q the upper tail of the normal law,

    p_1 = Q(a_1), p_0 = Q(a_0)           units that are 1 where the pattern is 1, and where it is 0
    m = p_1 - p_0,   q = f p_1 + (1-f) p_0
    U = (f phi(a_1) + (1-f) phi(a_0))/sigma
    sigma^2 = alpha q/(1 - U)^2.

Patterns with exactly f N ones (`exact`) are orthogonal to the constant state, which then makes no noise:
q (1 - q) stands in place of q in the last line. Such couplings also inhibit all units alike, which a fixed
threshold feels as alpha q/(1 - U) more.

Recall from the pattern ends in metastable states. A unit whose field allows both answers, for Gamma keeps
either, stays as it began; the equal-area rule gives it the answer of equilibrium. With the part `hold` of
such units kept, a_1 - hold Gamma/(2 sigma) and a_0 + hold Gamma/(2 sigma) replace a_1 and a_0; then

    sigma = (m - hold D^2/q)/(a_0 - a_1 - hold D/q),   D = U sigma   (q (1 - q) for q if exact).

The ends hold = 0 and 1 bracket what synchronous recall from the pattern reaches; far below the capacity
1 is the better.

All of it is explicit in a_1 and a_0: sigma = m/(a_0 - a_1), alpha = sigma^2 (1 - U)^2/q. The capacity at the
best threshold is the maximum of alpha over both; control of the activity, q = f, leaves one of them free. At
f = 1/2 the noise is twice that of +-1 units, and the capacity with q = f is half of theirs, .06895; with
exact patterns it is theirs.

As f -> 0 the capacity grows as 1/(2 f |ln f|), and the information to 1/(2 ln 2) = .72 bits a synapse, both
very slowly: at f = 1e-6 the capacity is .55 of the asymptote.

Symbols: f activity; m overlap; q mean of u; sigma noise; U susceptibility; theta threshold.

Source: Tsodyks and Feigelman 1988, Europhys. Lett. 6:101; method Shiino and Fukai 1992, J. Phys. A 25:L375;
activity control Amari 1989, Neural Networks 2:451.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import ndtr, ndtri, xlogy

from neuromanifold._base import check_finite, check_real, require


class SparseRetrieval(NamedTuple):
    """Solutions of the theory, all arrays of one shape.

    Args:
        load: alpha = P/N.
        overlap: m = p_1 - p_0.
        hits: p_1, the fraction of the pattern's ones that are 1.
        false_alarms: p_0, the fraction of its zeros that are 1.
        noise: sigma.
        susceptibility: U.
        threshold: theta, as the network has it.
    """

    load: NDArray[np.float64]
    overlap: NDArray[np.float64]
    hits: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    noise: NDArray[np.float64]
    susceptibility: NDArray[np.float64]
    threshold: NDArray[np.float64]


def sparse_branch(
    activity: ArrayLike,
    to_ones: ArrayLike,
    to_zeros: ArrayLike | None = None,
    exact: bool = False,
    hold: float = 0.0,
) -> SparseRetrieval:
    """Retrieval solutions, explicitly, along a_1 and a_0.

    Args:
        activity: f, in (0, 1).
        to_ones: a_1, how far the threshold lies above the mean field of the pattern's ones, in units of the
            noise; very negative values are a perfect memory.
        to_zeros: a_0 > a_1, the same for its zeros; None: that of activity control, q = f.
        exact: every pattern has exactly f N ones.
        hold: in [0, 1]; 0 is equilibrium, 1 keeps every unit that can stay as the pattern has it.

    Raises:
        ValueError: an activity outside (0, 1), or a_0 <= a_1.
    """
    f = _activity(activity)
    a1 = check_finite("to_ones", to_ones).astype(np.float64)
    if to_zeros is None:
        a0 = -ndtri(f * ndtr(a1) / (1.0 - f))
    else:
        a0 = check_finite("to_zeros", to_zeros).astype(np.float64)
    require(np.all(a0 > a1), "to_zeros", "be above to_ones", to_zeros)
    hold = check_real("hold", hold, 0, 1)
    hits, false = ndtr(-a1), ndtr(-a0)
    m = hits - false
    q = f * hits + (1.0 - f) * false
    power = _power(q, exact)
    density = f * _density(a1) + (1.0 - f) * _density(a0)
    sigma = (m - hold * density**2 / power) / (a0 - a1 - hold * density / power)
    u = density / sigma
    load = sigma**2 * (1.0 - u) * np.abs(1.0 - u) / power  # below zero where U > 1: no solution
    back = load * u / (1.0 - u)
    inhibition = load * q / (1.0 - u) if exact else 0.0
    threshold = sigma * a0 - f * m + (1.0 - hold) * back / 2.0 - inhibition
    return SparseRetrieval(load, m, hits, false, sigma, u, threshold)


def sparse_capacity(activity: float, control: bool = False, exact: bool = False) -> SparseRetrieval:
    """The largest load at which a sparse memory exists, and the memory there.

    Args:
        activity: f, in (0, 1).
        control: the activity is held at f, q = f; otherwise the threshold is the best one.
        exact: every pattern has exactly f N ones.

    Raises:
        ValueError: an activity outside (0, 1).

    >>> from neuromanifold.theory.memory import sparse_capacity
    >>> [round(float(sparse_capacity(f).load), 4) for f in (0.5, 0.1, 0.05, 0.01)]
    [0.0691, 0.441, 0.9429, 4.3677]
    """
    f = check_real("activity", activity, 0, 1, open_low=True, open_high=True)
    ones = np.linspace(-6.0, 1.0, 141)
    along = sparse_branch(f, ones[_rises(f, ones)], exact=exact)
    start = ones[_rises(f, ones)][int(np.argmax(along.load))]
    fold: Any = minimize_scalar(
        lambda a: -float(sparse_branch(f, a, exact=exact).load),
        bounds=(start - 0.1, start + 0.1),
        method="bounded",
        options={"xatol": 1e-10},
    )
    best = sparse_branch(f, fold.x, exact=exact)
    if control:
        return best
    zero = -float(ndtri(f * ndtr(fold.x) / (1.0 - f)))

    def negative(point: NDArray[np.float64]) -> float:
        gap = np.exp(point[1])
        return -float(np.log(max(float(sparse_branch(f, point[0], point[0] + gap, exact).load), 1e-300)))

    found: Any = minimize(
        negative,
        np.array([fold.x, np.log(zero - fold.x)]),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000},
    )
    return sparse_branch(f, found.x[0], found.x[0] + np.exp(found.x[1]), exact)


def sparse_retrieval(
    alpha: float, activity: float, threshold: float | None = None, exact: bool = False, hold: float = 0.0
) -> SparseRetrieval:
    """The memory at a load, under a fixed threshold or activity control.

    Args:
        alpha: load P/N, > 0.
        activity: f, in (0, 1).
        threshold: theta; None: control of the activity, q = f.
        exact: every pattern has exactly f N ones.
        hold: in [0, 1], under activity control; 0 is equilibrium, see the module's header.

    Raises:
        ValueError: an argument outside its range, or a load at which no memory exists.

    >>> from neuromanifold.theory.memory import sparse_retrieval
    >>> float(sparse_retrieval(0.5, 0.05).overlap.round(4))
    0.9963
    """
    f = check_real("activity", activity, 0, 1, open_low=True, open_high=True)
    load = check_real("alpha", alpha, 0, open_low=True)
    hold = check_real("hold", hold, 0, 1)
    if threshold is not None:
        require(hold == 0, "hold", "be 0 under a fixed threshold", hold)
        return _fixed(load, f, check_real("threshold", threshold), exact)
    ones = np.linspace(-12.0, 1.0, 1301)
    ones = ones[_rises(f, ones)]
    loads = sparse_branch(f, ones, exact=exact, hold=hold).load
    # The first crossing: what lies behind it is unstable.
    reached = np.flatnonzero(loads >= load)
    limit = float(loads.max())
    require(reached.size > 0 and reached[0] > 0, "alpha", f"be at most {limit:.4g}, the capacity", alpha)
    first = reached[0]
    root: Any = brentq(
        lambda a: float(sparse_branch(f, a, exact=exact, hold=hold).load) - load,
        ones[first - 1],
        ones[first],
        xtol=1e-13,
    )
    return sparse_branch(f, root, exact=exact, hold=hold)


def _fixed(load: float, f: float, theta: float, exact: bool) -> SparseRetrieval:
    """Damped iteration of the equations from the perfect memory."""
    m, q, u = 1.0, f, 0.0
    for _ in range(20_000):
        sigma = np.sqrt(load * _power(q, exact)) / (1.0 - u)
        effective = theta - load * (u / 2.0 - q * exact) / (1.0 - u)
        a1, a0 = (effective - (1.0 - f) * m) / sigma, (effective + f * m) / sigma
        hits, false = float(ndtr(-a1)), float(ndtr(-a0))
        new = (
            hits - false,
            f * hits + (1.0 - f) * false,
            (f * _density(a1) + (1.0 - f) * _density(a0)) / sigma,
        )
        change = max(abs(new[0] - m), abs(new[1] - q) / f, abs(new[2] - u))
        m, q, u = ((old + value) / 2.0 for old, value in zip((m, q, u), new, strict=True))
        # A memory that is lost slides to silence, to noise or to a divergent response.
        if m < 0.2 or not u < 1.0 or q < 1e-12:
            break
        if change < 1e-13:
            return sparse_branch(f, a1, a0, exact)
    raise ValueError(
        f"alpha must be below the load at which threshold {theta:g} loses the memory, got {load:g}."
    )


def sparse_first_step(
    alpha: ArrayLike,
    activity: float,
    hits: ArrayLike,
    false_alarms: ArrayLike = 0.0,
    threshold: float | None = None,
    exact: bool = False,
) -> SparseRetrieval:
    """What one synchronous step makes of a cue whose errors are independent, exact for N -> infinity.

    The field is (xi - f) m_0 plus Gaussian noise of variance alpha q_0, with m_0 = p_1 - p_0 and
    q_0 = f p_1 + (1-f) p_0 of the cue; if exact the variance is alpha q_0 (1 - q_0) and the mean less by
    alpha q_0.

    Args:
        alpha: load P/N, > 0, broadcast against the others.
        activity: f, in (0, 1).
        hits: fraction of the pattern's ones that the cue has, in [0, 1].
        false_alarms: fraction of its zeros that the cue has as ones, in [0, 1].
        threshold: theta; None: the f N units of largest field fire, whose threshold solves q_1 = f.
        exact: every pattern has exactly f N ones.

    Raises:
        ValueError: an argument outside its range.
    """
    f = check_real("activity", activity, 0, 1, open_low=True, open_high=True)
    loads = check_finite("alpha", alpha).astype(np.float64)
    require(np.all(loads > 0), "alpha", "be > 0", alpha)
    p1, p0 = (
        check_finite(n, v).astype(np.float64) for n, v in (("hits", hits), ("false_alarms", false_alarms))
    )
    for name, values in (("hits", p1), ("false_alarms", p0)):
        require(np.all((values >= 0) & (values <= 1)), name, "lie in [0, 1]", values)
    loads, p1, p0 = np.broadcast_arrays(loads, p1, p0)
    q0 = f * p1 + (1.0 - f) * p0
    require(np.all(q0 > 0), "hits", "leave a cue with ones", hits)
    m, sigma = p1 - p0, np.sqrt(loads * _power(q0, exact))
    inhibition = loads * q0 * exact

    def tails(theta: Any, at: Any) -> tuple[Any, Any]:
        return ndtr(((1.0 - f) * m[at] - theta) / sigma[at]), ndtr((-f * m[at] - theta) / sigma[at])

    thetas = np.zeros(loads.shape)
    for index in np.ndindex(loads.shape):
        if threshold is None:

            def excess(theta: float, at: Any = index) -> float:
                up, down = tails(theta, at)
                return float(f * up + (1.0 - f) * down - f)

            far = 40.0 * float(sigma[index]) + 1.0
            root: Any = brentq(excess, -far, far, xtol=1e-14)
            thetas[index] = root
        else:
            thetas[index] = check_real("threshold", threshold) + inhibition[index]
    new1, new0 = tails(thetas, ...)
    thetas = thetas - inhibition
    return SparseRetrieval(loads, new1 - new0, new1, new0, sigma, np.zeros(loads.shape), thetas)


def sparse_capacity_asymptote(activity: ArrayLike) -> NDArray[np.float64]:
    """1/(2 f |ln f|), the leading term of the capacity for f -> 0.

    Args:
        activity: f, any shape, in (0, 1).
    """
    f = _activity(activity)
    return np.asarray(1.0 / (2.0 * f * np.abs(np.log(f))))


def information_per_synapse(
    alpha: ArrayLike, activity: ArrayLike, hits: ArrayLike, false_alarms: ArrayLike
) -> NDArray[np.float64]:
    """Bits that the recalled states tell of the patterns, for each of the N^2 couplings.

    I = alpha [H(q) - f H(p_1) - (1-f) H(p_0)], H the entropy of a binary unit in bits: the information of P N
    units over N^2 couplings, of which half are copies by symmetry.

    Args:
        alpha: load P/N, >= 0.
        activity: f, in (0, 1).
        hits: p_1 in [0, 1].
        false_alarms: p_0 in [0, 1].
    """
    f = _activity(activity)
    loads, p1, p0 = (np.asarray(value, np.float64) for value in (alpha, hits, false_alarms))
    q = f * p1 + (1.0 - f) * p0
    return np.asarray(loads * (_entropy(q) - f * _entropy(p1) - (1.0 - f) * _entropy(p0)))


def _rises(f: float, ones: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where activity control has a threshold between the two mean fields, a_0 > a_1."""
    inner = f * ndtr(ones) / (1.0 - f)
    return (inner < 1.0) & (ndtr(-ones) > inner)


def _activity(activity: ArrayLike) -> NDArray[np.float64]:
    f = check_finite("activity", activity).astype(np.float64)
    require(np.all((f > 0) & (f < 1)), "activity", "lie in (0, 1)", activity)
    return f


def _power(q: Any, exact: bool) -> Any:
    """Mean square of what of the state makes noise."""
    return q * (1.0 - q) if exact else q


def _density(x: Any) -> Any:
    return np.exp(-(x**2) / 2.0) / np.sqrt(2.0 * np.pi)


def _entropy(p: Any) -> Any:
    return -(xlogy(p, p) + xlogy(1.0 - p, 1.0 - p)) / np.log(2.0)
