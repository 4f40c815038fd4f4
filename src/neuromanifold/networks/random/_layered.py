"""A layered network with lateral and feedback connections.

Layers l = 1 ... L of any sizes n_l, an input x^0 that stays:

    x^l(t+1) = phi(W^l x^{l-1}(t) + L^l x^l(t) + F^l x^{l+1}(t) + b^l)             synchronous steps
    tau dx^l/dt = -x^l + phi(W^l x^{l-1} + L^l x^l + F^l x^{l+1} + b^l)            continuous time

W^l feed forward, L^l lateral, F^l feedback (none at the last layer). With L = F = 0 the last layer is the
feed-forward network's output after L steps. Let M be the matrix of all connections between layers 1 ... L,
without the input's. If sup|phi'| times the spectral norm of M lies below 1, one step contracts all distances
by at least that factor: there is one fixed point, reached from everywhere, in discrete and in continuous
time. The condition is sufficient, not necessary. Symmetric lateral connections may lead to cycles of two.

Time: steps, or units of tau.

Source: Rosenblatt 1961, Principles of Neurodynamics (cross-coupled and back-coupled perceptrons).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int
from scipy.linalg import eigvalsh

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow, Process

# Activations with the largest absolute value of their derivative.
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "tanh": (jnp.tanh, 1.0),
    "erf": (lambda u: jax.scipy.special.erf(u / math.sqrt(2.0)), math.sqrt(2.0 / math.pi)),
    "logistic": (jax.nn.sigmoid, 0.25),
    "relu": (jax.nn.relu, 1.0),
    "linear": (lambda u: u, 1.0),
}

Layers = tuple[Float[Array, "..."], ...]


class Settled(NamedTuple):
    """Where steps led.

    Args:
        layers: the state of every layer.
        settled: whether the last step changed no unit by more than the tolerance. False where the steps ran
            out, as in cycles and in chaos: then `layers` is no fixed point.
        change: largest change of a unit in one more step.
        n_steps: steps taken.
    """

    layers: Layers
    settled: Bool[Array, ""]
    change: Float[Array, ""]
    n_steps: Int[Array, ""]


class RecurrentLayered(eqx.Module):
    """Layers with feed-forward, lateral and feedback connections; see the module's header.

    Args:
        forward: W^1 ... W^L, shapes (n_l, n_{l-1}); n_0 is the size of the input.
        lateral: L^1 ... L^L, shapes (n_l, n_l), None for a layer without; None for no layer at all.
        feedback: F^1 ... F^{L-1}, shapes (n_l, n_{l+1}), entries None likewise; None for none at all.
        bias: b^1 ... b^L, shapes (n_l,); None for zero.
        phi: "tanh", "erf" (of u/sqrt 2), "logistic", "relu", "linear", or any elementwise function.
        slope: sup|phi'|; needed by `is_contracting` for a function that is not named.

    Raises:
        ValueError: matrices whose shapes do not chain, entries that are not finite, an unknown name.

    >>> import numpy as np
    >>> from neuromanifold.networks.random import RecurrentLayered
    >>> network = RecurrentLayered([0.5 * np.eye(2), np.eye(2)], lateral=[0.2 * np.eye(2), None])
    >>> network.is_contracting, network.settle(np.ones(2), 1e-5).settled.item()
    (False, True)
    """

    forward: tuple[Float[Array, "rows columns"], ...]
    lateral: tuple[Float[Array, "n n"] | None, ...]
    feedback: tuple[Float[Array, "rows columns"] | None, ...]
    bias: tuple[Float[Array, " n"], ...]
    phi: Callable[[Any], Any] = eqx.field(static=True)
    slope: float | None = eqx.field(static=True)

    def __init__(
        self,
        forward: Sequence[ArrayLike],
        lateral: Sequence[ArrayLike | None] | None = None,
        feedback: Sequence[ArrayLike | None] | None = None,
        bias: Sequence[ArrayLike] | None = None,
        phi: str | Callable[[Any], Any] = "tanh",
        *,
        slope: float | None = None,
    ):
        require(len(forward) > 0, "forward", "hold at least one matrix", forward)
        matrices = [_matrix(f"forward[{i}]", w) for i, w in enumerate(forward)]
        sizes = [w.shape[0] for w in matrices]
        for i, (below, w) in enumerate(zip(sizes[:-1], matrices[1:], strict=True)):
            require(w.shape[1] == below, f"forward[{i + 1}]", f"have {below} columns", w.shape)
        n = len(sizes)
        self.forward = tuple(matrices)
        self.lateral = _optional("lateral", lateral, [(k, k) for k in sizes])
        self.feedback = _optional("feedback", feedback, list(itertools.pairwise(sizes)))
        given = [np.zeros(k) for k in sizes] if bias is None else list(bias)
        require(len(given) == n, "bias", f"hold one vector for each of {n} layers", len(given))
        for i, (b, k) in enumerate(zip(given, sizes, strict=True)):
            require(np.shape(b) == (k,), f"bias[{i}]", f"have shape ({k},)", np.shape(b))
        self.bias = tuple(_float(f"bias[{i}]", b) for i, b in enumerate(given))
        if isinstance(phi, str):
            self.phi, known = ACTIVATIONS[check_choice("phi", phi, tuple(ACTIVATIONS))]
            self.slope = known if slope is None else check_real("slope", slope, 0.0)
        else:
            self.phi = phi
            self.slope = None if slope is None else check_real("slope", slope, 0.0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, n_1 ... n_L, that of the input first."""
        return (self.forward[0].shape[1], *(w.shape[0] for w in self.forward))

    def rest(self) -> Layers:
        """All layers at zero."""
        return tuple(jnp.zeros_like(b) for b in self.bias)

    def step(self, signal: Float[Array, " n_inputs"], layers: Layers) -> Layers:
        """All layers at once, one step on; `jax.vmap` makes batches.

        Args:
            signal: x^0.
            layers: x^1 ... x^L.
        """
        below = (signal, *layers[:-1])
        new = []
        for index, (w, b) in enumerate(zip(self.forward, self.bias, strict=True)):
            field = w @ below[index] + b
            lateral = self.lateral[index]
            if lateral is not None:
                field = field + lateral @ layers[index]
            back = self.feedback[index] if index + 1 < len(layers) else None
            if back is not None:
                field = field + back @ layers[index + 1]
            new.append(self.phi(field))
        return tuple(new)

    def process(self, signal: ArrayLike) -> Process:
        """Synchronous steps under a fixed input; begins with the layers, or at rest with None.

        Args:
            signal: x^0, shape (n_0,).

        Raises:
            ValueError: an input of another shape.
        """
        driven = _Driven(self, self._signal(signal), 1.0)
        return Process(driven.init, driven.step)

    def flow(self, signal: ArrayLike, tau: float = 1.0) -> Flow:
        """Continuous time under a fixed input, on the tuple of layers.

        Args:
            signal: x^0, shape (n_0,).
            tau: time constant of the units, > 0.

        Raises:
            ValueError: an input of another shape, or tau not positive.
        """
        driven = _Driven(self, self._signal(signal), check_real("tau", tau, 0.0, open_low=True))
        return Flow(driven.velocity)

    def settle(
        self, signal: ArrayLike, tolerance: float, *, start: Layers | None = None, max_steps: int = 1000
    ) -> Settled:
        """Step until no unit changes by more than a tolerance.

        Args:
            signal: x^0, shape (n_0,).
            tolerance: > 0.
            start: the layers to begin with; at rest where None.
            max_steps: steps after which to give up, >= 1; then `settled` is False.

        Raises:
            ValueError: an argument outside its range.
        """
        tolerance = check_real("tolerance", tolerance, 0.0, open_low=True)
        check_integer("max_steps", max_steps, 1)
        begin = self.rest() if start is None else self._layers(start)
        return _settle(self, self._signal(signal), begin, jnp.asarray(tolerance), max_steps)

    def couplings(self) -> np.ndarray:
        """The block matrix M of all connections between layers, without the input's, in float64."""
        sizes = self.sizes[1:]
        ends = np.cumsum((0, *sizes))
        matrix = np.zeros((ends[-1], ends[-1]))
        for index in range(len(sizes)):
            rows = slice(ends[index], ends[index + 1])
            if index > 0:
                matrix[rows, ends[index - 1] : ends[index]] = self.forward[index]
            lateral = self.lateral[index]
            if lateral is not None:
                matrix[rows, rows] = lateral
            back = self.feedback[index] if index + 1 < len(sizes) else None
            if back is not None:
                matrix[rows, ends[index + 1] : ends[index + 2]] = back
        return matrix

    def contraction(self) -> float:
        """sup|phi'| times the spectral norm of M: what a step multiplies distances by at most.

        Raises:
            ValueError: phi was given without `slope`.
        """
        require(self.slope is not None, "slope", "be given for a phi that is not named", self.slope)
        matrix = self.couplings()
        last = len(matrix) - 1
        square = eigvalsh(matrix.T @ matrix, subset_by_index=(last, last))[0]
        return float(self.slope or 0.0) * math.sqrt(max(float(square), 0.0))

    @property
    def is_contracting(self) -> bool:
        """Whether sup|phi'| |M| < 1, which leaves one fixed point that attracts every start."""
        return self.contraction() < 1.0

    def _signal(self, signal: ArrayLike) -> Array:
        shape = (self.sizes[0],)
        require(np.shape(signal) == shape, "signal", f"have shape {shape}", np.shape(signal))
        return _float("signal", signal)

    def _layers(self, layers: Any) -> Layers:
        shapes = tuple(np.shape(x) for x in layers)
        wanted = tuple((k,) for k in self.sizes[1:])
        require(shapes == wanted, "layers", f"have shapes {wanted}", shapes)
        return tuple(_float(f"layers[{i}]", x) for i, x in enumerate(layers))


class _Driven(eqx.Module):
    network: RecurrentLayered
    signal: Float[Array, " n_inputs"]
    tau: float

    def init(self, key: Any, start: Any) -> Layers:
        del key
        return self.network.rest() if start is None else self.network._layers(start)

    def step(self, key: Any, t: Any, layers: Layers) -> tuple[Layers, None]:
        del key, t
        return self.network.step(self.signal, layers), None

    def velocity(self, t: Any, layers: Layers) -> Layers:
        del t
        new = self.network.step(self.signal, layers)
        return tuple((there - here) / self.tau for there, here in zip(new, layers, strict=True))


@eqx.filter_jit
def _settle(
    network: RecurrentLayered, signal: Array, start: Layers, tolerance: Array, max_steps: int
) -> Settled:
    # The solver's own test is relative as well; with rtol = 0 it is the absolute one asked for.
    solution = optimistix.fixed_point(
        lambda layers, _: network.step(signal, layers),
        optimistix.FixedPointIteration(rtol=0.0, atol=tolerance),  # pyright: ignore[reportArgumentType]
        start,
        max_steps=max_steps,
        throw=False,
    )
    moved = network.step(signal, solution.value)
    change = jnp.max(jnp.stack([jnp.max(jnp.abs(a - b)) for a, b in zip(moved, solution.value, strict=True)]))
    return Settled(solution.value, change <= tolerance, change, jnp.asarray(solution.stats["num_steps"]))


def _float(name: str, values: ArrayLike) -> Array:
    if not isinstance(values, Tracer):
        check_finite(name, values)
    return jnp.asarray(values, jnp.result_type(float))


def _matrix(name: str, values: ArrayLike) -> Array:
    shape = np.shape(values)
    require(len(shape) == 2 and min(shape) >= 1, name, "be a matrix", shape)
    return _float(name, values)


def _optional(
    name: str, given: Sequence[ArrayLike | None] | None, shapes: list[tuple[int, int]]
) -> tuple[Array | None, ...]:
    if given is None:
        return (None,) * len(shapes)
    require(len(given) == len(shapes), name, f"hold {len(shapes)} matrices or None", len(given))
    made = []
    for index, (values, shape) in enumerate(zip(given, shapes, strict=True)):
        if values is not None:
            require(np.shape(values) == shape, f"{name}[{index}]", f"have shape {shape}", np.shape(values))
        made.append(None if values is None else _matrix(f"{name}[{index}]", values))
    return tuple(made)
