"""The singular values of the input-output Jacobian of a wide random network (dynamical isometry).

J = B^L ... B^1, B = D W, D = diag(phi'(u)), u ~ N(0, q) in every layer, W with independent Gaussian entries
of variance sigma_w^2/n or sigma_w times an orthogonal matrix. As n -> infinity the factors are free and the
eigenvalues of J J^T have a law whose S-transform is the product of theirs. With

    M_D(y) = E d / (y - d),  d = phi'(u)^2,    S_W(x) = 1 / (sigma_w^2 (1 + x)) or 1 / sigma_w^2,

the transform M(z) = E lambda / (z - lambda) of the law of J J^T is found from a subordinate variable y:

    x = M_D(y) = M(z),    z = y^L (x / (1 + x))^(L-1) S_W(x)^(-L),    density = -Im (1 + x) / (pi z)

at z = lambda + i0. The root y is followed from large Im z down to the axis, where it is unique in the upper
half plane. On the real axis beyond the law, z is least at its upper edge. Moments:

    m_1 = (sigma_w^2 E d)^L,    m_2 / m_1^2 = 1 + L (E d^2 / (E d)^2 - 1 + s),   s = 1 Gaussian, 0 orthogonal.

Units with phi' = 0 leave a share of zeros. Orthogonal weights and a slope that takes its largest value d_max
with probability p leave a share 1 - L (1 - p), if positive, exactly at (sigma_w^2 d_max)^L.

Linear units: Gaussian weights have the edge (L+1)^(L+1)/L^L, orthogonal ones all eigenvalues at sigma_w^(2L).

Source: Pennington, Schoenholz and Ganguli (2017, 2018).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import refuse_jumps
from neuromanifold.theory.meanfield._quadrature import line_rule, safe_sqrt

_SHRINK, _NEWTON = 0.7, 6


class JacobianSpectrum(NamedTuple):
    """Eigenvalues of J J^T: squared singular values of the Jacobian.

    Args:
        mean: m_1.
        second_moment: m_2; m_2/m_1^2 - 1 is the relative variance.
        upper_edge: the largest eigenvalue.
        zero_share: share of eigenvalues that are 0.
        top_share: share of eigenvalues that equal `upper_edge` exactly.
        eigenvalues: where the density was asked for.
        density: of the remaining eigenvalues; integrates to 1 - zero_share - top_share.
    """

    mean: float
    second_moment: float
    upper_edge: float
    zero_share: float
    top_share: float
    eigenvalues: np.ndarray
    density: np.ndarray


def _slopes(phi: Activation, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities of phi'(u)^2, equal ones put together."""
    with jax.enable_x64(True):
        q = jnp.asarray(length, jnp.float64)
        z, w = line_rule(q, phi.kinks)
        squared = np.asarray(phi.derivative(safe_sqrt(q) * z) ** 2)
    weights = np.asarray(w)
    kept = weights > 1e-18
    values, group = np.unique(squared[kept], return_inverse=True)
    shares = np.bincount(group, weights[kept])
    return values, shares / shares.sum()


class _Law:
    """z as a function of the subordinate variable."""

    def __init__(self, phi: Activation, length: float, depth: int, scale: float, gaussian: bool):
        self.values, self.shares = _slopes(phi, length)
        self.depth, self.scale, self.gaussian = depth, scale, gaussian

    def transform(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """M_D(y) and its derivative."""
        inverse = 1.0 / (y[:, None] - self.values[None, :])
        weight = self.shares * self.values
        return inverse @ weight, -(inverse**2) @ weight

    def log_z(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log z at y = exp(s), its derivative in s, and x."""
        y = np.exp(s)
        x, slope = self.transform(y)
        n, other = self.depth, 1 if self.gaussian else 1 - self.depth
        value = n * s + (n - 1) * np.log(x) + other * np.log1p(x) + n * math.log(self.scale)
        return value, n + ((n - 1) / x + other / (1 + x)) * slope * y, x

    def upper_edge(self) -> float:
        """The least z of y beyond the largest slope."""
        top = math.log(float(self.values[-1]))

        def outside(r: float) -> float:
            return float(self.log_z(np.array([top + math.exp(r)]))[0][0])

        found = minimize_scalar(outside, bounds=(-30.0, 5.0), method="bounded", options={"xatol": 1e-10})
        return math.exp(min(float(found.fun), outside(-30.0)))

    def density(self, at: np.ndarray, edge: float) -> np.ndarray:
        """-Im (1 + M(z)) / (pi z) just above the axis."""
        height = 100.0 * edge + at
        mean = float(self.shares @ self.values)
        # Far away x = E d / y, and z is a multiple of y.
        s = np.log(at + 1j * height) - (self.depth - 1) * math.log(mean) - self.depth * math.log(self.scale)
        n_steps = math.ceil(math.log(1e-6 * float((at / height).min())) / math.log(_SHRINK))
        reached, moving = height.copy(), np.ones(at.size, bool)
        for step in range(n_steps + 1):
            level = height * _SHRINK**step
            trial, moved, target = s, np.zeros_like(s), np.log(at + 1j * level)
            for _ in range(_NEWTON if step else 5 * _NEWTON):
                value, slope, _ = self.log_z(trial)
                moved = (value - target) / slope
                trial = trial - moved
            # Beyond the law's support y runs into the real axis; such a point stays at its last height.
            moving &= (np.abs(moved) < 1e-6) & (np.imag(trial) > 0)
            s, reached = np.where(moving, trial, s), np.where(moving, level, reached)
        blur = reached / np.maximum(at, 1e-4 * edge)
        rule = "be ones whose density is known over less than 2 % of them, or of 1e-4 of the largest"
        require(blur.max() < 0.02, "eigenvalues", rule, float(at[np.argmax(blur)]))
        x = self.log_z(s)[2]
        return np.maximum(-((1 + x) / (at + 1j * reached)).imag / math.pi, 0.0)


def jacobian_spectrum(
    phi: Activation,
    length: float,
    depth: int,
    *,
    sigma_w: float,
    weights: str = "gaussian",
    eigenvalues: ArrayLike = (),
) -> JacobianSpectrum:
    """The law of the eigenvalues of J J^T after some layers, all with units of variance q.

    Args:
        phi: a continuous activation.
        length: q > 0, the fixed point as a rule; 0 for the linear regime.
        depth: L >= 1.
        sigma_w: standard deviation of sqrt(n) W_ij, > 0.
        weights: "gaussian" or "orthogonal".
        eigenvalues: where the density is wanted, > 0, shape (m,).

    Raises:
        ValueError: an argument outside its range; an activation that jumps; a density asked for where the law
            has none (orthogonal weights with one slope; orthogonal weights and one layer, whose eigenvalues
            are sigma_w^2 phi'(u)^2).

    >>> from neuromanifold.theory.meanfield import activation, jacobian_spectrum
    >>> linear = jacobian_spectrum(activation("linear"), 1.0, 10, sigma_w=1.0)
    >>> round(linear.upper_edge, 5), round(linear.second_moment, 6)    # 11^11 / 10^10
    (28.53117, 11.0)
    """
    refuse_jumps(phi, "the Jacobian")
    length = check_real("length", length, 0.0)
    depth = check_integer("depth", depth, 1)
    scale = check_real("sigma_w", sigma_w, 0.0, open_low=True) ** 2
    gaussian = check_choice("weights", weights, ("gaussian", "orthogonal")) == "gaussian"
    at = check_finite("eigenvalues", np.asarray(eigenvalues, np.float64))
    require(at.ndim == 1, "eigenvalues", "have shape (m,)", at.shape)
    require(at.size == 0 or at.min() > 0, "eigenvalues", "be positive", float(at.min()) if at.size else 0.0)
    law = _Law(phi, length, depth, scale, gaussian)
    first, second = (float(law.shares @ law.values**k) for k in (1, 2))
    require(first > 0, "activation", "have a slope somewhere", phi.name)
    mean = (scale * first) ** depth
    relative = depth * (second / first**2 - 1.0 + gaussian)
    zero = float(law.shares[law.values == 0].sum())
    single = law.values.size - (zero > 0) == 1
    top = float(law.shares[-1]) if single and not gaussian else 0.0
    top_share = max(0.0, 1.0 - depth * (1.0 - top)) if top else 0.0
    edge = (scale * float(law.values[-1])) ** depth if top_share else law.upper_edge()
    if at.size:
        rule = "be 'gaussian' for a law with a density, or more than one layer and slope be there"
        require(gaussian or (depth > 1 and law.values.size > 1), "weights", rule, weights)
    density = law.density(at, edge) if at.size else np.zeros(0)
    return JacobianSpectrum(mean, mean**2 * (1.0 + relative), edge, zero, top_share, at, density)
