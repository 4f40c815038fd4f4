"""Dropout, residual connections, batch normalisation and convolution, seen through the same order parameters.

Dropout keeps a unit with probability rho and divides it by rho, independently for two inputs (or for two
passes of one input), so that with A, C activity and overlap

    q = sigma_w^2 A / rho + sigma_b^2,   c = sigma_w^2 C + sigma_b^2
    A' = E phi(U)^2,   C' = E phi(U) phi(V):

identical inputs part, c = q is no fixed point, and there is no edge of chaos. (Schoenholz et al. 2017,
section 5.)

A residual block x' = x + V phi(W x + b), with V_ij ~ N(0, sigma_v^2/n), adds what it makes:

    A' = A + sigma_v^2 E phi(U)^2,   D' = D + sigma_v^2 E (phi(U) - phi(V))^2,   g' = (1 + sigma_v^2 chi_1) g.

The activity grows without end, neither order nor chaos is reached exponentially. (Yang and Schoenholz 2017.)

Batch normalisation before phi, over a large batch whose pairs have the same overlap, makes every unit N(0, 1)
over the batch whatever came in; the examples' overlap is (E phi)^2, and gradients grow each layer by

    E phi'(z)^2 / Var phi(z)  >= 1,

by Poincare's inequality, with equality for linear phi alone: pi / (pi - 1) for ReLU. (Yang et al. 2019.)

A convolution over n positions on a ring with a window of weights v_b >= 0, sum v_b = 1, maps the covariance
between positions as C' -> phi, then the window along both positions at once. Fourier modes of a deviation
from the fixed point decouple: mode k (of its diagonal, lag by lag) has slope lambda_k chi_c with lambda_k =
sum_b v_b cos(2 pi k b/n). A window with all weight in its middle (delta-orthogonal) has lambda_k = 1: every
mode travels as deep as that of fully connected layers. (Xiao et al. 2018, section 2.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import check_choice, check_finite, check_integer, require
from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._fixed_points import depth_scale
from neuromanifold.theory.meanfield._maps import (
    check_pair,
    pair_moments,
    pair_step,
    refuse_jumps,
    second_moment,
    slope_moment,
)
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced
from neuromanifold.theory.meanfield._quadrature import angle_of, line_rule


class DropoutState(NamedTuple):
    """Order parameters of two passes before units are dropped: activities and overlap, of one shape."""

    activity_1: Float[Array, "..."]
    activity_2: Float[Array, "..."]
    overlap: Float[Array, "..."]


class DropoutLayer(eqx.Module):
    """One layer's map of activities and overlap with dropped inputs."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    keep: Float[Array, ""]

    def init(self, key: Any, start: Any) -> DropoutState:
        """Start from (A_x, A_y, C), |C| <= sqrt(A_x A_y)."""
        del key
        a_1, a_2 = as_real("activity_1", start[0], 0.0), as_real("activity_2", start[1], 0.0)
        overlap = as_real("overlap", start[2])
        if not is_traced(a_1, a_2, overlap):
            limit = np.sqrt(np.asarray(a_1) * np.asarray(a_2)) * (1 + 1e-5)
            fits = np.all(np.abs(np.asarray(overlap)) <= limit)
            require(fits, "overlap", "lie within sqrt(A_x A_y) of zero", np.asarray(overlap).tolist())
        return DropoutState(*jnp.broadcast_arrays(a_1, a_2, overlap))

    def step(self, key: Any, t: Any, state: DropoutState) -> tuple[DropoutState, None]:
        """The order parameters one layer on."""
        del key, t
        kind = state.overlap.dtype
        w2, b2, keep = (x.astype(kind) for x in (self.sigma_w**2, self.sigma_b**2, self.keep))

        def one(row: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            q_1, q_2, c = w2 * row[0] / keep + b2, w2 * row[1] / keep + b2, w2 * row[2] + b2
            overlap = pair_moments(self.phi, q_1, q_2, angle_of(q_1, q_2, c))[0]
            return second_moment(self.phi, q_1), second_moment(self.phi, q_2), overlap

        rows = tuple(x.ravel() for x in state)
        new = jax.lax.map(one, rows, batch_size=min(64, rows[0].size))
        return DropoutState(*(x.reshape(state.overlap.shape) for x in new)), None


def dropout_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike, keep: ArrayLike) -> Process:
    """Two passes through layers whose inputs are dropped independently, as a process on `DropoutState`.

    Begins with (A_x, A_y, C); (A, A, A) for two passes of one input.

    Args:
        phi: the activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.
        keep: rho, probability that a unit is kept, in (0, 1].

    Raises:
        ValueError: an argument outside its range.
    """
    rho = as_real("keep", keep, 0.0, 1.0, open_low=True)
    layer = DropoutLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0), rho)
    return Process(layer.init, layer.step)


class ResidualState(NamedTuple):
    """Order parameters of two inputs of a residual network, and its metric.

    Args:
        activity_1: A_x.
        activity_2: A_y.
        distance: D = |x - y|^2/n.
        metric: g at x; 1 at the input.
    """

    activity_1: Float[Array, ""]
    activity_2: Float[Array, ""]
    distance: Float[Array, ""]
    metric: Float[Array, ""]


class ResidualLayer(eqx.Module):
    """One residual block's map."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    sigma_v: Float[Array, ""]

    def init(self, key: Any, pair: Any) -> ResidualState:
        """Start from (A_x, A_y, D)."""
        del key
        a_1, a_2 = as_real("activity_1", pair[0], 0.0), as_real("activity_2", pair[1], 0.0)
        d = as_real("distance", pair[2], 0.0)
        check_pair(a_1, a_2, d)
        return ResidualState(a_1, a_2, d, jnp.ones_like(d))

    def step(self, key: Any, t: Any, state: ResidualState) -> tuple[ResidualState, None]:
        """The order parameters after one more block."""
        del key, t
        kind = state.distance.dtype
        s_w, s_b, v2 = (x.astype(kind) for x in (self.sigma_w, self.sigma_b, self.sigma_v**2))
        made = pair_step(self.phi, s_w, s_b, (state.activity_1, state.activity_2, state.distance))
        a_1, a_2, d = (old + v2 * new for old, new in zip(state[:3], made, strict=True))
        chi = s_w**2 * slope_moment(self.phi, s_w**2 * state.activity_1 + s_b**2)
        return ResidualState(a_1, a_2, d, (1.0 + v2 * chi) * state.metric), None


def residual_process(
    phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike, sigma_v: ArrayLike
) -> Process:
    """Two inputs through residual blocks, as a process on `ResidualState`; begins with (A_x, A_y, D).

    Args:
        phi: a continuous activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.
        sigma_v: standard deviation of sqrt(n) V_ij, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation that jumps.
    """
    refuse_jumps(phi, "the metric")
    scales = (
        as_real(n, x, 0.0) for n, x in (("sigma_w", sigma_w), ("sigma_b", sigma_b), ("sigma_v", sigma_v))
    )
    layer = ResidualLayer(phi, *scales)
    return Process(layer.init, layer.step)


@double_precision
def batch_norm_explosion(phi: Activation) -> Float[Array, ""]:
    """Growth of squared gradients per layer under batch normalisation: E phi'^2 / Var phi, z ~ N(0, 1).

    Raises:
        ValueError: an activation that jumps.

    >>> from neuromanifold.theory.meanfield import activation, batch_norm_explosion
    >>> f"{batch_norm_explosion(activation('relu')):.4f}"    # pi / (pi - 1)
    '1.4669'
    """
    refuse_jumps(phi, "the gradient")
    one = jnp.ones(())
    z, w = line_rule(one, phi.kinks)
    values = phi.function(z)
    variance = jnp.sum(w * values**2) - jnp.sum(w * values) ** 2
    return slope_moment(phi, one) / variance


def window_modes(n_positions: int, half_width: int, kind: str = "uniform") -> np.ndarray:
    """lambda_k of a window of 2 h + 1 weights on a ring of n positions, k = 0 ... n - 1.

    Args:
        n_positions: n >= 2 h + 1.
        half_width: h >= 0.
        kind: "uniform" weights 1/(2 h + 1); "delta" all weight in the middle.

    Raises:
        ValueError: an argument outside its range.
    """
    half = check_integer("half_width", half_width, 0)
    n = check_integer("n_positions", n_positions, 2 * half + 1)
    if check_choice("kind", kind, ("uniform", "delta")) == "delta":
        return np.ones(n)
    offsets = np.arange(-half, half + 1)
    return np.cos(2 * math.pi / n * np.outer(np.arange(n), offsets)).mean(1)


def mode_depth_scales(modes: ArrayLike, slope: float) -> np.ndarray:
    """Layers -1 / ln(lambda_k chi) over which Fourier modes of a deviation shrink by e.

    Args:
        modes: lambda_k of `window_modes`, in [-1, 1].
        slope: chi_c (between positions) or chi_q (of lengths) at the fixed point, >= 0.

    Raises:
        ValueError: a mode outside [-1, 1].
    """
    values = check_finite("modes", np.asarray(modes, np.float64))
    require(np.all(np.abs(values) <= 1 + 1e-12), "modes", "lie in [-1, 1]", values.tolist())
    with jax.enable_x64(True):
        return np.asarray(depth_scale(jnp.asarray(values * slope)))
