"""How the theory sees an activation: a function, its derivative, and the places where it is not smooth.

Mean-field theory needs an activation only through Gaussian averages of phi, phi' and their products. Those
averages exist when phi grows slower than exp(u^2 / 4q) for every variance q that can occur; they are
accurate when the quadrature is cut at the kinks (jumps of phi or of phi'), which therefore are declared.

Convention of the named ones: `erf` is u -> erf(u / sqrt 2) = 2 Phi(u) - 1, so that all averages have closed
forms without stray factors; `step` is 1 for u > 0 and 0 otherwise; `sign` of 0 is +1.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuromanifold._base import check_choice, check_real, require


@dataclasses.dataclass(frozen=True)
class Activation:
    """An activation as the theory sees it; made by `activation`.

    Args:
        function: phi, elementwise on arrays of any shape.
        derivative: phi', elementwise; between kinks only.
        kinks: positions in increasing order where phi or phi' jumps.
        jumps: whether phi itself jumps at a kink; phi' then is no function, and chi_1 is infinite.
        name: a word for messages.
    """

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    kinks: tuple[float, ...]
    jumps: bool
    name: str

    def __call__(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """phi(u)."""
        return self.function(u)


def _erf(u: Array) -> Array:
    return jax.scipy.special.erf(u / math.sqrt(2.0))


def _erf_derivative(u: Array) -> Array:
    return math.sqrt(2.0 / math.pi) * jnp.exp(-0.5 * u * u)


def _tanh_derivative(u: Array) -> Array:
    return 1.0 - jnp.tanh(u) ** 2


def _relu(u: Array) -> Array:
    return jnp.maximum(u, 0.0)


def _step(u: Array) -> Array:
    return jnp.where(u > 0, jnp.ones_like(u), 0.0)


def _sign(u: Array) -> Array:
    return jnp.where(u >= 0, jnp.ones_like(u), -1.0)


def _identity(u: Array) -> Array:
    return u


_NAMED = {
    "erf": Activation(_erf, _erf_derivative, (), False, "erf"),
    "linear": Activation(_identity, jnp.ones_like, (), False, "linear"),
    "relu": Activation(_relu, _step, (0.0,), False, "relu"),
    "sign": Activation(_sign, jnp.zeros_like, (0.0,), True, "sign"),
    "step": Activation(_step, jnp.zeros_like, (0.0,), True, "step"),
    "tanh": Activation(jnp.tanh, _tanh_derivative, (), False, "tanh"),
}

# Where growth is looked at: exp(u^2) at the larger point, exp(676), still is a float64.
_NEAR, _FAR = 13.0, 26.0


def _check_growth(name: str, function: Callable[[Any], Any], kinks: tuple[float, ...]) -> bool:
    """Refuse phi without second moment under every Gaussian; return whether phi jumps at a kink."""
    points = np.concatenate([np.linspace(-_FAR, _FAR, 105), np.asarray(kinks, dtype=np.float64)])
    with jax.enable_x64(True):
        values = np.asarray(function(jnp.asarray(points)))
        beside = [
            np.asarray(function(jnp.asarray([k - 1e-9 * (1 + abs(k)), k + 1e-9 * (1 + abs(k))])))
            for k in kinks
        ]
    require(
        values.shape == points.shape, name, "act elementwise and keep the shape of its argument", values.shape
    )
    require(values.dtype.kind == "f", name, "return real floating-point numbers", str(values.dtype))
    bad = points[~np.isfinite(values)]
    require(bad.size == 0, name, "be finite on [-26, 26]", f"a value that is not at u = {bad[:1]}")
    for side in (-1.0, 1.0):
        near, far = (float(np.abs(values[points == side * u])[0]) for u in (_NEAR, _FAR))
        rates = [math.log(max(v, 1.0)) / u**2 for v, u in ((near, _NEAR), (far, _FAR))]
        # log|phi| / u^2 falls to zero for anything slower than a Gaussian and stays for exp(a u^2).
        grows = rates[1] > 1e-6 and rates[1] > 0.75 * rates[0]
        require(
            not grows,
            name,
            "have a finite second moment under every Gaussian",
            f"growth like exp({rates[1]:.3g} u^2)",
        )
    return any(abs(float(pair[1] - pair[0])) > 1e-6 * (1.0 + abs(float(pair[0]))) for pair in beside)


def activation(
    function: str | Activation | Callable[[Any], Any],
    *,
    kinks: Sequence[float] = (),
    derivative: Callable[[Any], Any] | None = None,
    name: str = "",
) -> Activation:
    """An activation for the theory, from its name or from any elementwise function.

    Args:
        function: "erf", "linear", "relu", "sign", "step" or "tanh"; or an elementwise JAX function; or an
            `Activation`, which is returned as it is.
        kinks: every position where the function or its first derivative jumps. An undeclared kink costs
            accuracy, which the error estimates of the quadrature then show.
        derivative: its derivative between kinks; by automatic differentiation when None.
        name: a word for messages; the function's own name when empty.

    Raises:
        ValueError: unknown name; the function is not elementwise, not finite, or has no finite second moment
            under a Gaussian (exp(x^2), for one).
    """
    if isinstance(function, Activation):
        return function
    if isinstance(function, str):
        return _NAMED[check_choice("activation", function, tuple(_NAMED))]
    name = name or getattr(function, "__name__", "activation")
    places = tuple(sorted({check_real(f"kinks[{i}]", k) for i, k in enumerate(kinks)}))
    jumps = _check_growth(f"activation {name}", function, places)

    def slope(u: Array) -> Array:
        return jax.jvp(function, (u,), (jnp.ones_like(u),))[1]

    return Activation(function, slope if derivative is None else derivative, places, jumps, name)
