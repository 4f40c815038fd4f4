"""Nonlinearities as layers: closed duals, a dual of one's own, and any function by quadrature.

    nngp'(x, x') = pair(nngp; cov1, cov2),        ntk'(x, x') = ntk(x, x') slope(nngp; cov1, cov2)

A nonlinearity needs Gaussian outputs before it; two in a row have no limit of this form, because the outputs
of the first are not Gaussian, and are refused.

Source: Jacot, Gabriel and Hongler 2018, NeurIPS, theorem 1; duals in `_duals`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neuromanifold._base import check_integer, check_real, require
from neuromanifold.theory.wide import _duals
from neuromanifold.theory.wide._duals import Dual, dual
from neuromanifold.theory.wide._kernel import Kernel, pairs_of
from neuromanifold.theory.wide._layer import Layer, Needs, Own
from neuromanifold.theory.wide._masks import layer


def nonlinearity(name: str, function: Callable[[Any], Any], averages: Dual, *, odd: bool = False) -> Layer:
    """A layer from a function and its dual.

    Args:
        name: what it is, for messages.
        function: phi, elementwise.
        averages: its Gaussian averages.
        odd: phi(-u) = -phi(u), which keeps outputs that are zero on average so.
    """

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        if not kernel.is_gaussian:
            raise ValueError(
                f"{name} must follow a layer with Gaussian outputs (Dense or another affine layer), got one "
                "without: two nonlinearities in a row have no infinite limit of this kind."
            )
        one, other = kernel.variances()
        q1, q2 = kernel.across(one, other)
        ntk = None if kernel.ntk is None else kernel.ntk * averages.slope(kernel.nngp, q1, q2)
        return kernel.replace(
            nngp=averages.pair(kernel.nngp, q1, q2),
            ntk=ntk,
            cov1=_own(averages, kernel.cov1, one, kernel.own_full),
            cov2=None if kernel.cov2 is None else _own(averages, kernel.cov2, other, kernel.own_full),
            is_gaussian=False,
            centred=odd and kernel.centred,
        )

    return layer(
        lambda key, input_shape: (input_shape, ()),
        lambda params, inputs, **kwargs: function(inputs),
        transform,
        with_variances,
    )


def with_variances(asked: Needs) -> Needs:
    """What is not linear needs the variance at each position."""
    return Needs(asked.full, max(asked.own, Own.ALONE))


def _own(averages: Dual, covariance: Any, q: Any, full: bool) -> Any:
    """Covariances of an input with itself, behind the nonlinearity."""
    return averages.pair(covariance, *pairs_of(q, q)) if full else averages.single(covariance)


def ABRelu(a: float, b: float, do_stabilize: bool = False) -> Layer:
    """A straight line on either side of zero.

    phi(u) = a min(u, 0) + b max(u, 0) = a u + (b - a) max(u, 0)

    Args:
        a: slope for u < 0.
        b: slope for u > 0.
        do_stabilize: taken for compatibility and not needed.

    Source: Cho and Saul 2009, NeurIPS, equation 6 with n = 1.
    """
    a, b = check_real("a", a), check_real("b", b)
    return nonlinearity(
        "ABRelu", lambda u: a * jnp.minimum(u, 0) + b * jnp.maximum(u, 0), _duals.two_slopes(a, b), odd=a == b
    )


def Relu(do_stabilize: bool = False) -> Layer:
    """The rectifier, phi(u) = max(u, 0).

    pair = sqrt(q q') (sin(theta) + (pi - theta) cos(theta)) / (2 pi),      slope = (pi - theta) / (2 pi)

    Args:
        do_stabilize: taken for compatibility and not needed.

    Source: Cho and Saul 2009, NeurIPS, equation 6 with n = 1.
    """
    return nonlinearity("Relu", jax.nn.relu, _duals.two_slopes(0.0, 1.0))


def LeakyRelu(alpha: float, do_stabilize: bool = False) -> Layer:
    """The rectifier that leaks, phi(u) = alpha min(u, 0) + max(u, 0).

    Args:
        alpha: slope for u < 0.
        do_stabilize: taken for compatibility and not needed.

    Source: as for `ABRelu`.
    """
    return ABRelu(alpha, 1.0)


def Abs(do_stabilize: bool = False) -> Layer:
    """The absolute value, phi(u) = |u|.

    Args:
        do_stabilize: taken for compatibility and not needed.

    Source: as for `ABRelu`.
    """
    return nonlinearity("Abs", jnp.abs, _duals.two_slopes(-1.0, 1.0))


def Sign() -> Layer:
    """The sign of u, +1 at 0.

    pair = (2 / pi) arcsin(c / sqrt(q q'))

    No gradient passes, so that behind it the tangent kernel begins anew.

    Source: Cho and Saul 2009, NeurIPS, equation 6 with n = 0.
    """
    return nonlinearity("Sign", lambda u: jnp.where(u >= 0, jnp.ones_like(u), -1.0), _duals.sign(), odd=True)


def Erf(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """The error function, phi(u) = a erf(b u) + c; the house's `erf` is `Erf(b=2**-0.5)`.

    pair = (2 a^2 / pi) arcsin(2 b^2 c' / sqrt((1 + 2 b^2 q)(1 + 2 b^2 q'))) + c^2,      c' the covariance

    Args:
        a: factor of the function.
        b: factor of its argument.
        c: added.

    Source: Williams 1998, Neural Computation 10:1203, equation 11.
    """
    a, b, c = check_real("a", a), check_real("b", b), check_real("c", c)
    return nonlinearity(
        "Erf", lambda u: a * jax.scipy.special.erf(b * u) + c, _duals.error_function(a, b, c), odd=c == 0
    )


def Sigmoid_like() -> Layer:
    """An error function within .02 of the logistic function, (1 + erf(u / 2.4020563531719796)) / 2.

    Source: as for `Erf`; the scale is that of Novak et al. 2020, ICLR.
    """
    scale = 2.4020563531719796
    return nonlinearity(
        "Sigmoid_like",
        lambda u: (jax.scipy.special.erf(u / scale) + 1) / 2,
        _duals.error_function(0.5, 1 / scale, 0.5),
    )


def Gelu(approximate: bool = False) -> Layer:
    """The Gaussian error linear unit, phi(u) = u Phi(u).

    Args:
        approximate: networks of finite width take the tanh approximation; the kernel is that of u Phi(u).

    Source: Tsuchida et al. 2021, AAAI.
    """
    return nonlinearity("Gelu", lambda u: jax.nn.gelu(u, approximate=approximate), _duals.gelu())


def Sin(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """A wave, phi(u) = a sin(b u + c).

    pair = a^2 (e^(-b^2 (q + q' - 2 c')/2) - cos(2 c) e^(-b^2 (q + q' + 2 c')/2)) / 2,      c' the covariance

    Args:
        a: amplitude.
        b: frequency.
        c: phase.

    Source: the characteristic function of a Gaussian.
    """
    a, b, c = check_real("a", a), check_real("b", b), check_real("c", c)
    return nonlinearity("Sin", lambda u: a * jnp.sin(b * u + c), _duals.sine(a, b, c), odd=c == 0)


def Cos(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """A wave, phi(u) = a cos(b u + c); see `Sin`.

    Args:
        a: amplitude.
        b: frequency.
        c: phase.

    Source: the characteristic function of a Gaussian.
    """
    c = check_real("c", c)
    return Sin(a, b, c + math.pi / 2)


def Rbf(gamma: float = 1.0) -> Layer:
    """Random features of the radial kernel, phi(u) = sqrt(2) sin(sqrt(2 gamma) u + pi / 4).

    pair = exp(-gamma (q + q' - 2 c)),      c the covariance

    Args:
        gamma: rate, >= 0.

    Source: Rahimi and Recht 2007, NeurIPS.
    """
    gamma = check_real("gamma", gamma, 0)
    return Sin(math.sqrt(2.0), math.sqrt(2.0 * gamma), math.pi / 4)


def Exp(a: float = 1.0, b: float = 1.0) -> Layer:
    """An exponential, phi(u) = a exp(b u).

    pair = a^2 exp(b^2 (q + q' + 2 c) / 2),      c the covariance

    Args:
        a: factor.
        b: rate.

    Source: the moments of a log-normal.
    """
    a, b = check_real("a", a), check_real("b", b)
    return nonlinearity("Exp", lambda u: a * jnp.exp(b * u), _duals.exponential(a, b))


def ExpNormalized(gamma: float = 1.0, shift: float = -1.0, do_clip: bool = False) -> Layer:
    """The kernel sqrt(q q') exp(gamma (r + shift)), r = c / sqrt(q q'); it has no network of finite width.

    Args:
        gamma: rate, >= 0.
        shift: added to the correlation.
        do_clip: taken for compatibility; correlations never leave [-1, 1].

    Source: Shankar et al. 2020, ICML, page 6.
    """
    gamma, shift = check_real("gamma", gamma, 0), check_real("shift", shift)

    def pair(c: Any, q1: Any, q2: Any) -> Any:
        root, cos, *_ = _duals.angle(c, q1, q2)
        return root * jnp.exp(gamma * (cos + shift))

    def slope(c: Any, q1: Any, q2: Any) -> Any:
        return gamma * jnp.exp(gamma * (_duals.angle(c, q1, q2)[1] + shift))

    return Elementwise(None, pair, slope)


def Gaussian(a: float = 1.0, b: float = -1.0) -> Layer:
    """A bell, phi(u) = a exp(b u^2).

    pair = a^2 / sqrt((1 - 2 b q)(1 - 2 b q') - 4 b^2 c^2),      c the covariance

    Args:
        a: height.
        b: minus the inverse of twice the squared width, <= 0: else there is no second moment.

    Raises:
        ValueError: b > 0.

    Source: a Gaussian integral.
    """
    a, b = check_real("a", a), check_real("b", b, None, 0)
    return nonlinearity("Gaussian", lambda u: a * jnp.exp(b * u**2), _duals.bell(a, -b))


def Gabor() -> Layer:
    """A wave under a bell, phi(u) = exp(-u^2) sin(u).

    Source: a Gaussian integral.
    """
    return nonlinearity("Gabor", lambda u: jnp.exp(-(u**2)) * jnp.sin(u), _duals.gabor(), odd=True)


def Polynomial(coef: Sequence[float]) -> Layer:
    """A polynomial, phi(u) = sum_k coef[k] u^k.

    Args:
        coef: coefficients, the lowest power first, at least one.

    Raises:
        ValueError: no coefficient, or one that is not finite.

    Source: Wick's theorem.
    """
    values = tuple(check_real(f"coef[{k}]", x) for k, x in enumerate(coef))
    require(len(values) > 0, "coef", "hold at least one coefficient", coef)

    def function(u: Any) -> Any:
        return jnp.polyval(jnp.asarray(values[::-1], u.dtype), u)

    return nonlinearity("Polynomial", function, _duals.polynomial(values), odd=not any(values[::2]))


def Monomial(degree: int) -> Layer:
    """A power, phi(u) = u^degree.

    Args:
        degree: >= 0.

    Source: Wick's theorem.
    """
    degree = check_integer("degree", degree, 0)
    return Polynomial([0.0] * degree + [1.0])


def RectifiedMonomial(degree: int) -> Layer:
    """A power of the rectifier, phi(u) = max(u, 0)^degree.

    pair = (q q')^(degree / 2) J_degree(theta) / (2 pi)

    Args:
        degree: >= 0; 0 is the step function, through which no gradient passes.

    Source: Cho and Saul 2009, NeurIPS, equations 3 to 6.
    """
    degree = check_integer("degree", degree, 0)

    def function(u: Any) -> Any:
        return jnp.where(u > 0, u**degree, 0.0)

    return nonlinearity("RectifiedMonomial", function, _duals.rectified_power(degree))


def Hermite(degree: int) -> Layer:
    """A Hermite polynomial, phi(u) = He_n(u) / sqrt(n!), the probabilists', for inputs of any variance.

    Args:
        degree: n, >= 0.

    Source: Wick's theorem.
    """
    degree = check_integer("degree", degree, 0)
    values = np.polynomial.hermite_e.herme2poly([0.0] * degree + [1.0]) / math.sqrt(math.factorial(degree))
    return Polynomial([float(x) for x in values])


def Elementwise(
    fn: Callable[[Any], Any] | None = None,
    nngp_fn: Callable[[Any, Any, Any], Any] | None = None,
    d_nngp_fn: Callable[[Any, Any, Any], Any] | None = None,
    *,
    odd: bool = False,
) -> Layer:
    """A nonlinearity with a dual of one's own; the tangent kernel follows by automatic differentiation.

    Args:
        fn: phi, elementwise; None where only kernels are wanted.
        nngp_fn: E phi(U) phi(V) from (c, q, q'), elementwise in arrays.
        d_nngp_fn: E phi'(U) phi'(V) from the same; None: the derivative of nngp_fn in c.
        odd: phi(-u) = -phi(u); matters where branches are summed.

    Raises:
        ValueError: no dual.
    """
    if nngp_fn is None:
        raise ValueError(
            "nngp_fn must be given (ElementwiseNumerical finds the dual of a function), got None."
        )

    def function(u: Any) -> Any:
        if fn is None:
            raise ValueError("fn must be given for a network of finite width, got None.")
        return fn(u)

    return nonlinearity("Elementwise", function, dual(nngp_fn, d_nngp_fn), odd=odd)
