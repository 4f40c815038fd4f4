"""A rule applied to one input at a time: stochastic approximation of its average.

    w(t+1) = w(t) + rate . change(w(t), v(t)),      v(t) drawn anew

As a signal it says minus the mean change of a few inputs; `optax.sgd(rate)` makes the rule above of it. For
small rates w follows the averaged flow, t . rate being its time; it then fluctuates about the flow's rests
with a variance in proportion to the rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from neuromanifold._base import check_integer


class SampledInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        moved: length of the wanted change.
    """

    moved: Float[Array, ""]


class SampledRule(eqx.Module):
    """A signal; `sampled` makes one.

    Args:
        change: `change(params, v)` -> what one input wants to change, like the parameters.
        draw: `draw(key)` -> one input v.
        batch: inputs of a step, >= 1.
    """

    change: Callable[..., Any]
    draw: Callable[..., Any]
    batch: int = eqx.field(static=True)

    def __call__(
        self, key: Key[Array, ""], t: Any, params: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, SampledInfo]:
        """Minus the mean change, with the sign of a gradient."""
        del t
        if self.batch == 1:
            wanted = self.change(params, self.draw(key))
        else:
            inputs = jax.vmap(self.draw)(jax.random.split(key, self.batch))
            many = jax.vmap(self.change, (None, 0))(params, inputs)
            wanted = jax.tree.map(lambda x: jnp.mean(x, axis=0), many)
        squares = sum((jnp.sum(x**2) for x in jax.tree.leaves(wanted)), jnp.zeros(()))
        return jax.tree.map(jnp.negative, wanted), aux, SampledInfo(jnp.sqrt(squares))


def sampled(change: Callable[..., Any], draw: Callable[..., Any], batch: int = 1) -> SampledRule:
    """A rule on inputs drawn one at a time, or a few at a time, for `learner`.

    Args:
        change: `change(params, v)` -> what the input v wants to change, a pytree like the parameters; such as
            the method `change` of a neuron, or `oja_change`.
        draw: `draw(key)` -> one input.
        batch: inputs whose changes are averaged in a step, >= 1.

    Raises:
        ValueError: a batch below one.

    >>> import jax, jax.numpy as jnp, optax
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.learning import learner
    >>> from neuromanifold.learning.hebbian import oja_change, sampled
    >>> def draw(key):
    ...     return jax.random.normal(key, (3,)) * jnp.array([2.0, 1.0, 0.5])
    >>> rule = learner(sampled(oja_change, draw, batch=20), optax.sgd(0.02))
    >>> w = run(rule, jax.random.key(0), jnp.full(3, 0.5), 1000).state.params
    >>> bool(abs(w[0]) > 0.98)
    True
    """
    return SampledRule(change, draw, check_integer("batch", batch, 1))
