"""Overlaps of pattern dynamics for many units and few patterns: commitment and intervention in closed form.

    dx/dt = -x + tanh(K x + kappa b),  K = (beta/n) sum_mu xi^mu xi^mu^T,  n -> infinity, patterns random:

    dm_mu/dt = -m_mu + < xi_mu tanh(beta sum_nu xi_nu m_nu + kappa xi_g) >,     < > over signs xi

whatever part of x(0) is orthogonal to the patterns decays and is not seen. With one overlap alone and no
intervention, dm/dt = tanh(beta m) - m, the time from m_0 to theta is

    t_c = int_{m_0}^theta dm / (tanh(beta m) - m).

After commitment of m_1 at theta the symbol's pattern xi^2 acts with strength kappa. The sum m_1 + m_2 = p and
the difference m_1 - m_2 = d move apart from each other,

    dp/dt = -p + tanh(beta p + kappa),        dd/dt = -d + tanh(beta d - kappa),

both from theta. The dynamics turns to pattern 2 if d passes below zero, which it does for kappa above

    kappa_c = max_{0 <= d <= theta} (beta d - artanh d),    the maximum at d = min(theta, sqrt(1 - 1/beta)),

and it ends with m_1 = 0 and m_2 the root of m = tanh(beta m + kappa). Corrections are of order 1/n, scatter
from crosstalk of the patterns of order 1/sqrt n. An interpretation of words in a lecture. Time: time
constants.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import quad
from scipy.optimize import brentq

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.dynamics import Flow

_MOST_PATTERNS = 14


def commitment_time(beta: float, overlap: float, theta: float) -> float:
    """Time from overlap m_0 to commitment at theta, in time constants.

    Args:
        beta: strength of the couplings, > 1.
        overlap: m_0, in (0, theta].
        theta: overlap of commitment, below the fixed point of m = tanh(beta m).

    Raises:
        ValueError: an argument outside its range; a theta that is never reached.

    >>> from neuromanifold.theory.decision import commitment_time
    >>> round(commitment_time(2.5, 0.15, 0.6), 3)
    1.413
    """
    beta = check_real("beta", beta, 1.0, open_low=True)
    theta = check_real("theta", theta, 0.0, 1.0, open_low=True, open_high=True)
    start = check_real("overlap", overlap, 0.0, theta, open_low=True)
    top = settled_overlap(beta, 0.0)
    require(theta < top, "theta", f"be below the overlap {top:.6g} that is reached in the end", theta)
    value, _ = quad(lambda m: 1.0 / (math.tanh(beta * m) - m), start, theta, epsabs=1e-12, epsrel=1e-12)
    return float(value)


def settled_overlap(beta: float, kappa: float) -> float:
    """The positive root of m = tanh(beta m + kappa): the overlap in the end.

    Args:
        beta: strength of the couplings, > 0; above 1 where kappa is 0.
        kappa: strength of the intervention, >= 0.

    Raises:
        ValueError: an argument outside its range, or no positive root.
    """
    beta = check_real("beta", beta, 0.0, open_low=True)
    kappa = check_real("kappa", kappa, 0.0)
    require(beta > 1 or kappa > 0, "beta", "be > 1 for a pattern to last without kappa", beta)
    low = max(1e-12, math.sqrt(max(0.0, 1 - 1 / beta)))
    root: Any = brentq(lambda m: math.tanh(beta * m + kappa) - m, low, 1.0, xtol=1e-15)
    return float(root)


def critical_intervention(beta: float, theta: float) -> float:
    """Strength kappa_c above which a symbol turns the patterns over, from commitment at theta.

    Args:
        beta: strength of the couplings, > 1.
        theta: overlap of commitment, in (0, 1).

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.decision import critical_intervention
    >>> round(critical_intervention(2.5, 0.6), 4)
    0.8069
    """
    beta = check_real("beta", beta, 1.0, open_low=True)
    theta = check_real("theta", theta, 0.0, 1.0, open_low=True, open_high=True)
    d = min(theta, math.sqrt(1 - 1 / beta))
    return beta * d - math.atanh(d)


def overlap_flow(n_patterns: int, beta: float, kappa: float = 0.0, goal: int = 0) -> Flow:
    """The macroscopic flow on the overlaps m, shape (n_patterns,), by the average over all signs.

    Args:
        n_patterns: 1 ... 14; the average has 2^n_patterns terms.
        beta: strength of the couplings, > 0.
        kappa: strength of the intervention, >= 0.
        goal: the pattern that acts.

    Raises:
        ValueError: an argument outside its range.
    """
    count = check_integer("n_patterns", n_patterns, 1, _MOST_PATTERNS)
    check_integer("goal", goal, 0, count - 1)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    beta = check_real("beta", beta, 0.0, open_low=True)
    numbers = (beta, check_real("kappa", kappa, 0.0), signs[:, goal])
    return Flow(_Overlaps(jnp.asarray(signs), *map(jnp.asarray, numbers)).velocity)


class _Overlaps(eqx.Module):
    signs: Float[Array, "n_terms n_patterns"]
    beta: Float[Array, ""]
    kappa: Float[Array, ""]
    goal: Float[Array, " n_terms"]

    def velocity(self, t: Any, m: Float[Array, " n_patterns"]) -> Float[Array, " n_patterns"]:
        del t
        xi, beta, kappa, goal = (x.astype(m.dtype) for x in (self.signs, self.beta, self.kappa, self.goal))
        answer = jnp.tanh(beta * (xi @ m) + kappa * goal)
        return jnp.mean(xi * answer[:, None], axis=0) - m
