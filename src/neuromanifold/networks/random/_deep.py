"""A random deep network: signals through layers of random weights, where depth is time.

    u_i = sum_j W_ij x_j + b_i,   x'_i = phi(u_i),   W_ij ~ N(0, sigma_w^2 / n),   b_i ~ N(0, sigma_b^2)

with n the width of the layer below. Weights are drawn from the key of the step and forgotten with it: memory
holds one layer, whatever the depth. Several inputs go through the same weights, one row each.

Variants: orthogonal weights, W = sigma_w O with O uniform on the orthogonal group (Saxe, McClelland and
Ganguli 2014), whose entries have the same variance; weights drawn once and reused at every step, which makes
the network recurrent (Amari 1972; Sompolinsky, Crisanti and Sommers 1988).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import Process


class Weights(NamedTuple):
    """Weights and biases of one layer, padded to the largest width."""

    weight: Float[Array, "n_units n_units"]
    bias: Float[Array, " n_units"]


class SignalState(NamedTuple):
    """Signals at one depth.

    Args:
        signal: one input a row, padded with zeros to the largest width.
        n_units: width n of the layer the signal is in.
        weights: the weights that are used again at every step; None where they are fresh.
    """

    signal: Float[Array, "n_inputs n_units"]
    n_units: Int[Array, ""]
    weights: Weights | None


class RandomDeepNetwork(eqx.Module):
    """The layers of a random deep network; `random_deep_network` makes the process.

    Args:
        phi: activation, an elementwise function.
        sigma_w: standard deviation of sqrt(n) W_ij.
        sigma_b: standard deviation of the biases.
        widths: width of the input and of every layer; the last one goes on for ever.
        n_inputs: width of the input.
        size: the largest width.
        orthogonal: weights sigma_w O instead of Gaussian ones.
        reused: the same weights at every step.
    """

    phi: Callable[[Any], Any] = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]
    widths: Int[Array, " n_widths"]
    n_inputs: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    orthogonal: bool = eqx.field(static=True)
    reused: bool = eqx.field(static=True)

    def draw(self, key: Key[Array, ""], n_inputs: Int[Array, ""], dtype: Any) -> Weights:
        """Weights of a layer with a number of inputs, and biases."""
        scale, spread = self.sigma_w.astype(dtype), self.sigma_b.astype(dtype)
        if self.orthogonal:
            key_w, key_b = jax.random.split(key)
            weight = scale * jax.random.orthogonal(key_w, self.size, dtype=dtype)
            return Weights(weight, spread * jax.random.normal(key_b, (self.size,), dtype))
        # One draw for both: a second generator would double the time to compile.
        normal = jax.random.normal(key, (self.size + 1, self.size), dtype)
        return Weights(normal[1:] * (scale / jnp.sqrt(n_inputs.astype(dtype))), spread * normal[0])

    def init(self, key: Key[Array, ""], x0: ArrayLike) -> SignalState:
        """Begin with inputs of shape (n_inputs, n) or one input of shape (n,)."""
        signal = jnp.asarray(x0, jnp.result_type(float))
        require(signal.ndim in (1, 2), "x0", "have shape (n_inputs, n) or (n,)", signal.shape)
        signal = jnp.atleast_2d(signal)
        given = signal.shape[-1]
        rule = f"have as many entries as the input layer has units, {self.n_inputs}"
        require(given == self.n_inputs, "x0", rule, given)
        signal = jnp.pad(signal, ((0, 0), (0, self.size - given)))
        weights = self.draw(key, self.widths[0], signal.dtype) if self.reused else None
        return SignalState(signal, self.widths[0], weights)

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], state: SignalState
    ) -> tuple[SignalState, Float[Array, " n_inputs"]]:
        """The next layer; the information is |u|^2/n of each input."""
        layer = self.draw(key, state.n_units, state.signal.dtype) if state.weights is None else state.weights
        n_units = self.widths[jnp.minimum(t + 1, self.widths.size - 1)]
        u = state.signal @ layer.weight.T + layer.bias[None, :]
        present = (jnp.arange(self.size) < n_units)[None, :]
        length = jnp.sum(jnp.where(present, u, 0.0) ** 2, axis=1) / n_units
        # A masked unit is zero, so that it reaches neither the next layer nor an observable.
        return SignalState(jnp.where(present, self.phi(u), 0.0), n_units, state.weights), length


def random_deep_network(
    phi: Callable[[Any], Any],
    widths: int | Sequence[int],
    *,
    sigma_w: float,
    sigma_b: float,
    weights: str = "gaussian",
    mode: str = "fresh",
) -> Process:
    """Signals through a random deep network, as a process on `SignalState` whose steps are layers.

    Args:
        phi: activation, any elementwise JAX function.
        widths: n for layers of equal width; or the widths of the input and of each layer in turn, the last of
            which is kept from there on.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.
        sigma_b: standard deviation of the biases, >= 0.
        weights: "gaussian" or "orthogonal" (equal widths only).
        mode: "fresh" draws new weights for every layer, "reused" uses the first for all (equal widths only).

    Raises:
        ValueError: a width below 1, a negative sigma, or unequal widths where equal ones are needed.
    """
    listed = (widths,) if isinstance(widths, int | np.integer) else tuple(widths)
    require(len(listed) > 0, "widths", "hold at least one width", widths)
    sizes = [
        check_integer("widths" if len(listed) == 1 else f"widths[{i}]", n, 1) for i, n in enumerate(listed)
    ]
    check_choice("weights", weights, ("gaussian", "orthogonal"))
    check_choice("mode", mode, ("fresh", "reused"))
    equal = len(set(sizes)) == 1
    require(equal or weights == "gaussian", "widths", "be equal for orthogonal weights", tuple(sizes))
    require(equal or mode == "fresh", "widths", "be equal for weights that are reused", tuple(sizes))
    network = RandomDeepNetwork(
        phi=phi,
        sigma_w=jnp.asarray(check_real("sigma_w", sigma_w, 0.0)),
        sigma_b=jnp.asarray(check_real("sigma_b", sigma_b, 0.0)),
        widths=jnp.asarray(sizes, jnp.int32),
        n_inputs=sizes[0],
        size=max(sizes),
        orthogonal=weights == "orthogonal",
        reused=mode == "reused",
    )
    return Process(network.init, network.step)


def activities(state: SignalState) -> Float[Array, " n_inputs"]:
    """A = |x|^2 / n of each input."""
    return jnp.sum(state.signal**2, axis=-1) / state.n_units


def overlaps(state: SignalState) -> Float[Array, "n_inputs n_inputs"]:
    """C = x . y / n of all pairs of inputs."""
    return state.signal @ state.signal.T / state.n_units


def correlations(state: SignalState) -> Float[Array, "n_inputs n_inputs"]:
    """Cosine x . y / (|x| |y|) of all pairs; NaN where a signal has died."""
    norm = jnp.sqrt(jnp.sum(state.signal**2, axis=-1))
    return state.signal @ state.signal.T / (norm[:, None] * norm[None, :])


def distances(state: SignalState) -> Float[Array, "n_inputs n_inputs"]:
    """D = |x - y|^2 / n of all pairs, from the differences themselves."""
    rows = state.signal

    def against(one: Array) -> Array:
        return jnp.sum((rows - one[None, :]) ** 2, axis=-1)

    return jax.lax.map(against, rows) / state.n_units


def distances_from_first(state: SignalState) -> Float[Array, " n_others"]:
    """D = |x - y|^2 / n of every other input y from the first, x."""
    return jnp.sum((state.signal[1:] - state.signal[:1]) ** 2, axis=-1) / state.n_units


def sphere_inputs(
    key: Key[Array, ""], n_units: int, activity: float, overlap_matrix: npt.ArrayLike
) -> Float[Array, "n_inputs n_units"]:
    """Inputs in random directions with exactly given activity and correlations.

    Args:
        key: a typed key.
        n_units: n, at least the number of inputs.
        activity: A = |x|^2/n > 0 of every input.
        overlap_matrix: correlations x . y/(|x||y|), symmetric, positive semidefinite, ones on the diagonal.

    Raises:
        ValueError: no such vectors exist.
    """
    check_real("activity", activity, 0.0, open_low=True)
    gram = np.asarray(overlap_matrix, dtype=np.float64)
    count = check_integer("n_units", n_units, 1)
    require(gram.ndim == 2 and gram.shape[0] == gram.shape[1], "overlap_matrix", "be square", gram.shape)
    require(len(gram) <= count, "n_units", f"be at least the number of inputs, {len(gram)}", count)
    require(
        np.allclose(gram, gram.T) and np.allclose(np.diag(gram), 1.0),
        "overlap_matrix",
        "be symmetric with ones on its diagonal",
        gram.tolist(),
    )
    values, vectors = np.linalg.eigh(gram)
    require(
        values[0] > -1e-10, "overlap_matrix", "be positive semidefinite", f"least eigenvalue {values[0]:.3g}"
    )
    root = vectors * np.sqrt(np.maximum(values, 0.0))[None, :]
    frame, _ = jnp.linalg.qr(jax.random.normal(key, (count, len(gram)), jnp.result_type(float)))
    return jnp.sqrt(activity * count).astype(frame.dtype) * (jnp.asarray(root, frame.dtype) @ frame.T)
