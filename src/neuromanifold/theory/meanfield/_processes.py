"""The order parameters as processes: depth is time.

    length_process       A -> A'                      state: A, any shape
    correlation_process  (A_x, A_y, D) -> next        state: `PairState`

`run(length_process(phi, sigma_w=1.5, sigma_b=0.3), key, 1.0, 20, observe=identity)` is the curve of a theory
figure. A process computes in the precision it is run in: float32 by default, float64 inside
`with jax.enable_x64(True)`. The key is not used: the theory has no chance in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._maps import check_pair, pair_step, second_moment
from neuromanifold.theory.meanfield._precision import as_real


class PairState(NamedTuple):
    """Order parameters of two inputs: A_x, A_y and D = |x - y|^2/n, of one shape."""

    activity_1: Float[Array, "..."]
    activity_2: Float[Array, "..."]
    distance: Float[Array, "..."]

    @property
    def overlap(self) -> Any:
        """C = (A_x + A_y - D) / 2."""
        return 0.5 * (self.activity_1 + self.activity_2 - self.distance)


class LengthLayer(eqx.Module):
    """The activity map of one layer, with its parameters."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, activity: ArrayLike) -> Float[Array, "..."]:
        """Start from an activity A >= 0 of any shape."""
        del key
        return as_real("activity", activity, 0.0)

    def step(
        self, key: Any, t: Any, activity: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """A' and, as information, the variance q of the units it came from."""
        del key, t
        q = self.sigma_w.astype(activity.dtype) ** 2 * activity + self.sigma_b.astype(activity.dtype) ** 2
        new = jax.vmap(lambda single: second_moment(self.phi, single))(q.ravel())
        return new.reshape(q.shape), q


class PairLayer(eqx.Module):
    """The map of two activities and a distance through one layer, with its parameters."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, pair: Any) -> PairState:
        """Start from (A_x, A_y, D), numbers or arrays that broadcast."""
        del key
        a_1, a_2, d = (as_real(n, x, 0.0) for n, x in zip(PairState._fields, pair, strict=True))
        check_pair(a_1, a_2, d)
        return PairState(*jnp.broadcast_arrays(a_1, a_2, d))

    def step(self, key: Any, t: Any, pair: PairState) -> tuple[PairState, None]:
        """The three order parameters one layer on."""
        del key, t
        shape, kind = pair.distance.shape, pair.distance.dtype
        s_w, s_b = self.sigma_w.astype(kind), self.sigma_b.astype(kind)
        rows = tuple(x.ravel() for x in pair)
        new = jax.lax.map(
            lambda row: pair_step(self.phi, s_w, s_b, row), rows, batch_size=min(64, rows[0].size)
        )
        return PairState(*(x.reshape(shape) for x in new)), None


def length_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """A' = E phi(U)^2, U ~ N(0, sigma_w^2 A + sigma_b^2), as a process on the activity A.

    Args:
        phi: the activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative or non-finite argument.
    """
    layer = LengthLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)


def correlation_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """(A_x, A_y, D) through layers, as a process on `PairState`; the activities may differ.

    Args:
        phi: the activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative or non-finite argument.
    """
    layer = PairLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)
