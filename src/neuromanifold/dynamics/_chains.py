"""Markov chains on units: Gibbs, Glauber and Metropolis for a given conditional, field or weight.

Gibbs       x_i ~ p(x_i | all others), one unit at a time, or a block of independent units at once
Glauber     units +-1:  P(x_i = +1) = 1 / (1 + exp(-2 beta h_i(x))),  h_i the local field
Little      the same for all units at once; its stationary law is not that of Glauber
Metropolis  a proposal is taken with probability min(1, exp(log p(x') - log p(x) + log q(x|x') - log q(x'|x)))

Each is a `Process` whose state is the configuration x itself. Every step of Gibbs, Glauber and Metropolis
keeps exp(log_weight) invariant (Geman and Geman 1984; Glauber 1963; Metropolis et al. 1953, Hastings 1970).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Num, PyTree

from neuromanifold._base import check_choice, check_integer, require
from neuromanifold.dynamics._process import Process
from neuromanifold.dynamics._schedules import as_schedule

ORDERS = ("random", "permuted", "sequential")

Temperature = float | Callable[..., Any]


def _start(key: Key[Array, ""], x0: PyTree) -> PyTree:
    return jax.tree.map(jnp.asarray, x0)


class _SingleUnit(eqx.Module):
    """`updates` updates of single units, in one of three orders."""

    conditional: Callable[..., Any]
    n_units: int = eqx.field(static=True)
    order: str = eqx.field(static=True)
    updates: int = eqx.field(static=True)

    def step(self, key: Key[Array, ""], t: Int[Array, ""], x: Num[Array, "n_units"]) -> tuple[Array, None]:
        """One step of the chain."""
        key_order, key_units = jax.random.split(key)
        if self.order == "permuted":
            units = jax.random.permutation(key_order, self.n_units)
        elif self.order == "random":
            units = jax.random.randint(key_order, (self.updates,), 0, self.n_units)
        else:
            units = (t * self.updates + jnp.arange(self.updates)) % self.n_units

        def update(k: Array, x: Array) -> Array:
            value = self.conditional(jax.random.fold_in(key_units, k), t, units[k], x)
            return x.at[units[k]].set(jnp.asarray(value, x.dtype))

        return jax.lax.fori_loop(0, self.updates, update, x), None


def gibbs(
    conditional: Callable[..., Any],
    n_units: int,
    *,
    order: str = "random",
    updates: int = 1,
    log_weight: Callable[..., Any] | None = None,
) -> Process:
    """Single-unit Gibbs sampling of x, shape (n_units,).

    Args:
        conditional: `conditional(key, t, i, x)` -> a draw of unit i given all others at time t.
        n_units: number of units, >= 1.
        order: "random" draws each unit anew, "permuted" visits all in a fresh random order each step,
            "sequential" goes round.
        updates: single-unit updates a step, >= 1; `n_units` for "permuted".
        log_weight: logarithm of the stationary law, declared for tests and diagnostics.

    Raises:
        ValueError: an argument outside its range.
    """
    check_integer("n_units", n_units, 1)
    check_choice("order", order, ORDERS)
    check_integer("updates", updates, 1)
    if order == "permuted":
        require(updates in (1, n_units), "updates", f"be n_units = {n_units} for order 'permuted'", updates)
        updates = n_units
    return Process(_start, _SingleUnit(conditional, n_units, order, updates).step, log_weight=log_weight)


class _Blocks(eqx.Module):
    conditionals: tuple[Callable[..., Any], ...]

    def step(self, key: Key[Array, ""], t: Int[Array, ""], x: PyTree) -> tuple[PyTree, None]:
        """Every block once, in order."""
        for number, conditional in enumerate(self.conditionals):
            x = conditional(jax.random.fold_in(key, number), t, x)
        return x, None


def block_gibbs(
    conditionals: Sequence[Callable[..., Any]], *, log_weight: Callable[..., Any] | None = None
) -> Process:
    """Gibbs sampling block by block, every block once a step.

    Args:
        conditionals: functions `conditional(key, t, x)` -> x with one block drawn given the rest; x is any
            pytree.
        log_weight: logarithm of the stationary law, declared for tests and diagnostics.

    Raises:
        ValueError: no conditional.
    """
    require(len(conditionals) > 0, "conditionals", "hold at least one block", conditionals)
    return Process(_start, _Blocks(tuple(conditionals)).step, log_weight=log_weight)


class _Glauber(eqx.Module):
    field: Callable[..., Any]
    beta: Callable[..., Any]

    def draw(self, key: Key[Array, ""], t: Array, i: Array, x: Array) -> Array:
        """Unit i given all others."""
        up = jax.random.bernoulli(key, jax.nn.sigmoid(2.0 * self.beta(t) * self.field(i, x)))
        return jnp.where(up, 1, -1)

    def flip(self, key: Key[Array, ""], t: Array, i: Array, x: Array) -> Array:
        """Unit i flipped with the Metropolis probability min(1, exp(-2 beta x_i h_i))."""
        cost = 2.0 * self.beta(t) * x[i] * self.field(i, x)
        return jnp.where(jnp.log(jax.random.uniform(key)) < -cost, -x[i], x[i])

    def together(
        self, key: Key[Array, ""], t: Int[Array, ""], x: Num[Array, "n_units"]
    ) -> tuple[Array, None]:
        """All units at once."""
        up = jax.random.bernoulli(key, jax.nn.sigmoid(2.0 * self.beta(t) * self.field(x)))
        return jnp.where(up, 1, -1).astype(x.dtype), None


def glauber(
    field: Callable[..., Any],
    n_units: int,
    beta: Temperature,
    *,
    order: str = "random",
    updates: int = 1,
    rule: str = "heat bath",
    log_weight: Callable[..., Any] | None = None,
) -> Process:
    """Units +-1 one at a time at inverse temperature beta: P(x_i = +1) = 1/(1 + exp(-2 beta h_i)).

    Args:
        field: `field(i, x)` -> local field h_i, which must not depend on x_i.
        n_units: number of units, >= 1.
        beta: inverse temperature >= 0, or a schedule t -> beta.
        order: see `gibbs`.
        updates: see `gibbs`.
        rule: "heat bath" (Glauber 1963) or "metropolis": flip with probability min(1, exp(-2 beta x_i h_i)).
        log_weight: logarithm of the stationary law, declared for tests and diagnostics.

    Raises:
        ValueError: an argument outside its range.
    """
    check_choice("rule", rule, ("heat bath", "metropolis"))
    units = _Glauber(field, as_schedule("beta", beta))
    conditional = units.draw if rule == "heat bath" else units.flip
    return gibbs(conditional, n_units, order=order, updates=updates, log_weight=log_weight)


def little(field: Callable[..., Any], beta: Temperature) -> Process:
    """Units +-1 all at once at inverse temperature beta (Little 1974).

    For symmetric couplings J its stationary law is prod_i 2 cosh(beta h_i(x)) up to a constant, not
    exp(-beta E) (Peretto 1984).

    Args:
        field: `field(x)` -> local fields of all units, shape (n_units,).
        beta: inverse temperature >= 0, or a schedule t -> beta.

    Raises:
        ValueError: beta negative or not finite.
    """
    return Process(_start, _Glauber(field, as_schedule("beta", beta)).together)


class Acceptance(eqx.Module):
    """Diagnostics of a Metropolis step: whether the proposal was taken, and its log ratio."""

    accepted: Array
    log_ratio: Float[Array, ""]


class _Metropolis(eqx.Module):
    log_weight: Callable[..., Any]
    propose: Callable[..., Any]
    beta: Callable[..., Any]

    def step(self, key: Key[Array, ""], t: Int[Array, ""], x: PyTree) -> tuple[PyTree, Acceptance]:
        """One proposal, taken or not."""
        key_propose, key_accept = jax.random.split(key)
        proposal, log_forward, log_backward = self.propose(key_propose, x)
        gain = self.beta(t) * (self.log_weight(proposal) - self.log_weight(x))
        log_ratio = jnp.asarray(gain + log_backward - log_forward)
        accepted = jnp.log(jax.random.uniform(key_accept)) < log_ratio
        moved = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), proposal, x)
        return moved, Acceptance(accepted, log_ratio)


def metropolis(
    log_weight: Callable[..., Any], propose: Callable[..., Any], *, beta: Temperature = 1.0
) -> Process:
    """Metropolis-Hastings sampling of exp(beta log_weight(x)).

    Only the weight is tempered by beta, never the proposal's correction, so that the chain keeps the tempered
    law at every temperature.

    Args:
        log_weight: logarithm of the law up to a constant.
        propose: `propose(key, x)` -> (x', log q(x'|x), log q(x|x')); x any pytree.
        beta: power of the weight >= 0, or a schedule t -> beta.

    Raises:
        ValueError: beta negative or not finite.
    """
    constant = not callable(beta)
    module = _Metropolis(log_weight, propose, as_schedule("beta", beta))
    declared = _Tempered(log_weight, float(beta)) if constant else None  # pyright: ignore[reportArgumentType]
    return Process(_start, module.step, log_weight=declared)


class _Tempered(eqx.Module):
    log_weight: Callable[..., Any]
    beta: float

    def __call__(self, x: PyTree) -> Any:
        return self.beta * self.log_weight(x)
