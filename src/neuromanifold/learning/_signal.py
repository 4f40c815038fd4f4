"""Signal: what a learning rule wants to change.

    signal(key, t, params, aux) -> (updates, aux, info)

`updates` has the structure of the parameters, None where there is nothing to say, and the sign of a
gradient, as optax has it: `optax.sgd(rate)` moves against it, so a rule that wants to add a change returns
minus that change. `aux` is what the rule itself carries along (a persistent chain, a trace), None if
nothing. `info` is diagnostics; its field `loss`, where there is one, is given to transformations that ask
for the value of the objective.

Two methods are optional:

    signal.aux(key, params) -> aux                    the first aux, None without it
    signal.value(key, t, params, aux) -> scalar       the objective of step t, for line searches
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Key, PyTree


@runtime_checkable
class Signal(Protocol):
    """What a learning rule wants to change at step t; see the module's header."""

    def __call__(
        self, key: Key[Array, ""], t: Any, params: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        """The wanted change with the sign of a gradient, the rule's own state, and diagnostics."""
        ...
