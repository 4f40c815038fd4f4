"""Whether a continuous topographic map lasts, or gives way to columns, under modifiable inhibition.

Cells at xi on a ring of length 1 see stimuli at eta of another, each as often; excitatory afferents and the
inhibition learn by Hebb's rule from the settled activity f(U):

    U(xi, eta) = integral w(xi - xi') f(U(xi', eta)) dxi' + J(xi, eta) + h,
    dJ/dt      = -J + integral k(eta - eta') f(U(xi, eta')) deta',     k(d) = c (v.v'(d) - lambda),

v.v'(d) being the product of two stimuli of length 1 that lie d apart. An ordered map rests at U(xi - eta),

    U(x) = integral (w + k)(x - y) f(U(y)) dy + h.

Waves along the map, phi(x) exp(2 pi i q eta), change it at the rates mu - 1 of

    F K_q F psi = mu (1 - F W F) psi,     F^2 = f'(U),  K_q(x) = k(x) exp(2 pi i q x),

W and K_q convolutions. Where f is a step, the rest is a band of width a with W(a) + K(a) + h = 0, W and K the
integrals from 0 to a: a bump of the kernel w + k. F is then two points, the edges of the band, and

    (k_0 - mu g)^2 = |k_a exp(2 pi i q a) + mu w_a|^2,     g = k_0 - k_a - w_a,

k_0 = k(0), k_a = k(a), w_a = w(a). At mu = 1 the left side less the right is 2 k_a w_a (1 - cos 2 pi q a), of
which follows that the map lasts iff

    w(a) < 0  and  k(a) < 0:

the band must be wider than the reach of excitation, and wider than the distance at which stimuli resemble
each other by lambda. Where one of both is positive and their sum negative, the fastest waves have q a = 1/2:
they are two bands long, and grow at the rate 2 k_a/(k_0 - k_a), or 2 w_a/(k_0 - k_a - 2 w_a).

Symbols: w lateral kernel, k kernel of learning, h resting level, c gain, lambda ratio of inhibition, q waves
on the ring. Time: units of the decay of the weights; activities settle at once.

Source: Takeuchi and Amari 1979, Biol. Cybern. 35:63 (the problem and the step); Amari 1977, Biol. Cybern.
27:77.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, circulant, eigh
from scipy.optimize import root
from scipy.special import erf, expit

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.theory.selforganizing._bumps import bump_widths

Kernel = Callable[[Any], Any]


class OrderedMap(NamedTuple):
    """A continuous map at rest, and how fast waves along it grow.

    Args:
        potential: U at distances -1/2, ... of a cell from the place of the stimulus, shape (n_grid,).
        width: integral of f(U): share of the cells that fire for a stimulus.
        rates: of the fastest wave of each number, shape (n_waves,).
    """

    potential: np.ndarray
    width: float
    rates: np.ndarray


def hat_kernel(excitation: float, near: float, inhibition: float, far: float) -> Kernel:
    """w(x) = p G(x; near) - q G(x; far) on a ring of length 1, G Gaussian with integral 1 over the ring.

    Args:
        excitation: p >= 0.
        near: width of the excitation, in (0, 1/2].
        inhibition: q >= 0.
        far: width of the inhibition, in (0, 1/2].

    Raises:
        ValueError: an argument outside its range.
    """
    p, q = check_real("excitation", excitation, 0.0), check_real("inhibition", inhibition, 0.0)
    widths = [check_real(n, w, 0.0, 0.5, open_low=True) for n, w in (("near", near), ("far", far))]
    sums = [w * math.sqrt(2 * math.pi) * math.erf(0.5 / (w * math.sqrt(2))) for w in widths]

    def kernel(x: Any) -> Any:
        one, other = (np.exp(-np.square(x) / (2 * w * w)) / s for w, s in zip(widths, sums, strict=True))
        return p * one - q * other

    return kernel


def learning_kernel(gain: float, ratio: float, blob: float) -> Kernel:
    """k(d) = c (exp(-d^2/(4 b^2)) - lambda): Gaussian blobs of width b and length 1, d apart.

    Args:
        gain: c > 0.
        ratio: lambda in [0, 1).
        blob: b > 0, small against the ring.

    Raises:
        ValueError: an argument outside its range.
    """
    c = check_real("gain", gain, 0.0, open_low=True)
    ratio = check_real("ratio", ratio, 0.0, 1.0, open_high=True)
    b = check_real("blob", blob, 0.0, open_low=True)
    return lambda d: c * (np.exp(-np.square(d) / (4 * b * b)) - ratio)


def band_width(lateral: Kernel, learning: Kernel, resting: float = 0.0) -> float:
    """Width a of the band of an ordered map with a step for f: the stable bump of w + k.

    Args:
        lateral: w.
        learning: k.
        resting: h.

    Raises:
        ValueError: no width below half of the ring at which the band is at rest and its width stable.
    """
    found = bump_widths(lambda x: float(lateral(x) + learning(x)), resting, 0.5, 200)
    stable = [bump.width for bump in found if bump.stable]
    require(len(stable) > 0, "lateral", "leave a band of stable width", "kernels without one")
    return stable[0]


def sharp_wave_rate(lateral: Kernel, learning: Kernel, width: float, phase: Any) -> np.ndarray:
    """Rate of the fastest wave on a band with sharp edges.

    Args:
        lateral: w.
        learning: k.
        width: a > 0.
        phase: 2 pi q a, any shape.

    Raises:
        ValueError: a width that is not positive, or edges that do not settle.
    """
    a = check_real("width", width, 0.0, open_low=True)
    k_0, k_a, w_a = (float(x) for x in (learning(0.0), learning(a), lateral(a)))
    g = k_0 - k_a - w_a
    require(g > abs(w_a), "lateral", "let activities settle", f"edges with g = {g:.3g}, w(a) = {w_a:.3g}")
    half = k_0 * g + k_a * w_a * np.cos(phase)
    square = g * g - w_a * w_a
    mu = (half + np.sqrt(half * half - square * (k_0 * k_0 - k_a * k_a))) / square
    return np.asarray(mu - 1)


def ordered_map(
    lateral: Kernel,
    learning: Kernel,
    softness: float,
    waves: Any,
    *,
    resting: float = 0.0,
    n_grid: int = 128,
) -> OrderedMap:
    """The ordered map for f(u) = 1/(1 + exp(-u/delta)), and the rates of waves.

    Args:
        lateral: w.
        learning: k.
        softness: delta > 0.
        waves: q, integers, shape (n_waves,).
        resting: h.
        n_grid: points on the ring, even, >= 16; their distance must be small against the edges of the band.

    Raises:
        ValueError: an argument outside its range, or kernels without an ordered map whose activities settle.
    """
    delta = check_real("softness", softness, 0.0, open_low=True)
    n = check_integer("n_grid", n_grid, 16)
    require(n % 2 == 0, "n_grid", "be even", n)
    x = np.arange(n) / n
    x = x - np.rint(x)
    w, k = lateral(x) / n, learning(x) / n
    a = band_width(lateral, learning, resting)
    # The even half of the ring, on which a shift of the whole map is no solution.
    fold = np.zeros((n, n // 2 + 1))
    fold[np.arange(n), np.minimum(np.arange(n), n - np.arange(n))] = 1.0
    joint = circulant(w + k)[: n // 2 + 1]

    def excess(u: np.ndarray) -> np.ndarray:
        return joint @ expit(fold @ u / delta) + resting - u

    def slope(u: np.ndarray) -> np.ndarray:
        f = expit(fold @ u / delta)
        return (joint * (f * (1 - f) / delta)) @ fold - np.eye(n // 2 + 1)

    inside = np.clip(0.5 * (1 - erf((np.abs(x[: n // 2 + 1]) - a / 2) * n / 2)), 0.0, 1.0)
    found: Any = root(excess, joint @ (fold @ inside) + resting, jac=slope, tol=1e-12)
    settled = float(np.abs(excess(found.x)).max()) < 1e-9 and found.x[0] > resting > found.x[-1]
    require(settled, "lateral", "leave an ordered map", "kernels without one")
    u = fold @ found.x
    f = expit(u / delta)
    edge = np.sqrt(f * (1 - f) / delta)
    still = np.eye(n) - edge[:, None] * circulant(w) * edge
    rates = []
    for q in np.asarray(waves):
        modulated = circulant(k * np.exp(2j * np.pi * q * x))
        # At half a ring the phase has two values; their mean is real.
        modulated = (modulated + modulated.conj().T) / 2
        try:
            mu: Any = eigh(edge[:, None] * modulated * edge, still, eigvals_only=True)
        except LinAlgError:
            raise ValueError("lateral must let activities settle, got kernels by which they grow.") from None
        rates.append(float(mu[-1]) - 1)
    return OrderedMap(np.roll(u, n // 2), float(f.mean()), np.array(rates))
