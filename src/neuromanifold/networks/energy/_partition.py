"""The partition function by annealed importance sampling, with its error.

Chains move from a machine without couplings, whose Z_0 is known, to the machine itself through beta_0 = 0 <
... < beta_T = 1. With p*_t = exp(-F_t) the tempered law up to its constant, a chain v_0, v_1, ... carries

    log w = sum_t log p*_{t+1}(v_t) - log p*_t(v_t),     v_t moved by a sweep that keeps p_t,

and <w> = Z/Z_0 exactly, for any number of steps. With m chains log Z = log Z_0 + log mean w, whose error to
first order is s(w)/(sqrt(m) mean w); m_eff = (sum w)^2/sum w^2 says how many chains carry the mean. The mean
of log w alone would lie below (Jensen), and so does log Z where few chains carry it: an error is to be
believed while m_eff is not small.

Source: Neal 2001, Stat. Comput. 11:125; Salakhutdinov and Murray 2008, ICML 25:872.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_integer, require
from neuromanifold.dynamics import Process, run
from neuromanifold.networks.energy._restricted import RestrictedBoltzmann


class AnnealedState(NamedTuple):
    """What the next step needs.

    Args:
        visible: states of the chains.
        log_weight: logarithm of their importance weights so far.
    """

    visible: Float[Array, "n_chains n"]
    log_weight: Float[Array, " n_chains"]


class AnnealedPartition(NamedTuple):
    """A measured log Z.

    Args:
        value: log Z.
        standard_error: of the value, to first order.
        effective: chains that carry the mean, (sum w)^2 / sum w^2.
        n_chains: all chains.
        visible: their last states, which stand for the machine's law with the weights.
        weights: w of the chains over their mean.
    """

    value: float
    standard_error: float
    effective: float
    n_chains: int
    visible: Float[np.ndarray, "n_chains n"]
    weights: Float[np.ndarray, " n_chains"]


class Annealing(eqx.Module):
    """Annealed importance sampling as a process; `annealed_partition` runs it.

    Args:
        machine: whose Z is wanted.
        betas: (T + 1,), rising from 0 to 1.
        base_bias: visible bias at beta = 0, (n,); that of the data's means makes errors smallest.
    """

    machine: RestrictedBoltzmann
    betas: Float[Array, " n_betas"]
    base_bias: Float[Array, " n"]

    @property
    def log_base(self) -> Float[Array, ""]:
        """Log Z_0."""
        free = jnp.zeros_like(self.machine.hidden_bias)
        return self.machine.visible.log_partition(self.base_bias) + self.machine.hidden.log_partition(free)

    def process(self) -> Process:
        """Begun with the number of chains; a step for every beta after the first."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> AnnealedState:
        """Independent draws at beta = 0; x0 is an array of one entry for each chain."""
        shape = (len(x0), self.machine.visible.n_units)
        start = self.machine.visible.draw(key, jnp.broadcast_to(self.base_bias, shape))
        return AnnealedState(start, jnp.zeros(len(x0), start.dtype))

    def step(self, key: Key[Array, ""], t: Any, state: AnnealedState) -> tuple[AnnealedState, None]:
        """Weight for the next beta, then a sweep there."""
        here, there = (self.machine.tempered(self.betas[t + i], self.base_bias) for i in (0, 1))
        gain = there.log_weight(state.visible) - here.log_weight(state.visible)
        return AnnealedState(there.sweep(key, state.visible), state.log_weight + gain), None


def annealed_partition(
    machine: RestrictedBoltzmann,
    key: Key[Array, ""],
    *,
    n_steps: int = 1000,
    n_chains: int = 100,
    base_bias: Any = None,
    run: Any = run,
    label: str = "annealing",
) -> AnnealedPartition:
    """Log Z of a machine of any size, with its error.

    Args:
        machine: whose Z is wanted; not two Gaussian layers, for which `log_partition` is closed.
        key: of the chains.
        n_steps: betas after the first, >= 1, equally spaced.
        n_chains: independent chains, >= 2.
        base_bias: visible bias of the machine begun with, shape (n,); None for the machine's own.
        run: `neuromanifold.dynamics.run`, or one that checkpoints.
        label: name of the run.

    Raises:
        ValueError: an argument outside its range.

    >>> import jax, numpy as np
    >>> from neuromanifold.networks.energy import Bernoulli, RestrictedBoltzmann, annealed_partition
    >>> machine = RestrictedBoltzmann.random(jax.random.key(0), Bernoulli(8), Bernoulli(5), 0.5)
    >>> found = annealed_partition(machine, jax.random.key(1), n_steps=200)
    >>> bool(abs(found.value - machine.log_partition()) < 5 * found.standard_error)
    True
    """
    check_integer("n_steps", n_steps, 1)
    check_integer("n_chains", n_chains, 2)
    require(not machine.both_gaussian, "machine", "have a layer that is not Gaussian", "two Gaussian layers")
    dtype = machine.couplings.dtype
    bias = machine.visible_bias
    if base_bias is not None:
        values = check_finite("base_bias", base_bias)
        require(values.shape == bias.shape, "base_bias", f"have shape {bias.shape}", values.shape)
        bias = jnp.asarray(values, dtype)
    annealing = Annealing(machine, jnp.linspace(0.0, 1.0, n_steps + 1, dtype=dtype), bias)
    made = run(annealing.process(), key, np.zeros(n_chains, np.float32), n_steps, label=label)
    logs = np.asarray(made.state.log_weight, np.float64)
    weights = np.exp(logs - logs.max())
    mean = weights.mean()
    return AnnealedPartition(
        value=float(annealing.log_base) + float(logs.max()) + float(np.log(mean)),
        standard_error=float(weights.std(ddof=1) / (np.sqrt(n_chains) * mean)),
        effective=float(weights.sum() ** 2 / (weights**2).sum()),
        n_chains=n_chains,
        visible=np.asarray(made.state.visible),
        weights=weights / mean,
    )
