"""Hetero-association: layers of +-1 units that recall each other's patterns.

Pattern mu is xi^mu in one layer and eta^mu in the next, W = (1/n) sum_mu eta^mu xi^mu^T with n the units of
the layer that sends:

    y = sgn(W x)         y_i = sgn( (1/n_x) sum_mu eta_i^mu (xi^mu . x) )

Layered       layers 0, 1, 2 ..., each with patterns of its own; depth is time, no connection is used twice.
Bidirectional two layers, back by the transposed matrix, x = sgn(W^T y). Updated in turn they never raise
              E = -y^T W x - s_y . y - s_x . x and end in a pair of states that recall each other.

Neither forms a matrix: both keep the patterns and cost 2 P (n_x + n_y) operations a layer. sgn(0) = +1.

Time: layers; for the bidirectional memory one step is there and back.

Source: Domany, Meir and Kinzel 1986, Europhys. Lett. 2:175, and Meir and Domany 1987, Phys. Rev. Lett. 59:359
(layered); Kosko 1988, IEEE Trans. Syst. Man Cybern. 18:49 (bidirectional).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Num

from neuromanifold._base import check_signs, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.memory._network import check_bias, check_values


class BidirectionalState(NamedTuple):
    """States of the two layers; leading axes are cues.

    Args:
        first: x.
        second: y; at the start what x recalls.
    """

    first: Float[Array, "*cues n_first"]
    second: Float[Array, "*cues n_second"]


class Bidirectional(eqx.Module):
    """Kosko's bidirectional associative memory; see the module's header.

    Args:
        first: xi, +-1, shape (n_patterns, n_first).
        second: eta, +-1, shape (n_patterns, n_second).
        first_inputs: s_x, a number or one a unit.
        second_inputs: s_y, a number or one a unit.

    Raises:
        ValueError: patterns that are no +-1 matrices with as many rows, or inputs of another shape.

    >>> import jax, numpy as np
    >>> from neuromanifold.data import overlap_cue, random_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import Bidirectional
    >>> names = random_patterns(jax.random.key(0), 20, 300)
    >>> faces = random_patterns(jax.random.key(1), 20, 500)
    >>> memory = Bidirectional(names, faces)
    >>> found = run(memory.process(), jax.random.key(2), overlap_cue(jax.random.key(3), names[0], 0.4), 5)
    >>> float(memory.overlaps(found.state)[1][0])
    1.0
    """

    patterns: tuple[Float[Array, "n_patterns n_first"], Float[Array, "n_patterns n_second"]]
    inputs: tuple[Float[Array, " n_first"], Float[Array, " n_second"]]

    def __init__(self, first: Any, second: Any, *, first_inputs: Any = 0.0, second_inputs: Any = 0.0):
        one, other = _patterns("first", first), _patterns("second", second)
        require(len(one) == len(other), "second", f"hold {len(one)} patterns, as first does", len(other))
        self.patterns = (one, other)
        self.inputs = (
            check_bias("first_inputs", first_inputs, one.shape[1], one.dtype),
            check_bias("second_inputs", second_inputs, other.shape[1], other.dtype),
        )

    def process(self) -> Process:
        """There and back; begins with cues of the first layer, shape (..., n_first)."""
        return Process(self.init, self.step, descends=self.energy)

    def init(self, key: Any, cue: Any) -> BidirectionalState:
        """The cue, and what the second layer makes of it."""
        del key
        first, _ = self.patterns
        x = check_values("cue", cue, first.shape[1], (-1, 1), first.dtype)
        return BidirectionalState(x, self.forward(x))

    def step(
        self, key: Any, t: Any, state: BidirectionalState
    ) -> tuple[BidirectionalState, Int[Array, "*cues"]]:
        """Back to the first layer and forth to the second; the information is how many units changed."""
        del key, t
        x = self.backward(state.second)
        y = self.forward(x)
        changed = jnp.sum(x != state.first, -1) + jnp.sum(y != state.second, -1)
        return BidirectionalState(x, y), changed

    def forward(self, x: Float[Array, "*cues n_first"]) -> Float[Array, "*cues n_second"]:
        """The state y = sgn(W x + s_y)."""
        first, second = self.patterns
        return _answer(x, first, second, self.inputs[1])

    def backward(self, y: Float[Array, "*cues n_second"]) -> Float[Array, "*cues n_first"]:
        """The state x = sgn(W^T y + s_x), W the same matrix."""
        first, second = self.patterns
        # W^T carries 1/n_first too; only its sign against s_x matters.
        return _answer(y, second, first, self.inputs[0] * (first.shape[1] / second.shape[1]))

    def overlaps(
        self, state: BidirectionalState
    ) -> tuple[Float[Array, "*cues n_patterns"], Float[Array, "*cues n_patterns"]]:
        """Overlaps of both layers with all their patterns."""
        first, second = self.patterns
        return state.first @ first.T / first.shape[1], state.second @ second.T / second.shape[1]

    def energy(self, state: BidirectionalState) -> Float[Array, "*cues"]:
        """E = -y^T W x - s_y . y - s_x . x, never raised by a step."""
        first, second = self.patterns
        raised = jnp.sum((state.first @ first.T) * (state.second @ second.T), -1) / first.shape[1]
        return -raised - state.second @ self.inputs[1] - state.first @ self.inputs[0]


class LayeredState(NamedTuple):
    """The state of one layer; units beyond the layer's size are 0."""

    units: Float[Array, "*cues n_largest"]


class LayeredMemory(eqx.Module):
    """A feed-forward cascade of associative layers; see the module's header.

    Args:
        patterns: one +-1 matrix a layer, shapes (n_patterns, n_l), l = 0 ... L; at least two.

    Raises:
        ValueError: fewer than two layers, matrices that are not +-1 or hold different numbers of patterns.

    >>> import jax
    >>> from neuromanifold.data import overlap_cue, random_patterns
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.memory import LayeredMemory
    >>> layers = [random_patterns(jax.random.key(k), 15, n) for k, n in enumerate((400, 300, 500))]
    >>> memory = LayeredMemory(layers)
    >>> cue = overlap_cue(jax.random.key(9), layers[0][3], 0.5)
    >>> last = run(memory.process(), jax.random.key(0), cue, memory.n_layers - 1).state
    >>> round(float(memory.overlaps(last, memory.n_layers - 1)[3]), 2)
    1.0
    """

    patterns: Float[Array, "n_layers n_patterns n_largest"]
    sizes: Int[Array, " n_layers"]
    n_layers: int = eqx.field(static=True)
    n_inputs: int = eqx.field(static=True)

    def __init__(self, patterns: Sequence[Any]):
        require(len(patterns) >= 2, "patterns", "hold at least two layers", len(patterns))
        layers = [_patterns(f"patterns[{i}]", p) for i, p in enumerate(patterns)]
        counts = [len(p) for p in layers]
        require(len(set(counts)) == 1, "patterns", "hold as many patterns in every layer", counts)
        sizes = [p.shape[1] for p in layers]
        # Entries of 0 where a layer has no unit: they add nothing to any sum.
        self.patterns = jnp.stack([jnp.pad(p, ((0, 0), (0, max(sizes) - p.shape[1]))) for p in layers])
        self.sizes = jnp.asarray(sizes, jnp.int32)
        self.n_layers, self.n_inputs = len(sizes), sizes[0]

    def process(self) -> Process:
        """One layer a step, from cues of shape (..., n_0); at the last layer the state stays."""
        return Process(self.init, self.step)

    def init(self, key: Any, cue: Any) -> LayeredState:
        """The state of layer 0."""
        del key
        units = check_values("cue", cue, self.n_inputs, (-1, 1), self.patterns.dtype)
        rest = self.patterns.shape[-1] - self.n_inputs
        return LayeredState(jnp.pad(units, [(0, 0)] * (units.ndim - 1) + [(0, rest)]))

    def step(self, key: Any, t: Int[Array, ""], state: LayeredState) -> tuple[LayeredState, None]:
        """The state of layer t + 1 from that of layer t."""
        del key
        here = jnp.minimum(t, self.n_layers - 1)
        there = jnp.minimum(t + 1, self.n_layers - 1)
        field = state.units @ self.patterns[here].T @ self.patterns[there]
        present = jnp.arange(field.shape[-1]) < self.sizes[there]
        new = jnp.where(field >= 0, 1.0, -1.0).astype(field.dtype) * present.astype(field.dtype).reshape(
            (1,) * (field.ndim - 1) + present.shape
        )
        return LayeredState(jnp.where(t + 1 < self.n_layers, new, state.units)), None

    def overlaps(self, state: LayeredState, layer: Any) -> Float[Array, "*cues n_patterns"]:
        """Overlaps of a state with all patterns of a layer."""
        return state.units @ self.patterns[layer].T / self.sizes[layer]


def _patterns(name: str, values: Any) -> Array:
    shape = np.shape(values)
    require(len(shape) == 2 and min(shape) >= 1, name, "have shape (n_patterns, n_units)", shape)
    if not isinstance(values, Tracer):
        check_signs(name, values)
    return jnp.asarray(values, jnp.result_type(float))


def _answer(
    state: Num[Array, "*cues n_from"],
    sent: Float[Array, "n_patterns n_from"],
    called: Float[Array, "n_patterns n_to"],
    inputs: Float[Array, " n_to"],
) -> Float[Array, "*cues n_to"]:
    raised = state @ sent.T @ called / sent.shape[1]
    raised = raised + inputs.reshape((1,) * (raised.ndim - 1) + inputs.shape)
    return jnp.where(raised >= 0, 1.0, -1.0).astype(raised.dtype)
