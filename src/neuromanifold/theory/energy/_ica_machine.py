"""When a machine with two-valued hidden units separates independent sources: amplitudes and stability.

Data v = B s, B orthogonal, sources s independent with mean 0 and variance 1; machine with visible variance
sigma^2 and hidden signs. Learning rests where W B = diag(a) up to order and signs, with

    E[s tanh(a s/sigma^2)] = a,     a > 0,     which exists for sigma^2 < 1.

Linearised there, for two sources of one kind and kappa = E[sech^2(a s/sigma^2)],

    kappa/sigma^2 - 1                          turning both units against the sources (un-mixing)
    kappa/sigma^2 - 1 - 2 a^2/sigma^2          mixing them symmetrically
    E[s^2 sech^2(a s/sigma^2)]/sigma^2 - 1     the amplitude

so that sources are separated stably just where kappa < sigma^2: sources flatter than Gaussian ones. Where
they are more peaked, the units turn to sums and differences (s_1 +- s_2)/sqrt(2), which are nearer to
Gaussian; their amplitude solves the same equation for that sum.

Units 0 and 1 with biases fit to each source a mixture of two Gaussians, q(s) = (1 - p) N(mu_0, sigma^2) +
p N(mu_1, sigma^2); with phi = -(log q)', un-mixing is stable where E[phi'] E[s^2] - E[phi s] > 0.

All averages are by quadrature. Source: Karakida, Okada and Amari 2016; Amari, Chen and Cichocki 1997.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from neuromanifold._base import check_choice, check_finite, check_real, require

SOURCES = ("binary", "uniform", "gaussian", "laplace", "exponential", "bernoulli", "gamma")


class Source(NamedTuple):
    """A distribution of mean 0 and variance 1 as nodes and their probabilities."""

    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]


class Separation(NamedTuple):
    """What hidden signs make of a source.

    Args:
        amplitude: a.
        kappa: E[sech^2(a s/sigma^2)].
        rotation: rate of the mode that un-mixes, < 0 where sources are separated.
        symmetric: rate of symmetric mixing.
        relaxation: rate of the amplitude.
    """

    amplitude: float
    kappa: float
    rotation: float
    symmetric: float
    relaxation: float


def source(name: str, p: float = 0.15) -> Source:
    """Nodes and probabilities of a source of mean 0 and variance 1.

    Args:
        name: "binary" (+-1), "uniform", "gaussian", "laplace", "exponential" (one-sided), "bernoulli" (1 with
            probability p, else 0, standardised) or "gamma" (of shape 1/2).
        p: for "bernoulli", in (0, 1).

    Raises:
        ValueError: another name or p outside its range.
    """
    check_choice("name", name, SOURCES)
    check_real("p", p, 0, 1, open_low=True, open_high=True)
    if name in ("binary", "bernoulli"):
        share = np.array([0.5, 0.5] if name == "binary" else [1 - p, p])
        values = np.array([0.0, 1.0]) - share[1]
        return Source(values / np.sqrt(share.prod()), share)
    if name == "uniform":
        x, w = np.polynomial.legendre.leggauss(400)
        return Source(np.sqrt(3.0) * x, w / 2)
    if name in ("laplace", "exponential"):
        edges = np.concatenate([np.linspace(0, 4, 17), np.linspace(4, 44, 21)[1:]])
        x, w = np.polynomial.legendre.leggauss(8)
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        t = (middle[:, None] + half[:, None] * x).ravel()
        share = (half[:, None] * w).ravel() * np.exp(-t)
        share /= share.sum()
        if name == "exponential":
            return Source(t - 1.0, share)
        return Source(np.concatenate([-t, t]) / np.sqrt(2.0), np.concatenate([share, share]) / 2)
    z = np.linspace(-10.0, 10.0, 4001)
    normal = np.exp(-0.5 * z**2)
    normal /= normal.sum()
    return Source(z if name == "gaussian" else (z**2 - 1.0) / np.sqrt(2.0), normal)


def _amplitude(of: Source, variance: float) -> float:
    def excess(a: float) -> float:
        return float(of.weights @ (of.nodes * np.tanh(a * of.nodes / variance))) - a

    largest = float(of.weights @ np.abs(of.nodes))
    spread = float(of.weights @ of.nodes**2)
    require(spread > variance, "sigma", "be below the standard deviation of the sources", variance**0.5)
    if excess(largest) >= 0:
        return largest
    root: Any = brentq(excess, 1e-9, largest, xtol=1e-14)
    return float(root)


def separation(of: Source, sigma: float) -> Separation:
    """Amplitude and rates of hidden signs that report two such sources.

    Args:
        of: a symmetric source, from `source`.
        sigma: standard deviation of the visible units given the hidden ones, in (0, 1).

    Raises:
        ValueError: sigma not below the sources' standard deviation, where only W = 0 is left.

    >>> from neuromanifold.theory.energy import separation, source
    >>> for name in ("binary", "uniform", "laplace"):
    ...     found = separation(source(name), 0.5)
    ...     print(f"{name} {found.amplitude:.5f} {found.kappa:.5f} {found.rotation:+.4f}")
    binary 0.99933 0.00135 -0.9946
    uniform 0.84526 0.17076 -0.3170
    laplace 0.65731 0.38664 +0.5466
    """
    variance = check_real("sigma", sigma, 0, open_low=True) ** 2
    a = _amplitude(of, variance)
    slope = 1.0 / np.cosh(a * of.nodes / variance) ** 2
    kappa = float(of.weights @ slope)
    return Separation(
        a,
        kappa,
        kappa / variance - 1.0,
        kappa / variance - 1.0 - 2.0 * a**2 / variance,
        float(of.weights @ (of.nodes**2 * slope)) / variance - 1.0,
    )


def mixed_amplitude(of: Source, sigma: float) -> float:
    """Amplitude of hidden signs that report (s_1 + s_2)/sqrt(2) and (s_1 - s_2)/sqrt(2).

    Args:
        of: a symmetric source, from `source`.
        sigma: as for `separation`.

    Each |(W B)_ij| is then this divided by sqrt(2).
    """
    variance = check_real("sigma", sigma, 0, open_low=True) ** 2
    total = (of.nodes[:, None] + of.nodes[None, :]).ravel() / np.sqrt(2.0)
    return _amplitude(Source(total, np.outer(of.weights, of.weights).ravel()), variance)


def pair_interaction(couplings: Any, sigma: float) -> float:
    """R_12 = tanh(w_1 . w_2/sigma^2) of two hidden signs without biases; orthogonal rows do not interact.

    With q(h) ~ exp(|W^T h|^2/(2 sigma^2)) the lengths of the rows drop out, and what is left is a pair of
    spins with the coupling w_1 . w_2/sigma^2.

    Args:
        couplings: W, shape (2, n).
        sigma: standard deviation of the visible units given the hidden ones, > 0.

    Raises:
        ValueError: couplings of another shape or not finite, or sigma not positive.
    """
    w = check_finite("couplings", couplings).astype(np.float64)
    require(w.ndim == 2 and len(w) == 2, "couplings", "have shape (2, n)", w.shape)
    return float(np.tanh(w[0] @ w[1] / check_real("sigma", sigma, 0, open_low=True) ** 2))


class TwoGaussians(NamedTuple):
    """The best mixture of two Gaussians of given width, and what it says of units 0 and 1.

    Args:
        share: p, weight of the second Gaussian.
        low: mu_0.
        high: mu_1.
        criterion: E[phi'] E[s^2] - E[phi s], > 0 where un-mixing is stable.
    """

    share: float
    low: float
    high: float
    criterion: float


def two_gaussians(of: Source, sigma: float, n_steps: int = 4000) -> TwoGaussians:
    """Units 0 and 1 with biases: the mixture fitted to one source, and whether two are kept apart.

    Args:
        of: a source.
        sigma: width of both Gaussians, > 0.
        n_steps: steps of expectation and maximisation.

    >>> from neuromanifold.theory.energy import source, two_gaussians
    >>> f"{two_gaussians(source('exponential'), 0.5).criterion:.2f}"
    '1.24'
    """
    variance = check_real("sigma", sigma, 0, open_low=True) ** 2
    s: Any = of.nodes
    w: Any = of.weights
    spread = float(np.sqrt(w @ s**2))
    p, low, high = 0.3, -0.5 * spread, 1.2 * spread
    for _ in range(n_steps):
        second = _posterior(s, p, low, high, variance)
        p = float(w @ second)
        low = float(w @ ((1 - second) * s)) / (1 - p)
        high = float(w @ (second * s)) / p
    second = _posterior(s, p, low, high, variance)
    gap = high - low
    score = (s - low - gap * second) / variance
    slope = (1.0 - gap**2 / variance * second * (1.0 - second)) / variance
    criterion = float(w @ slope) * float(w @ s**2) - float(w @ (score * s))
    return TwoGaussians(p, low, high, criterion)


def _posterior(s: Any, p: float, low: float, high: float, variance: float) -> NDArray[np.float64]:
    return expit(np.log(p / (1 - p)) + (high - low) * (s - 0.5 * (high + low)) / variance)
