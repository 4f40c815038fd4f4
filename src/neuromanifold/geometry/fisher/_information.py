"""The Fisher information of a network with given parameters, averaged over inputs.

    F = (1/T) sum_t J_t^T Lambda(f_t) J_t,   J_t = d f(params, x_t) / d params      P x P
    F* = (1/T) R R^T,   R = S^T J over all inputs and outputs                       the dual, C T x C T

F and F* have the same eigenvalues apart from zeros. The outputs are drawn from the network's own law, not
taken from data: with data in their place the product of gradients is the "empirical" one, which is another
matrix.

`product` needs one forward and one backward derivative and no matrix; `matrix` and `dual` are exact and take
P^2 and (C T)^2 numbers; `sampled_matrix` draws outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from neuromanifold._base import check_choice, check_finite, check_integer, require
from neuromanifold.geometry.fisher._family import FAMILIES, metric_product, root_transposed, sampled_score


class FisherInformation(eqx.Module):
    """The Fisher information of f(params, x) at some parameters and inputs.

    Args:
        function: `f(params, x) -> (c,)` or a number, for one input.
        params: pytree of floating-point arrays, P numbers in all.
        inputs: one a row, shape (T, ...).
        family: law of an output given f: "gaussian" with unit variance, "categorical" or "bernoulli" with
            logits.

    Raises:
        ValueError: an unknown family, no input, inputs that are not finite, or parameters that are not
            floating-point numbers.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.geometry.fisher import FisherInformation
    >>> inputs = jax.random.normal(jax.random.key(0), (50, 3))
    >>> information = FisherInformation(lambda w, x: w @ x, jnp.ones(3), inputs)
    >>> bool(jnp.allclose(information.matrix(), inputs.T @ inputs / 50, atol=1e-5))
    True
    """

    function: Callable[..., Any] = eqx.field(static=True)
    params: PyTree
    inputs: Float[Array, "t ..."]
    family: str = eqx.field(static=True)

    def __init__(self, function: Callable[..., Any], params: PyTree, inputs: Any, family: str = "gaussian"):
        self.function = function
        self.family = check_choice("family", family, FAMILIES)
        leaves = jax.tree.leaves(params)
        fits = len(leaves) > 0 and all(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) for leaf in leaves)
        require(fits, "params", "hold floating-point arrays only", [jnp.result_type(x).name for x in leaves])
        self.params = jax.tree.map(jnp.asarray, params)
        self.inputs = jnp.asarray(inputs)
        require(self.inputs.ndim >= 1 and len(self.inputs) > 0, "inputs", "hold an input", self.inputs.shape)
        if not isinstance(self.inputs, Tracer):
            check_finite("inputs", self.inputs)

    @property
    def n_parameters(self) -> int:
        """The number of parameters P."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    def outputs(self, flat: Float[Array, " p"], x: Array) -> Float[Array, " c"]:
        """The function f at flat parameters."""
        _, back = ravel_pytree(self.params)
        return jnp.atleast_1d(self.function(back(flat), x))

    def rooted(self) -> Float[Array, "t c p"]:
        """R: S^T J of every input."""
        flat, _ = ravel_pytree(self.params)

        def one(x: Array) -> Array:
            jacobian = jax.jacrev(self.outputs)(flat, x)
            return root_transposed(self.family, self.outputs(flat, x), jacobian)

        return jax.lax.map(one, self.inputs, batch_size=min(64, len(self.inputs)))

    @eqx.filter_jit
    def matrix(self) -> Float[Array, "p p"]:
        """F, exactly."""
        rows = self.rooted().reshape(-1, self.n_parameters)
        return rows.T @ rows / len(self.inputs)

    @eqx.filter_jit
    def dual(self) -> Float[Array, "ct ct"]:
        """F*, exactly; rows in the order (input, output)."""
        rows = self.rooted().reshape(-1, self.n_parameters)
        return rows @ rows.T / len(self.inputs)

    @eqx.filter_jit
    def product(self, vector: Float[Array, " p"]) -> Float[Array, " p"]:
        """F v without F; v in the order of `jax.flatten_util.ravel_pytree` of the parameters."""
        flat, _ = ravel_pytree(self.params)

        def batch(p: Array) -> Array:
            return jax.vmap(lambda x: self.outputs(p, x))(self.inputs)

        f, moved = jax.jvp(batch, (flat,), (vector,))
        weighted = jax.vmap(lambda a, b: metric_product(self.family, a, b))(f, moved)
        return jax.vjp(batch, flat)[1](weighted)[0] / len(self.inputs)

    @eqx.filter_jit
    def trace(self) -> Float[Array, ""]:
        """Trace of F, exactly, without F."""
        return jnp.sum(self.rooted() ** 2) / len(self.inputs)

    def sampled_matrix(self, key: Key[Array, ""], n_draws: int) -> Float[Array, "p p"]:
        """F with outputs drawn from the network's law: an unbiased estimate.

        Args:
            key: a typed key.
            n_draws: outputs drawn for each input, >= 1.

        Raises:
            ValueError: n_draws below 1.
        """
        return self._sampled(key, check_integer("n_draws", n_draws, 1))

    @eqx.filter_jit
    def _sampled(self, key: Key[Array, ""], n_draws: int) -> Array:
        flat, _ = ravel_pytree(self.params)

        def one(row: tuple[Array, Array]) -> Array:
            key, x = row
            f, back = jax.vjp(lambda p: self.outputs(p, x), flat)
            draw = jax.vmap(lambda k: back(sampled_score(self.family, k, f))[0])
            return draw(jax.random.split(key, n_draws))

        keys = jax.random.split(key, len(self.inputs))
        scores = jax.lax.map(one, (keys, self.inputs), batch_size=min(64, len(self.inputs)))
        rows = scores.reshape(-1, flat.size)
        return rows.T @ rows / len(rows)
