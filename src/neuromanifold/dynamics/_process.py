"""Process: anything that moves in discrete time.

A pair of pure functions,

    init(key, x0)        -> state
    step(key, t, state)  -> (state, info)

State is what the next step needs; info is diagnostics that do not persist; both are pytrees. The key of
step t is derived from the run's key by the driver and never stored. `init` and `step` may be plain functions
or bound methods of an `equinox.Module`: the arrays of such a module are then arguments of the compiled
program and not constants baked into it, which matters for patterns and data of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx


class Process(eqx.Module):
    """Anything that moves in discrete time, with what it declares to keep.

    Args:
        init: `init(key, x0) -> state`.
        step: `step(key, t, state) -> (state, info)`; t is the number of steps taken so far.
        descends: a function of the state that no step raises (a Lyapunov function), or None.
        conserves: a function of the state that no step changes, or None.
        log_weight: the logarithm, up to a constant, of the stationary law of the state, or None.
    """

    init: Callable[..., Any]
    step: Callable[..., Any]
    descends: Callable[..., Any] | None = None
    conserves: Callable[..., Any] | None = None
    log_weight: Callable[..., Any] | None = None
