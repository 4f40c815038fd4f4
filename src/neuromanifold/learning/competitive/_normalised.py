"""Hebb's rule with a fixed sum of afferents: what one input gains the others of its cell lose.

    s_ki <- s_ki + h A_i f_k,        then  s_ki <- s_ki  S / sum_i s_ki,        S the sum before

A Signal says minus the whole change; `descent(1)` carries it out.

Symbols: s afferents, A stimulus, f response of the cells, h rate. Time t: stimuli.

Source: von der Malsburg 1973, Kybernetik 14:85, equation 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_real
from neuromanifold.dynamics import Process
from neuromanifold.learning._learner import learner
from neuromanifold.learning.competitive._online import descent


@runtime_checkable
class RespondingNetwork(Protocol):
    """Cells that respond to a stimulus through afferents and among each other.

    Args:
        afferents: shape (n_cells, n_inputs).
    """

    afferents: Float[Array, "n_cells n_inputs"]

    def respond(self, stimulus: Float[Array, " n_inputs"]) -> Float[Array, " n_cells"]:
        """Activities that a stimulus evokes."""
        ...


class ResponseInfo(NamedTuple):
    """Diagnostics of a stimulus.

    Args:
        activity: mean response of the cells.
    """

    activity: Float[Array, ""]


class NormalisedHebb(eqx.Module):
    """The signal of the rule; see the module's header.

    Args:
        stimuli: `stimuli(key, t)` -> the stimulus of step t, shape (n_inputs,).
        rate: h.
    """

    stimuli: Callable[..., Any]
    rate: Float[Array, ""]

    def __call__(
        self, key: Key[Array, ""], t: Any, params: RespondingNetwork, aux: Any
    ) -> tuple[Any, Any, ResponseInfo]:
        """Minus the change of the afferents."""
        old = params.afferents
        stimulus = jnp.asarray(self.stimuli(key, t), old.dtype)
        response = params.respond(stimulus)
        new = old + jnp.asarray(self.rate, old.dtype) * response[:, None] * stimulus[None]
        new = new * jnp.sum(old, axis=1, keepdims=True) / jnp.sum(new, axis=1, keepdims=True)
        still = jax.tree.map(jnp.zeros_like, eqx.filter(params, eqx.is_inexact_array))
        wanted = eqx.tree_at(lambda network: network.afferents, still, old - new)
        return wanted, aux, ResponseInfo(jnp.mean(response))


def normalised_hebb(stimuli: Callable[..., Any], rate: float) -> Process:
    """The process `run(normalised_hebb(stimuli, rate), key, network, n_steps)`.

    Args:
        stimuli: `stimuli(key, t)` -> the stimulus of step t, shape (n_inputs,), >= 0.
        rate: h > 0.

    Returns:
        A process on `LearnerState`, whose `params` is the network; of it only `afferents` change.

    Raises:
        ValueError: a rate outside its range.
    """
    rate = check_real("rate", rate, 0, open_low=True)
    return learner(NormalisedHebb(stimuli, jnp.asarray(rate)), descent(1.0))
