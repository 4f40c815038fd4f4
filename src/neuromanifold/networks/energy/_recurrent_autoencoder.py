"""A recurrent auto-encoder that organises itself: weights up, weights down, signals that settle between.

Fast, for an input a:     dh/dt = -h + f(W v - theta),    dv/dt = -v + g(S^T h) + a
Slow, at the settled h, v:   dW/dt = -W + c <h v^T>,      dS/dt = -S + c <h v^T>     over inputs a

W and S are both stored k x n. The difference W - S decays as e^{-t} whatever f, g and the inputs, so that the
decoder becomes the transpose of the encoder. For f = g = identity and W = S the settled signal is
v = (I - W^T W)^{-1} a, which exists while the largest singular value of W is below 1.

The fast signals are settled by iterating h -> f(W v - theta), v -> g(S^T h) + a in turn, which has the same
rest states. Inputs that did not settle are reported, and learning stops on them.

Source: Amari 1983, IEEE Trans. SMC-13:741.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow

ACTIVATIONS = ("identity", "tanh", "step")


class Settled(NamedTuple):
    """Where the fast signals came to rest.

    Args:
        hidden: h, shape (k,).
        visible: v, shape (n,).
        settled: whether they moved by less than the tolerance in the last step.
    """

    hidden: Float[Array, " k"]
    visible: Float[Array, " n"]
    settled: Bool[Array, ""]


class AutoencoderWeights(NamedTuple):
    """What learns.

    Args:
        up: W, shape (k, n).
        down: S, shape (k, n).
    """

    up: Float[Array, "k n"]
    down: Float[Array, "k n"]


class RecurrentAutoencoder(eqx.Module):
    """Two layers that excite each other, and how their weights learn; see the module's header.

    Args:
        encoder: f: "identity", "tanh" or "step" (1 above 0, else 0).
        decoder: g: "identity" or "tanh".
        threshold: theta, a number.
        gain: c > 0; below 1 for a step with an identity, whose amplitude diverges otherwise.
        max_steps: steps after which settling gives up, >= 1.
        tolerance: largest move of a settled signal, > 0.

    Raises:
        ValueError: an argument outside its rule.
    """

    threshold: Float[Array, ""]
    encoder: str = eqx.field(static=True)
    decoder: str = eqx.field(static=True)
    gain: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)

    def __init__(
        self,
        encoder: str = "tanh",
        decoder: str = "identity",
        *,
        threshold: float = 0.0,
        gain: float = 0.5,
        max_steps: int = 2000,
        tolerance: float = 1e-10,
    ) -> None:
        self.encoder = check_choice("encoder", encoder, ACTIVATIONS)
        self.decoder = check_choice("decoder", decoder, ACTIVATIONS[:2])
        self.threshold = jnp.asarray(check_real("threshold", threshold), float)
        self.gain = check_real("gain", gain, 0, open_low=True)
        bounded = not (encoder == "step" and decoder == "identity") or gain < 1
        require(bounded, "gain", "be below 1 for a step with an identity", gain)
        self.max_steps = check_integer("max_steps", max_steps, 1)
        self.tolerance = check_real("tolerance", tolerance, 0, open_low=True)

    def settle(
        self,
        weights: AutoencoderWeights,
        a: Float[Array, " n"],
        hidden: Float[Array, " k"] | None = None,
    ) -> Settled:
        """The rest state for one input, from given hidden signals (zero where None).

        Raises:
            ValueError: identities both ways with a largest singular value of W^T S not below 1, which have no
                stable rest state.
        """
        linear = self.encoder == self.decoder == "identity"
        if linear and not isinstance(weights.up, Tracer) and not isinstance(weights.down, Tracer):
            norm = float(np.linalg.norm(np.asarray(weights.up).T @ np.asarray(weights.down), 2))
            require(norm < 1, "weights", "have a largest singular value of W^T S below 1", norm)
        begin = jnp.zeros(len(weights.up), a.dtype) if hidden is None else jnp.asarray(hidden, a.dtype)

        def visible(h: Array) -> Array:
            return _apply(self.decoder, weights.down.T @ h) + a

        def moving(state: tuple[Array, Array, Array]) -> Array:
            return (state[1] > self.tolerance) & (state[2] < self.max_steps)

        def move(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            h, _, n = state
            moved = _apply(self.encoder, weights.up @ visible(h) - self.threshold)
            return moved, jnp.abs(moved - h).max(), n + 1

        h, change, _ = jax.lax.while_loop(moving, move, (begin, jnp.asarray(jnp.inf, a.dtype), jnp.int32(0)))
        return Settled(h, visible(h), change <= self.tolerance)

    def is_bistable(self, weights: AutoencoderWeights, a: Float[Array, " n"]) -> bool:
        """Whether silent and excited hidden signals come to rest in different states, weights being fixed."""
        silent = self.settle(weights, a)
        excited = self.settle(weights, a, jnp.ones(len(weights.up), a.dtype))
        apart = float(jnp.abs(silent.hidden - excited.hidden).max()) > 1e3 * self.tolerance
        return apart and bool(silent.settled) and bool(excited.settled)

    def learning(self, inputs: Any, weights: Any = None, hidden: Any = None) -> Flow:
        """The slow flow of `AutoencoderWeights`, averaged over inputs.

        Where an input does not settle the velocity is NaN, so that `solve` stops with an error.

        Args:
            inputs: shape (n_inputs, n).
            weights: probabilities of the inputs; None for equal ones.
            hidden: hidden signals from which each input settles, shape (n_inputs, k); None for silence.

        Raises:
            ValueError: inputs that are not finite, or weights that are no probabilities.
        """
        values = check_finite("inputs", inputs)
        require(values.ndim == 2 and len(values) > 0, "inputs", "have shape (n_inputs, n)", values.shape)
        p = np.full(len(values), 1 / len(values)) if weights is None else check_finite("weights", weights)
        fits = p.shape == (len(values),) and np.all(p >= 0) and abs(p.sum() - 1) < 1e-6
        require(fits, "weights", "be probabilities of the inputs", weights)
        start = None if hidden is None else jnp.asarray(check_finite("hidden", hidden), float)
        return Flow(_Learning(self, jnp.asarray(values, float), jnp.asarray(p, float), start))


class _Learning(eqx.Module):
    network: RecurrentAutoencoder
    inputs: Float[Array, "n_inputs n"]
    weights: Float[Array, " n_inputs"]
    hidden: Float[Array, "n_inputs k"] | None

    def __call__(self, t: Any, w: Any) -> Any:
        begin = self.hidden
        if begin is None:
            begin = jnp.zeros((len(self.inputs), len(w.up)), self.inputs.dtype)
        rest = jax.vmap(lambda a, h: self.network.settle(w, a, h))(self.inputs, begin)
        moment = (self.weights[:, None] * rest.hidden).T @ rest.visible
        moment = jnp.where(rest.settled.all(), moment, jnp.nan)
        gain = self.network.gain
        return AutoencoderWeights(-w.up + gain * moment, -w.down + gain * moment)


def _apply(name: str, u: Array) -> Array:
    if name == "step":
        return (u > 0).astype(u.dtype)
    return jnp.tanh(u) if name == "tanh" else u
