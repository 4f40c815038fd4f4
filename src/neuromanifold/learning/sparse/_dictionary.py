"""Dictionary learning: atoms, one after the other, at the minimum of the energy at codes inferred before.

    E(Phi) = < |x - a Phi|^2 >/2,     a(x) inferred with Phi as it is,    |Phi_i| <= 1

The codes minimise the energy, so their own dependence on Phi adds nothing to its gradient (the envelope
theorem). With a running mean of the products over past batches,

    A = <a^T a>,  B = <a^T x>,   gradient A Phi - B,
    Phi_i <- Phi_i - (A_i Phi - B_i)/A_ii, brought back to length 1 where it is longer,   i = 1, 2, ... n.

Each such step is the exact minimum along an atom with the others as they are by then, bound or no bound,
so that a sweep never raises E. All atoms at once would: where codes go together, as in every dictionary of
more atoms than dimensions, atoms that are used little would take over the noise of those that are used much.

Source: Olshausen and Field 1996, Nature 381:607; Mairal, Bach, Ponce and Sapiro 2010, J. Mach. Learn. Res.
11:19, algorithm 2.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from neuromanifold._base import check_integer, check_real
from neuromanifold.dynamics import Process
from neuromanifold.learning._learner import learner
from neuromanifold.learning._minibatches import Minibatches


class Coder(Protocol):
    """What can be learned: a dictionary that infers codes and has an energy."""

    @property
    def dictionary(self) -> Array:
        """One atom a row."""
        ...

    def infer(self, data: Array, n_steps: int) -> Array:
        """Codes of data."""
        ...

    def energy(self, data: Array, codes: Array) -> Array:
        """Energy of data and codes."""
        ...


class DictionaryMeans(NamedTuple):
    """Running means of products, up to one factor that a sweep does not depend on.

    Args:
        codes: <a^T a>.
        data: <a^T x>.
    """

    codes: Float[Array, "n_atoms n_atoms"]
    data: Float[Array, "n_atoms n_features"]


class DictionaryInfo(NamedTuple):
    """What a step saw.

    Args:
        loss: mean energy of the batch.
        active: share of codes that are not zero.
    """

    loss: Float[Array, ""]
    active: Float[Array, ""]


class DictionarySignal(eqx.Module):
    """What dictionary learning wants to change, one sweep over the atoms; see the module's header.

    Args:
        batches: data, each leaf (n_examples, n_features).
        n_inference: steps of inference for each batch, >= 1.
        memory: share that the running means keep a step, in [0, 1); 0 uses each batch by itself.

    Raises:
        ValueError: an argument outside its range.
    """

    batches: Minibatches
    n_inference: int = eqx.field(static=True)
    memory: Array

    def __init__(self, batches: Minibatches, n_inference: int = 50, memory: float = 0.9) -> None:
        self.batches = batches
        self.n_inference = check_integer("n_inference", n_inference, 1)
        kept = check_real("memory", memory, 0, 1, open_high=True)
        self.memory = jnp.asarray(kept, jnp.result_type(float))

    def aux(self, key: Key[Array, ""], params: Any) -> DictionaryMeans:
        """Means before the first batch."""
        del key
        n, d = params.dictionary.shape
        dtype = params.dictionary.dtype
        return DictionaryMeans(jnp.zeros((n, n), dtype), jnp.zeros((n, d), dtype))

    def __call__(
        self, key: Key[Array, ""], t: Any, params: Any, aux: DictionaryMeans
    ) -> tuple[PyTree, DictionaryMeans, DictionaryInfo]:
        """The change of the dictionary; nothing else of the parameters changes."""
        del key
        batch = self.batches(t)
        data, weights = batch.data, batch.weights.astype(params.dictionary.dtype)
        codes = jax.lax.stop_gradient(params.infer(data, self.n_inference))
        total = jnp.sum(weights)
        weighted = codes * (weights / total)[:, None]
        keep = self.memory
        means = DictionaryMeans(
            keep * aux.codes + (1 - keep) * weighted.T @ codes,
            keep * aux.data + (1 - keep) * weighted.T @ data,
        )
        change = params.dictionary - sweep_atoms(params.dictionary, means.codes, means.data)
        wanted = eqx.tree_at(lambda tree: tree.dictionary, _nothing(params), change)
        loss = jnp.sum(weights * params.energy(data, codes)) / total
        active = jnp.sum(weights[:, None] * (codes != 0)) / (total * codes.shape[1])
        return wanted, means, DictionaryInfo(loss, active)


def sweep_atoms(
    dictionary: Float[Array, "n_atoms n_features"],
    codes: Float[Array, "n_atoms n_atoms"],
    data: Float[Array, "n_atoms n_features"],
) -> Float[Array, "n_atoms n_features"]:
    """A dictionary after each atom, in turn, has gone to the minimum of the energy within length 1.

    Args:
        dictionary: Phi, one atom a row.
        codes: A, <a^T a> or a multiple of it.
        data: B, <a^T x>, the same multiple.

    Source: Mairal, Bach, Ponce and Sapiro 2010, J. Mach. Learn. Res. 11:19, algorithm 2.
    """
    often = jnp.diagonal(codes)
    # An atom that no code uses stays as it is.
    least = jnp.finfo(codes.dtype).eps * jnp.mean(often)

    def one(i: Any, atoms: Array) -> Array:
        moved = atoms[i] + (data[i] - codes[i] @ atoms) / jnp.where(often[i] > least, often[i], jnp.inf)
        return atoms.at[i].set(moved / jnp.maximum(jnp.linalg.norm(moved), 1.0))

    return jax.lax.fori_loop(0, dictionary.shape[0], one, dictionary)


def _nothing(params: PyTree) -> PyTree:
    """Zeros in the place of every real array."""
    arrays = eqx.filter(params, eqx.is_inexact_array)
    return jax.tree.map(jnp.zeros_like, arrays)


def bounded_atoms() -> optax.GradientTransformation:
    """An optax transformation that shortens rows of matrices which a step would make longer than 1."""

    def init(params: PyTree) -> optax.EmptyState:
        del params
        return optax.EmptyState()

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        def bound(change: Array, atoms: Array) -> Array:
            if atoms.ndim != 2:
                return change
            moved = atoms + change
            return moved / jnp.maximum(jnp.linalg.norm(moved, axis=1, keepdims=True), 1.0) - atoms

        return jax.tree.map(bound, updates, params), state

    return optax.GradientTransformation(init, update)


def dictionary_learning(
    batches: Minibatches,
    *,
    n_inference: int = 50,
    memory: float = 0.9,
    rate: float = 1.0,
) -> Process:
    """The process by which a dictionary learns, begun with a coder such as `SparseCode`.

    Args:
        batches: data, (n_examples, n_features).
        n_inference: steps of inference for each batch, >= 1.
        memory: share that the running means keep a step, in [0, 1).
        rate: share of a sweep's change that is made; 1 is all of it, > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    length = check_real("rate", rate, 0, open_low=True)
    return learner(DictionarySignal(batches, n_inference, memory), _descent(length))


@functools.lru_cache
def _descent(rate: float) -> optax.GradientTransformationExtraArgs:
    """Made once a rate: a transformation made anew is another one, and would be compiled anew."""
    return optax.with_extra_args_support(optax.chain(optax.sgd(rate), bounded_atoms()))
