"""Self-attention over all positions, with infinitely many heads.

    G(p, r) = zeta(Q_std K_std / (d^a n) sum_c q_c(p) k_c(r)),     q, k, v linear in inputs, d channels a head
    z(p)    = O_std V_std / sqrt(H d n) sum_h W_h sum_r G_h(p, r) v_h(r) + b_std b

Scaled by 1/d with one matrix for queries and keys (a = 1) the weights become deterministic: with C(p, r) the
covariance of an input with itself, zeta softmax over r, identity, |.| or max(., 0), and s = O_std V_std,

    G     = zeta(Q_std K_std C)
    nngp' = s^2 G nngp G'^T + b_std^2
    ntk'  = s^2 G ntk G'^T + 2 (nngp' - b_std^2) + b_std^2

the 2 for the layers v and W; queries and keys pass no gradient that survives the limit. Scaled by 1/sqrt(d)
with matrices of their own (a = 1/2) the weights stay random, and zeta = identity alone has a closed form;
with <A, B> the sum over all pairs of positions and t = Q_std K_std,

    nngp' = s^2 t^2 <nngp, nngp> nngp + b_std^2
    ntk'  = s^2 t^2 (2 <nngp, ntk> nngp + <nngp, nngp> (ntk + 4 nngp)) + b_std^2

Positions are told by embeddings E of covariance R, added ("SUM": nngp + W^2 R) or put beside the channels
("CONCAT": the mean of both weighted by channels), for queries and keys, and for values where wanted.

Source: Hron, Bahri, Sohl-Dickstein and Novak 2020, ICML, arXiv:2006.10540.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.theory.wide._dense import check_axes
from neuromanifold.theory.wide._kernel import Kernel
from neuromanifold.theory.wide._layer import Layer, Needs, Own
from neuromanifold.theory.wide._masks import all_channels, layer
from neuromanifold.theory.wide._spatial import all_pairs, check_spatial, poolable

_WEIGHTS: dict[str, Callable[[Array], Array]] = {
    "SOFTMAX": lambda x: jax.nn.softmax(x, axis=-1),
    "IDENTITY": lambda x: x,
    "ABS": jnp.abs,
    "RELU": jax.nn.relu,
}


def GlobalSelfAttention(
    n_chan_out: int,
    n_chan_key: int,
    n_chan_val: int,
    n_heads: int,
    linear_scaling: bool = True,
    W_key_std: float = 1.0,
    W_value_std: float = 1.0,
    W_query_std: float = 1.0,
    W_out_std: float = 1.0,
    b_std: float | None = None,
    attention_mechanism: str = "SOFTMAX",
    pos_emb_type: str = "NONE",
    pos_emb_p_norm: float = 2,
    pos_emb_decay_fn: Callable[[Any], Any] | None = None,
    n_chan_pos_emb: int | None = None,
    W_pos_emb_std: float = 1.0,
    val_pos_emb: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Self-attention over all positions; see the module's header.

    Args:
        n_chan_out: channels behind it, >= 1.
        n_chan_key: channels of queries and keys of a head, >= 1.
        n_chan_val: channels of values of a head, >= 1.
        n_heads: number of heads, >= 1.
        linear_scaling: products of queries and keys, of one matrix, divided by n_chan_key; else of two
            matrices, by its root.
        W_key_std: standard deviation of the weights of keys, >= 0.
        W_value_std: of values.
        W_query_std: of queries.
        W_out_std: of what joins the heads.
        b_std: standard deviation of the bias, >= 0; None: no bias.
        attention_mechanism: "SOFTMAX", "IDENTITY", "ABS" or "RELU".
        pos_emb_type: "NONE", "SUM" or "CONCAT".
        pos_emb_p_norm: p of the distance sum_axes |i - j|^p, > 0.
        pos_emb_decay_fn: covariance of two embeddings from that distance; None: 1 at distance 0, else 0.
        n_chan_pos_emb: channels of embeddings put beside; None: as many as the inputs have.
        W_pos_emb_std: standard deviation of embeddings, >= 0.
        val_pos_emb: values have them too.
        batch_axis: 0.
        channel_axis: -1.

    Raises:
        ValueError: an argument outside its range; a kernel for 1/sqrt(d) scaling with another mechanism than
            "IDENTITY", which has none in closed form.

    Source: Hron et al. 2020, ICML.
    """
    check_axes(batch_axis, channel_axis)
    sizes = {"n_chan_out": n_chan_out, "n_chan_key": n_chan_key, "n_chan_val": n_chan_val, "n_heads": n_heads}
    for name, size in sizes.items():
        check_integer(name, size, 1)
    both = check_real("W_key_std", W_key_std, 0) * check_real("W_query_std", W_query_std, 0)
    scale = check_real("W_out_std", W_out_std, 0) * check_real("W_value_std", W_value_std, 0)
    bias = None if b_std is None else check_real("b_std", b_std, 0)
    check_choice("attention_mechanism", attention_mechanism, tuple(_WEIGHTS))
    check_choice("pos_emb_type", pos_emb_type, ("NONE", "SUM", "CONCAT"))
    p_norm = check_real("pos_emb_p_norm", pos_emb_p_norm, 0, open_low=True)
    told = check_real("W_pos_emb_std", W_pos_emb_std, 0)
    if n_chan_pos_emb is not None:
        check_integer("n_chan_pos_emb", n_chan_pos_emb, 1)
        require(pos_emb_type == "CONCAT", "n_chan_pos_emb", "be None but for CONCAT", n_chan_pos_emb)
    weights = _WEIGHTS[attention_mechanism]
    embedded = pos_emb_type != "NONE"

    def n_embedded(n_in: int) -> int:
        return n_in if n_chan_pos_emb is None else n_chan_pos_emb

    def init_fn(key: Any, input_shape: Any) -> Any:
        check_spatial(input_shape, None)
        keys = jax.random.split(key, 6)
        n_in = n_values = input_shape[-1]
        embedding = None
        if embedded:
            embedding = jax.random.normal(keys[5], (1, *input_shape[1:-1], n_embedded(n_in)))
        if pos_emb_type == "CONCAT":
            n_in, n_values = n_in + n_embedded(n_in), n_values + val_pos_emb * n_embedded(n_in)
        queries = None if linear_scaling else jax.random.normal(keys[0], (n_heads, n_in, n_chan_key))
        params = (
            queries,
            jax.random.normal(keys[1], (n_heads, n_in, n_chan_key)),
            jax.random.normal(keys[2], (n_heads, n_values, n_chan_val)),
            jax.random.normal(keys[3], (n_heads, n_chan_val, n_chan_out)),
            None if bias is None else jax.random.normal(keys[4], (n_chan_out,)),
            embedding,
        )
        return (*input_shape[:-1], n_chan_out), params

    def apply(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        queries, keys, values, out, b, embedding = params
        places = inputs.shape[1:-1]
        holes = None if mask is None else mask.all(axis=-1).reshape(len(inputs), 1, 1, -1)
        plain = whole = inputs
        if embedding is not None:
            flat = embedding.reshape(math.prod(places), -1)
            root = _root(_embedding_covariance(places, p_norm, pos_emb_decay_fn))
            shift = told * jnp.matmul(root.astype(flat.dtype), flat).reshape(embedding.shape)
            shift = jnp.broadcast_to(shift, (*inputs.shape[:-1], shift.shape[-1]))
            shift = shift if mask is None else jnp.where(mask.all(axis=-1, keepdims=True), 0.0, shift)
            whole = inputs + shift if pos_emb_type == "SUM" else jnp.concatenate([inputs, shift], axis=-1)
        of_values = whole if val_pos_emb else plain
        flat, content = (x.reshape(len(x), -1, x.shape[-1]) for x in (whole, of_values))
        k = jnp.einsum("npc,hcd->nhpd", flat, keys)
        q = k if queries is None else jnp.einsum("npc,hcd->nhpd", flat, queries)
        products = jnp.einsum("nhpd,nhrd->nhpr", q, k)
        products = products * both / (flat.shape[-1] * n_chan_key ** (1.0 if linear_scaling else 0.5))
        if holes is not None:
            products = jnp.where(holes, -jnp.inf if attention_mechanism == "SOFTMAX" else 0.0, products)
            # Where all are holes softmax has nothing to choose from.
            products = jnp.where(holes.all(axis=-1, keepdims=True), 0.0, products)
        v = jnp.einsum("nrc,hcd->nhrd", content, values)
        z = jnp.einsum("nhpr,nhrd,hdo->npo", weights(products), v, out)
        z = z * scale / math.sqrt(n_heads * n_chan_val * content.shape[-1])
        z = z.reshape(*inputs.shape[:-1], n_chan_out)
        return z if b is None or bias is None else z + bias * b.reshape((1,) * (z.ndim - 1) + (-1,))

    def transform(kernel: Kernel, **kwargs: Any) -> Kernel:
        check_spatial(kernel.shape1, None)
        kernel = poolable(kernel)
        known = linear_scaling or attention_mechanism == "IDENTITY"
        rule = "be 'IDENTITY' for a kernel of attention scaled by 1/sqrt(d), which else has no closed form"
        require(known, "attention_mechanism", rule, attention_mechanism)
        if kernel.cov1 is None and linear_scaling:
            raise ValueError(
                "a Kernel given to attention must hold cov1 for all pairs of positions, got None."
            )
        n, places = kernel.n_spatial, kernel.shape1[1:-1]
        table = _embedding_covariance(places, p_norm, pos_emb_decay_fn) if embedded else None
        of_inputs, of_places = 1.0, told**2
        if pos_emb_type == "CONCAT":
            n_in = kernel.shape1[-1]
            of_inputs = n_in / (n_in + n_embedded(n_in))
            of_places = told**2 * (1 - of_inputs)

        def flat(covariance: Any, n_batch: int) -> Any:
            """(*batch, positions, positions)."""
            order = [n_batch + 2 * k + side for side in (0, 1) for k in range(n)]
            turned = covariance.transpose(*range(n_batch), *order)
            return turned.reshape(*covariance.shape[:n_batch], math.prod(places), math.prod(places))

        def back(covariance: Any, n_batch: int) -> Any:
            split = covariance.reshape(*covariance.shape[:n_batch], *places, *places)
            order = [n_batch + k + side * n for k in range(n) for side in (0, 1)]
            return split.transpose(*range(n_batch), *order)

        holes1, holes2 = (
            None if mask is None else mask.reshape(len(mask), -1) for mask in (kernel.mask1, kernel.mask2)
        )

        def told_apart(covariance: Any, one: Any, other: Any) -> Any:
            """With the covariance of embeddings, which holes have not."""
            if table is None:
                return covariance
            shaped = jnp.asarray(table, covariance.dtype)
            shaped = shaped.reshape((1,) * (covariance.ndim - 2) + shaped.shape)
            if one is not None:
                shaped = jnp.where(one[..., :, None] | other[..., None, :], 0.0, shaped)
            return of_inputs * covariance + of_places * shaped

        pair_holes = (None, None) if holes1 is None or holes2 is None else (holes1[:, None], holes2[None])
        nngp = flat(kernel.nngp, 2)
        ntk = None if kernel.ntk is None else flat(kernel.ntk, 2)
        cov1 = None if kernel.cov1 is None else flat(kernel.cov1, 1)
        cov2 = None if kernel.cov2 is None else flat(kernel.cov2, 1)
        b2 = 0.0 if bias is None else bias**2

        if linear_scaling:

            def chosen(covariance: Any, holes: Any) -> Any:
                scores = both * told_apart(covariance, holes, holes)
                if holes is not None:
                    low = -jnp.inf if attention_mechanism == "SOFTMAX" else 0.0
                    scores = jnp.where(holes[:, None], low, scores)
                    scores = jnp.where(holes.all(axis=-1)[:, None, None], 0.0, scores)
                return weights(scores)

            first = chosen(cov1, holes1)
            second = first if cov2 is None else chosen(cov2, holes2)

            def mixed(covariance: Any, left: Any, right: Any, one: Any, other: Any) -> Any:
                if covariance is None:
                    return None
                content = told_apart(covariance, one, other) if val_pos_emb else covariance
                return scale**2 * jnp.matmul(jnp.matmul(left, content), right.swapaxes(-1, -2))

            pair = mixed(nngp, first[:, None], second[None], *pair_holes)
            new_ntk = mixed(ntk, first[:, None], second[None], *pair_holes)
            new_ntk = None if new_ntk is None else new_ntk + 2 * pair + b2
            own = mixed(cov1, first, first, holes1, holes1)
            other_own = mixed(cov2, second, second, holes2, holes2)
        else:

            def product(a: Any, b: Any) -> Any:
                return jnp.einsum("...pr,...pr->...", a, b)[..., None, None]

            def squared(covariance: Any, one: Any, other: Any) -> Any:
                if covariance is None:
                    return None
                whole = told_apart(covariance, one, other)
                return (scale * both) ** 2 * product(whole, whole if val_pos_emb else covariance) * whole

            pair = squared(nngp, *pair_holes)
            own, other_own = squared(cov1, holes1, holes1), squared(cov2, holes2, holes2)
            new_ntk = None
            if ntk is not None:
                whole = told_apart(nngp, *pair_holes)
                # Embeddings are trained: R is their tangent kernel too.
                moved = told_apart(ntk, *pair_holes)
                content, moved_content = (whole, moved) if val_pos_emb else (nngp, ntk)
                slopes = product(whole, moved_content) + product(content, moved)
                new_ntk = slopes * whole + product(whole, content) * (moved + 4 * whole)
                new_ntk = (scale * both) ** 2 * new_ntk + b2
        return kernel.replace(
            nngp=back(pair + b2, 2),
            ntk=None if new_ntk is None else back(new_ntk, 2),
            cov1=None if own is None else back(own + b2, 1),
            cov2=None if other_own is None else back(other_own + b2, 1),
            shape1=(*kernel.shape1[:-1], n_chan_out),
            shape2=(*kernel.shape2[:-1], n_chan_out),
            is_gaussian=True,
            centred=True,
            own=(True,) * len(kernel.own),
        )

    def needs(asked: Needs) -> Needs:
        return Needs(True, Own.FULL) if linear_scaling else all_pairs(asked)

    return layer(init_fn, apply, transform, needs, all_channels)


def _embedding_covariance(
    places: tuple[int, ...], p_norm: float, decay: Callable[[Any], Any] | None
) -> np.ndarray:
    """R of all pairs of positions, shape (positions, positions)."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in places), indexing="ij"), axis=-1)
    flat = grid.reshape(-1, len(places)).astype(float)
    distance = (np.abs(flat[:, None] - flat[None]) ** p_norm).sum(axis=-1)
    if decay is None:
        return (distance == 0).astype(float)
    table = np.asarray(decay(distance), float)
    fits = table.shape == distance.shape and np.isfinite(table).all()
    require(fits, "pos_emb_decay_fn", "give a finite number for each distance", table.shape)
    lowest = float(np.linalg.eigvalsh(table).min())
    positive = lowest > -1e-9 * max(1.0, float(np.abs(table).max()))
    require(positive, "pos_emb_decay_fn", "give a covariance, without negative eigenvalues", lowest)
    return table


def _root(covariance: np.ndarray) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return jnp.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
