"""Continuous modern Hopfield memory: bounds of one update, groups of like patterns, exponential loads.

x <- sum_mu p_mu xi^mu, p = softmax(beta Xi x). P patterns of norm at most M; Delta = min_nu xi^1.(xi^1 -
xi^nu) is the separation of a pattern.

One update.  From x at distance d of xi^1 each other weight is at most exp(-beta (Delta - 2 M d)), and so

    |f(x) - xi^1| <= 2 M (P - 1) exp(-beta (Delta - 2 M d)).

With d = 1/(2 beta M) the ball of that radius is mapped into itself, and the map contracts there, where
4 beta M^2 (P - 1) e exp(-beta Delta) < 1: then one fixed point lies in it. This is

    Delta > (1 + ln(4 beta M^2 (P - 1)))/beta.

Groups.  G groups of k patterns, xi = M (sqrt(c) u_g + sqrt(1-c) v_gj) with u and v orthonormal: overlaps c
M^2 in a group, none between groups. Begun in a pattern, the weights are a of the pattern, b of each other in
its group, e of each of the rest, and move by themselves, exactly:

    (a, b, e) <- softmax of beta M^2 (a + c (k-1) b, c a + (1 + c (k-2)) b, (1 + c (k-1)) e).

The mean of all patterns is stable for beta M^2 (c + (1-c)/k)/G < 1, the mean of a group, the rest being far,
for beta M^2 (1-c)/k < 1.

Exponentially many random patterns, P = exp(alpha N), of N components of variance 1.  In a pattern of square
norm N r^2 its own score is beta N r^2; the others are a random energy model: N phi = ln sum_nu exp(beta
xi.xi^nu). The pattern has all the weight, and is a fixed point, where beta r^2 > phi.

    Gaussian     phi = alpha + (beta r)^2/2 for beta r < sqrt(2 alpha), else beta r sqrt(2 alpha)
    on a sphere  phi = alpha + ln(1 - rho^2)/2 + beta rho, rho/(1 - rho^2) = beta, while that rho occurs

A typical pattern has r = 1: alpha = beta - beta^2/2 up to beta = 1 and 1/2 beyond (Gaussian), alpha = beta (1
- rho) - ln(1 - rho^2)/2 (sphere). Of exp(alpha N) Gaussian patterns the shortest has (r^2 - 1 - ln r^2)/2 =
alpha; all are fixed points below alpha = 1/(2 e) for beta >= 1.

Source: Ramsauer et al. 2021, ICLR, arXiv 2008.02217 (the bound is of the form of theorem 5); Lucibello and
Mezard 2024, Phys. Rev. Lett. 132:077301 (random energy model). All formulas here are derived above.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Process, run


def update_error_bound(
    n_patterns: int, separation: ArrayLike, norm: float, distance: ArrayLike, beta: float
) -> NDArray[np.float64]:
    """2 M (P - 1) exp(-beta (Delta - 2 M d)), above the distance to a pattern after one update.

    Args:
        n_patterns: P >= 1.
        separation: Delta = min_nu xi.(xi - xi^nu), any shape.
        norm: M, the largest norm of a pattern, > 0.
        distance: d >= 0 before the update; broadcast against `separation`.
        beta: inverse temperature > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    n_patterns = check_integer("n_patterns", n_patterns, 1)
    norm = check_real("norm", norm, 0, open_low=True)
    beta = check_real("beta", beta, 0, open_low=True)
    gap, far = check_finite("separation", separation), check_finite("distance", distance)
    require(np.all(far >= 0), "distance", "be >= 0", distance)
    return np.asarray(2 * norm * (n_patterns - 1) * np.exp(-beta * (gap - 2 * norm * far)))


def least_separation(n_patterns: int, norm: float, beta: float) -> float:
    """(1 + ln(4 beta M^2 (P - 1)))/beta, above which a fixed point lies within 1/(2 beta M) of a pattern.

    Args:
        n_patterns: P >= 2.
        norm: M, the largest norm of a pattern, > 0.
        beta: inverse temperature > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import least_separation
    >>> round(least_separation(1000, 8.0, 1.0), 2)
    13.45
    """
    n_patterns = check_integer("n_patterns", n_patterns, 2)
    norm = check_real("norm", norm, 0, open_low=True)
    beta = check_real("beta", beta, 0, open_low=True)
    return (1 + math.log(4 * beta * norm**2 * (n_patterns - 1))) / beta


class GroupWeights(NamedTuple):
    """Weights of recall in groups of patterns, arrays of the shape of beta.

    Args:
        own: a, of the pattern begun in.
        group: b, of each other pattern of its group.
        rest: e, of each pattern of the other groups.
    """

    own: Float[Array, "..."]
    group: Float[Array, "..."]
    rest: Float[Array, "..."]


class GroupRecall(eqx.Module):
    """The exact law of recall in groups of patterns, as a `Process` on `GroupWeights`.

    Args:
        beta: inverse temperature > 0, any shape.
        n_groups: G >= 1.
        group_size: k >= 1.
        correlation: c in [0, 1], of two patterns of a group.
        norm: M > 0.

    Raises:
        ValueError: an argument outside its range.
    """

    beta: Float[Array, "..."]
    n_groups: int = eqx.field(static=True)
    group_size: int = eqx.field(static=True)
    correlation: float
    norm: float

    def __init__(
        self, beta: ArrayLike, n_groups: int, group_size: int, correlation: float, norm: float = 1.0
    ):
        if not isinstance(beta, Tracer):
            require(np.all(check_finite("beta", beta) > 0), "beta", "be > 0", beta)
        self.beta = jnp.asarray(beta, jnp.result_type(float))
        self.n_groups = check_integer("n_groups", n_groups, 1)
        self.group_size = check_integer("group_size", group_size, 1)
        self.correlation = check_real("correlation", correlation, 0, 1)
        self.norm = check_real("norm", norm, 0, open_low=True)

    def process(self) -> Process:
        """The process; it begins in a pattern, and what it is given is not used."""
        return Process(self.init, self.step)

    def init(self, key: Any, x0: Any) -> GroupWeights:
        """All weight on the pattern."""
        del key, x0
        zero = jnp.zeros_like(self.beta)
        return GroupWeights(zero + 1, zero, zero)

    def step(self, key: Any, t: Any, state: GroupWeights) -> tuple[GroupWeights, None]:
        """One update of the weights."""
        del key, t
        a, b, e = state
        c, k = self.correlation, self.group_size
        scores = jnp.stack(
            [a + c * (k - 1) * b, c * a + (1 + c * (k - 2)) * b, (1 + c * (k - 1)) * e], axis=-1
        )
        counts = jnp.array([1, k - 1, (self.n_groups - 1) * k], self.beta.dtype)
        scores = self.beta[..., None] * self.norm**2 * scores
        raised = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
        weights = raised / jnp.sum(counts.reshape((1,) * self.beta.ndim + (3,)) * raised, -1, keepdims=True)
        return GroupWeights(weights[..., 0], weights[..., 1], weights[..., 2]), None


def group_weights(
    beta: ArrayLike, n_groups: int, group_size: int, correlation: float, norm: float = 1.0, n_steps: int = 200
) -> GroupWeights:
    """Weights that recall from a pattern ends in, in float64.

    Args:
        beta: inverse temperature > 0, any shape.
        n_groups: G >= 1.
        group_size: k >= 1.
        correlation: c in [0, 1], of two patterns of a group.
        norm: M > 0.
        n_steps: updates, >= 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import group_weights
    >>> group_weights([1.0, 9.0, 60.0], 4, 5, 0.7).own.round(2).tolist()    # all, the group, the pattern
    [0.05, 0.2, 1.0]
    """
    with jax.enable_x64(True):
        law = GroupRecall(beta, n_groups, group_size, correlation, norm)
        made = run(law.process(), jax.random.key(0), 0.0, n_steps)
        return jax.tree.map(np.asarray, made.state)


def group_limits(
    n_groups: int, group_size: int, correlation: float, norm: float = 1.0
) -> tuple[float, float]:
    """Beta at which the mean of all patterns, and beta at which the mean of a group, ceases to be stable.

    Args:
        n_groups: G >= 2.
        group_size: k >= 2.
        correlation: c in [0, 1).
        norm: M > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import group_limits
    >>> [round(beta, 3) for beta in group_limits(4, 5, 0.7)]
    [5.263, 16.667]
    """
    n_groups = check_integer("n_groups", n_groups, 2)
    group_size = check_integer("group_size", group_size, 2)
    c = check_real("correlation", correlation, 0, 1, open_high=True)
    square = check_real("norm", norm, 0, open_low=True) ** 2
    return n_groups / (square * (c + (1 - c) / group_size)), group_size / (square * (1 - c))


def exponential_load(
    beta: ArrayLike, patterns: str = "gaussian", which: str = "typical"
) -> NDArray[np.float64]:
    """The largest alpha = ln(P)/N at which a random pattern, or every one, is a fixed point.

    Args:
        beta: inverse temperature > 0 for components of variance 1, any shape.
        patterns: "gaussian" or "sphere" (norm sqrt(N) exactly).
        which: "typical" (a given pattern) or "all"; the same on a sphere.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import exponential_load
    >>> exponential_load([0.5, 1.0, 2.0]).tolist(), exponential_load(0.5, "sphere").round(4).tolist()
    ([0.375, 0.5, 0.5], 0.387)
    """
    check_choice("patterns", patterns, ("gaussian", "sphere"))
    check_choice("which", which, ("typical", "all"))
    b: Any = check_finite("beta", beta).astype(np.float64)
    require(np.all(b > 0), "beta", "be > 0", beta)
    if patterns == "sphere":
        rho = (np.sqrt(1 + 4 * b**2) - 1) / (2 * b)
        return np.asarray(b * (1 - rho) - np.log1p(-(rho**2)) / 2)
    gain = np.where(b < 1, b - b**2 / 2, 0.5)
    if which == "typical":
        return np.asarray(gain)
    return np.array([_shortest(float(g)) for g in gain.ravel()]).reshape(b.shape)


def _shortest(gain: float) -> float:
    """Alpha with alpha = gain r^2 = (r^2 - 1 - ln r^2)/2."""
    root: Any = brentq(lambda square: (square - 1 - math.log(square)) / 2 - gain * square, 1e-12, 1.0)
    return gain * root
