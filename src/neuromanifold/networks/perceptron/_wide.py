"""A multilayer perceptron in the parametrisation of the tangent kernel, one example at a time.

    u^l = sigma_w / sqrt(n_{l-1}) W^l x^{l-1} + sigma_b b^l,     x^l = phi(u^l),     f = u^L

with all W and b drawn from N(0, 1): widths stand in the function and not in the weights, so that one rate of
learning serves all layers and widths (Jacot, Gabriel and Hongler 2018).

The nearest solution: a change of the last layer's weights alone that fits N examples, of least length,

    dv = sqrt(n)/sigma_w Phi^T (Phi Phi^T)^{-1} (y - f),     Phi the N x n activities of the last hidden layer

(Amari 2020): of length O(1) where the weights have length sqrt(n). Where all layers may change it is shorter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, PyTree

from neuromanifold._base import check_choice, check_integer, check_real, require


class WidePerceptron(eqx.Module):
    """The network; `wide_perceptron` draws one.

    Args:
        weights: W of each layer, (n_out, n_in).
        biases: b of each layer, (n_out,).
        phi: activation of the hidden layers, elementwise.
        sigma_w: scale of the weights.
        sigma_b: scale of the biases.
    """

    weights: list[Float[Array, "_ _"]]
    biases: list[Float[Array, " _"]]
    phi: Callable[[Any], Any] = eqx.field(static=True)
    sigma_w: float = eqx.field(static=True)
    sigma_b: float = eqx.field(static=True)

    def hidden(self, x: Float[Array, " n_in"]) -> Float[Array, " n"]:
        """Activities of the last hidden layer."""
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = self.phi(self.sigma_w / np.sqrt(w.shape[1]) * (w @ x) + self.sigma_b * b)
        return x

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Outputs for one example."""
        w, b = self.weights[-1], self.biases[-1]
        return self.sigma_w / np.sqrt(w.shape[1]) * (w @ self.hidden(x)) + self.sigma_b * b


def wide_perceptron(
    key: Key[Array, ""], widths: Sequence[int], phi: Callable[[Any], Any], sigma_w: float, sigma_b: float
) -> WidePerceptron:
    """A random network.

    Args:
        key: of the weights.
        widths: of the inputs, of each hidden layer, of the outputs; all >= 1.
        phi: activation, elementwise.
        sigma_w: scale of the weights, > 0.
        sigma_b: scale of the biases, >= 0.

    Raises:
        ValueError: a width below 1, fewer than two widths, or a scale outside its range.
    """
    sizes = [check_integer(f"widths[{i}]", n, 1) for i, n in enumerate(widths)]
    require(len(sizes) >= 2, "widths", "hold those of the inputs and of the outputs at least", widths)
    sigma_w = check_real("sigma_w", sigma_w, 0, open_low=True)
    sigma_b = check_real("sigma_b", sigma_b, 0)
    shapes = [(n_out, n_in + 1) for n_in, n_out in itertools.pairwise(sizes)]
    # One draw for all: more generators would take longer to compile than to run.
    normal = jax.random.normal(key, (sum(n * m for n, m in shapes),))
    weights, biases, first = [], [], 0
    for n, m in shapes:
        layer = normal[first : first + n * m].reshape(n, m)
        weights.append(layer[:, 1:])
        biases.append(layer[:, 0])
        first += n * m
    return WidePerceptron(weights, biases, phi, sigma_w, sigma_b)


class NearestSolution(NamedTuple):
    """A network that fits, and how far it is from where it began.

    Args:
        network: that fits.
        change: of the last layer's weights, (n_out, n); of every layer, as a network, where all may move.
        condition: greatest over least eigenvalue of Phi Phi^T, or of J J^T where it ended.
    """

    network: WidePerceptron
    change: PyTree
    condition: Float[Array, ""]


def nearest_solution(
    network: WidePerceptron, x: ArrayLike, y: ArrayLike, layers: str = "last"
) -> NearestSolution:
    """The least change of a network with which it fits all examples.

    Of the last layer it is had at once, by a QR decomposition of the activities, whose condition is the root
    of that of Phi Phi^T. Of all layers it is a fixed point of linearising again and again,

        theta <- theta_0 + J^+ (y - f(theta) + J (theta - theta_0)),     J at theta,

    where the change is orthogonal to all that leaves the outputs as they are: of least length at least among
    its neighbours.

    Args:
        network: with a last hidden layer of n units.
        x: N inputs, (N, n_in).
        y: their targets, (N, n_out).
        layers: "last", or "all".

    Raises:
        ValueError: more examples than hidden units, numbers of inputs and targets that differ, or, outside
            jit, iterations over all layers that do not settle, as in narrow networks.
    """
    check_choice("layers", layers, ("last", "all"))
    n = network.weights[-1].shape[1]
    x, y = jnp.asarray(x), jnp.asarray(y)
    require(len(x) <= n, "x", f"hold no more examples than the last hidden layer has units, {n}", len(x))
    require(len(x) == len(y), "y", f"hold {len(x)} targets, as x holds inputs", len(y))
    if layers == "all":
        return _of_all(network, x, y)
    activity = jax.vmap(network.hidden)(x)
    scale = network.sigma_w / np.sqrt(n)
    rows, condition = _least(activity, y - jax.vmap(network)(x))
    change = rows.T / scale
    moved = eqx.tree_at(lambda m: m.weights[-1], network, network.weights[-1] + change)
    return NearestSolution(moved, change, condition)


def _least(rows: Array, wanted: Array) -> tuple[Array, Array]:
    """The least z with rows @ z = wanted, and the condition of rows @ rows.T."""
    basis, triangle = jnp.linalg.qr(rows.T)
    singular = jnp.linalg.svd(triangle, compute_uv=False)
    solved = jax.scipy.linalg.solve_triangular(triangle.T, wanted, lower=True)
    return basis @ solved, (singular[0] / singular[-1]) ** 2


def _of_all(network: WidePerceptron, x: Array, y: Array) -> NearestSolution:
    start, back = ravel_pytree(eqx.filter(network, eqx.is_inexact_array))
    rest = eqx.filter(network, eqx.is_inexact_array, inverse=True)

    def made(theta: Array) -> WidePerceptron:
        return eqx.combine(back(theta), rest)

    def outputs(theta: Array) -> Array:
        return jax.vmap(made(theta))(x).ravel()

    def again(theta: Array, _: Any) -> Array:
        slopes = jax.jacrev(outputs)(theta)
        return start + _least(slopes, y.ravel() - outputs(theta) + slopes @ (theta - start))[0]

    rounding = 100 * float(jnp.finfo(start.dtype).eps)
    solver = optimistix.FixedPointIteration(rtol=rounding, atol=rounding)
    found = optimistix.fixed_point(again, solver, start, max_steps=200, throw=False)
    if not isinstance(found.value, Tracer):
        settled = bool(found.result == optimistix.RESULTS.successful)
        require(settled, "network", "be wide enough for its linearisation to lead to a solution", len(start))
    condition = _least(jax.jacrev(outputs)(found.value), y.ravel())[1]
    return NearestSolution(made(found.value), made(found.value - start), condition)
