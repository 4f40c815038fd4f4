"""The layers' Jacobians multiplied: back-propagated errors, and how far their Gram matrix is from isotropic.

J = B^L ... B^1,  B = diag(phi'(u)) W. For fixed i, j and n -> infinity the entries of J^T J are

    (J^T J)_ij = M (delta_ij + O(1/sqrt n)),      M = prod_l chi_1(q_l)                   ("domino")

and errors sent back, delta^{l-1} = B^T delta^l, keep |delta^{l-1}|^2 = chi_1 |delta^l|^2 on average. How
large the deviations are follows from the same independence of the units of a layer, given the layer below:
with a_i = |e_i|^2 and c = e_i.e_j of two columns of J so far, one more layer gives c' of mean chi_1 c and
variance sigma_w^4 E phi'^4 a_i a_j / n, and a_i' of which the part that differs between columns has variance
2 sigma_w^4 E phi'^4 a_i^2 / n. Relative to M they add up,

    n E (J^T J)_ij^2 / M^2 = R,   n Var_i (J^T J)_ii / M^2 = 2 R,
    R = sum_l E phi'(u_l)^4 / (E phi'(u_l)^2)^2,

to first order in 1/n. No summand is below 1: deviations grow with depth, and J^T J is never a multiple of the
identity as a matrix; its spectrum is that of `jacobian_spectrum`.

Source: Schoenholz et al. (2017), section 4; Amari, Karakida and Oizumi (2019). The spread is derived here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import refuse_jumps, second_moment
from neuromanifold.theory.meanfield._precision import as_real
from neuromanifold.theory.meanfield._quadrature import line_rule, safe_sqrt


class JacobianState(NamedTuple):
    """Statistics of J^T J of the layers so far.

    Args:
        activity: A = |x|^2/n of the signal at which the Jacobian is taken.
        mean: M, the mean of the diagonal of J^T J, and of |delta^0|^2/|delta^L|^2.
        spread: R; an entry off the diagonal has variance M^2 R/n, one on it 2 M^2 R/n about the mean of its
            network.
    """

    activity: Float[Array, ""]
    mean: Float[Array, ""]
    spread: Float[Array, ""]


class JacobianLayer(eqx.Module):
    """One layer's map of the statistics of J^T J."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, activity: ArrayLike) -> JacobianState:
        """Start from a signal of activity A >= 0 and J the identity."""
        del key
        a = as_real("activity", activity, 0.0)
        return JacobianState(a, jnp.ones_like(a), jnp.zeros_like(a))

    def step(self, key: Any, t: Any, state: JacobianState) -> tuple[JacobianState, Float[Array, ""]]:
        """The statistics one layer on and, as information, chi_1."""
        del key, t
        s_w, s_b = (s.astype(state.mean.dtype) for s in (self.sigma_w, self.sigma_b))
        q = s_w**2 * state.activity + s_b**2
        z, w = line_rule(q, self.phi.kinks)
        squared = self.phi.derivative(safe_sqrt(q) * z) ** 2
        second, fourth = jnp.sum(w * squared), jnp.sum(w * squared**2)
        spread = state.spread + fourth / second**2
        chi = s_w**2 * second
        return JacobianState(second_moment(self.phi, q), chi * state.mean, spread), chi


def jacobian_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """Mean and spread of the entries of J^T J through layers, as a process on `JacobianState`.

    Begins with the activity of the signal.

    Args:
        phi: a continuous activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation that jumps.
    """
    refuse_jumps(phi, "the Jacobian")
    layer = JacobianLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)
