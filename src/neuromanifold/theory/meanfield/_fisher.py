"""The eigenvalues of the Fisher information of a wide random network: mean, second moment, largest.

    F = (1/T) sum_t J_t^T J_t,   J_t = d f(x_t)/d theta

for a network u^l = W^l x^{l-1} + b^l, x^l = phi(u^l) with C linear outputs, W^l_ij ~ N(0, sigma_w^2/M_{l-1}),
b^l_i ~ N(0, sigma_b^2), widths M_l = a_l M for l = 0 ... L - 1, and T inputs of independent N(0, 1) entries.
Let

    qh_l = E phi(u)^2,   qh^st_l = E phi(u) phi(v)           forward, qh_0 = 1, qh^st_0 = 0
    qt_l = sigma_w^2 qt_{l+1} E phi'(u)^2                    backward, qt_L = 1
    qt^st_l = sigma_w^2 qt^st_{l+1} E phi'(u) phi'(v)        qt^st_L = 1

    kappa_1 = sum_l (a_{l-1}/alpha) qt_l qh_{l-1},   kappa_2 = sum_l (a_{l-1}/alpha) qt^st_l qh^st_{l-1},
    alpha = sum_{l=1}^{L-1} a_l a_{l-1}.

The C T x C T dual of F is alpha M / T times kappa_1 on the diagonal and kappa_2 between inputs of one output,
so

    m = kappa_1 C/M,   s = alpha ((T-1)/T kappa_2^2 + kappa_1^2/T) C,
    lambda_max = alpha ((T-1)/T kappa_2 + kappa_1/T) M.

m and s are the mean and the mean square of all P = alpha M^2 eigenvalues. Nearly all are close to zero, C are
of order M: gradient descent needs rates below 2/lambda_max.

Source: Karakida, Akaho and Amari (2019), theorems 1, 3 and 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import pair_moments, refuse_jumps, second_moment, slope_moment
from neuromanifold.theory.meanfield._precision import as_real, double_precision
from neuromanifold.theory.meanfield._quadrature import angle_of


class FisherSpectrum(NamedTuple):
    """Statistics of the eigenvalues of the Fisher information.

    Args:
        kappa_1: of an input with itself.
        kappa_2: of two inputs.
        alpha: number of weights over M^2.
        mean: m.
        second_moment: s.
        largest: lambda_max.
    """

    kappa_1: float
    kappa_2: float
    alpha: float
    mean: float
    second_moment: float
    largest: float


@double_precision
def fisher_spectrum(
    phi: Activation,
    width: int,
    *,
    ratios: Sequence[float],
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
    n_samples: int,
    n_outputs: int = 1,
) -> FisherSpectrum:
    """Mean, second moment and largest of the Fisher information's eigenvalues, for wide layers.

    Args:
        phi: a continuous activation.
        width: M >= 1.
        ratios: a_0 ... a_{L-1} > 0, the input's first; L >= 2, one number for each layer but the last.
        sigma_w: standard deviation of sqrt(M_{l-1}) W_ij, > 0.
        sigma_b: standard deviation of the biases, >= 0.
        n_samples: T >= 1.
        n_outputs: C >= 1.

    Raises:
        ValueError: an argument outside its range, or an activation that jumps.

    >>> from neuromanifold.theory.meanfield import activation, fisher_spectrum
    >>> tanh = fisher_spectrum(
    ...     activation("tanh"), 1000, ratios=(1, 1, 1), sigma_w=3**0.5, sigma_b=0.8, n_samples=200
    ... )
    >>> round(tanh.largest, 1)
    245.6
    """
    refuse_jumps(phi, "the Fisher information")
    m, t, c = (
        check_integer(name, value, 1)
        for name, value in (("width", width), ("n_samples", n_samples), ("n_outputs", n_outputs))
    )
    a = [check_real(f"ratios[{i}]", x, 0.0, open_low=True) for i, x in enumerate(ratios)]
    require(
        len(a) >= 2, "ratios", "hold the ratio of the input and of a hidden layer at least", tuple(ratios)
    )
    w2 = as_real("sigma_w", sigma_w, 0.0, open_low=True) ** 2
    b2 = as_real("sigma_b", sigma_b, 0.0) ** 2
    forward, shared, slopes, shared_slopes = [jnp.ones(())], [jnp.zeros(())], [], []
    for _ in a[1:]:
        q, overlap = w2 * forward[-1] + b2, w2 * shared[-1] + b2
        both, _, slope = pair_moments(phi, q, q, angle_of(q, q, overlap))
        forward.append(second_moment(phi, q))
        shared.append(both)
        slopes.append(w2 * slope_moment(phi, q))
        shared_slopes.append(w2 * slope)
    alpha = sum(x * y for x, y in itertools.pairwise(a))
    kappas = []
    for activities, backward in ((forward, slopes), (shared, shared_slopes)):
        error, total = jnp.ones(()), jnp.zeros(())
        for layer in range(len(a), 0, -1):
            total = total + a[layer - 1] / alpha * error * activities[layer - 1]
            if layer > 1:
                error = error * backward[layer - 2]
        kappas.append(float(total))
    first, second = kappas
    return FisherSpectrum(
        first,
        second,
        alpha,
        first * c / m,
        alpha * ((t - 1) / t * second**2 + first**2 / t) * c,
        alpha * ((t - 1) / t * second + first / t) * m,
    )
