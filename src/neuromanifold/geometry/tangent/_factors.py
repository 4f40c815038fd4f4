"""Derivatives of a function by its parameters, kept as the factors of which they are made.

A parameter W that enters by a matrix product z = h W has the derivative

    dy_o / dW = sum_s A_s (x) B_{o s},       A_s = h_s,   B_{o s} = dy_o / dz_s

with s the places where W is used (one for a layer on one example, the positions of an image for a
convolution). Kernels need products of such derivatives alone, and these follow from the factors without
forming what they make: (A (x) B) . (A' (x) B') = (A . A') (B . B').

The function is traced once to its equations (a jaxpr). They are walked through twice: first to see where
each parameter is used, then with a zero added to every such product, by which the function is
differentiated in place of the parameter. What is not recognised (a parameter in a scan, under a
nonlinearity, in two uses of different form) is differentiated as it is, and its derivative is kept whole. A
bias that is added to a product, z = h W + beta b, is one more row of W: A_s has beta as one more entry.

Source: Novak, Sohl-Dickstein and Schoenholz 2022, ICML (structured derivatives).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float

from neuromanifold.geometry.tangent._batch_axis import INLINED


class Factors(NamedTuple):
    """Derivatives of the outputs of one example, o of them.

    Args:
        left: A of each factored parameter, (c, s, a); c counts blocks of a parameter that do not mix.
        right: B, (o, c, s, b).
        whole: derivatives by the other parameters, (o, p) each.
    """

    left: list[Float[Array, "..."]]
    right: list[Float[Array, "..."]]
    whole: list[Float[Array, "..."]]


class View(NamedTuple):
    """A parameter, scaled and with its entries in another order: `chain` says how it was made of the leaf.

    `varying` holds the axes along which it varies, where it has been spread along others; None: it has not.
    """

    leaf: int
    chain: tuple[Any, ...]
    scale: Any
    varying: tuple[int, ...] | None = None


class Use(NamedTuple):
    """One product of a parameter with something else.

    Args:
        leaf: which parameter.
        key: equal for two uses whose factors belong to the same arrangement of the parameter's entries.
        left: A, (c, s, a).
        arrange: dy/dz -> B, (c, s, b), of one output.
        right_axes: axes of z that make up b.
    """

    leaf: int
    key: tuple[Any, ...]
    left: Any
    arrange: Callable[[Any], Any]
    right_axes: tuple[int, ...]


class Bias(NamedTuple):
    """A parameter added to a product.

    Args:
        leaf: which parameter.
        use: which product, by number.
        scale: beta, per unit of the product.
    """

    leaf: int
    use: int
    scale: Any


MIXED = "mixed"


class _Node(NamedTuple):
    """A value; mark is None where neither inputs nor parameters matter, MIXED, or a View.

    `product` is (number, factor) where the value is a product of that number times a factor, and no more.
    """

    value: Any
    mark: Any = None
    product: tuple[int, Any] | None = None


class _Walk:
    """Goes through the equations; `shifts` are added to the products one after the other."""

    def __init__(self, shifts: list[Any] | None) -> None:
        self.shifts = shifts
        self.uses: list[Use] = []
        self.products: list[Any] = []
        self.biases: list[Bias] = []
        self.loose: set[int] = set()

    def run(self, jaxpr: Any, consts: Any, inputs: list[_Node]) -> list[_Node]:
        known: dict[Any, _Node] = dict(zip(jaxpr.invars, inputs, strict=True))
        known |= {var: _Node(value) for var, value in zip(jaxpr.constvars, consts, strict=True)}

        def read(atom: Any) -> _Node:
            return _Node(atom.val) if isinstance(atom, core.Literal) else known[atom]

        for eqn in jaxpr.eqns:
            known |= dict(
                zip(eqn.outvars, self._step(jaxpr, eqn, [read(v) for v in eqn.invars]), strict=True)
            )
        return [read(v) for v in jaxpr.outvars]

    def _step(self, jaxpr: Any, eqn: Any, inputs: list[_Node]) -> list[_Node]:
        views = [node.mark for node in inputs if isinstance(node.mark, View)]
        if not views:
            mixed = MIXED if any(node.mark == MIXED for node in inputs) else None
            product = _scaled(eqn, inputs)
            return [_Node(value, mixed, product) for value in _evaluate(jaxpr, eqn, inputs)]
        name = eqn.primitive.name
        if name in INLINED and INLINED[name] in eqn.params:
            body = eqn.params[INLINED[name]]
            consts = body.consts if isinstance(body, core.ClosedJaxpr) else ()
            return self.run(body.jaxpr if isinstance(body, core.ClosedJaxpr) else body, consts, inputs)
        if len(views) == 1:
            seen = _moved(eqn, inputs)
            if seen is not None:
                return [_Node(_evaluate(jaxpr, eqn, inputs)[0], seen)]
            use = _used(eqn, inputs)
            if use is not None:
                (product,) = _evaluate(jaxpr, eqn, inputs)
                if self.shifts is not None:
                    product = product + self.shifts[len(self.uses)]
                self.uses.append(use)
                self.products.append(product)
                return [_Node(product, MIXED, (len(self.uses) - 1, 1.0))]
            bias = _added(eqn, inputs, self.uses)
            if bias is not None:
                self.biases.append(bias)
                return [_Node(_evaluate(jaxpr, eqn, inputs)[0], MIXED)]
        self.loose |= {view.leaf for view in views}
        return [_Node(value, MIXED) for value in _evaluate(jaxpr, eqn, inputs)]


def _evaluate(jaxpr: Any, eqn: Any, inputs: list[_Node]) -> list[Any]:
    """An equation as a program of its own: JAX knows how to run it, and its own rule of differentiation."""
    values = {v: node.value for v, node in zip(eqn.invars, inputs, strict=True) if isinstance(v, core.Var)}
    kept = [v for v in eqn.outvars if not isinstance(v, core.DropVar)]
    alone = jaxpr.replace(constvars=[], invars=list(values), outvars=kept, eqns=[eqn], effects=eqn.effects)
    made = iter(core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))(*values.values()))
    return [None if isinstance(v, core.DropVar) else next(made) for v in eqn.outvars]


def _scaled(eqn: Any, inputs: list[_Node]) -> tuple[int, Any] | None:
    """Whether an equation multiplies a product with a number."""
    if eqn.primitive.name not in ("mul", "div"):
        return None
    for one, other in ((0, 1), (1, 0)):
        node, number = inputs[one], inputs[other]
        if node.product is None or number.mark is not None or jnp.ndim(number.value) > 0:
            continue
        which, factor = node.product
        if eqn.primitive.name == "mul":
            return which, factor * number.value
        return (which, factor / number.value) if one == 0 else None
    return None


def _added(eqn: Any, inputs: list[_Node], uses: list[Use]) -> Bias | None:
    """Whether an equation adds a bias to a product: a parameter that varies along its right axes."""
    if eqn.primitive.name not in ("add", "add_any", "sub"):
        return None
    (at,) = (i for i, node in enumerate(inputs) if isinstance(node.mark, View))
    view, other = inputs[at].mark, inputs[1 - at]
    if other.product is None or (eqn.primitive.name == "sub" and at == 0):
        return None
    which, factor = other.product
    use, shape, out = uses[which], eqn.invars[at].aval.shape, eqn.outvars[0].aval.shape
    if out != eqn.invars[1 - at].aval.shape or use.left.shape[0] != 1:
        return None
    varying = view.varying if view.varying is not None else tuple(a for a, m in enumerate(shape) if m > 1)
    if len(shape) != len(out) or varying != tuple(a for a in use.right_axes if out[a] > 1):
        return None
    if any(shape[a] != out[a] for a in varying):
        return None
    scale = view.scale / factor
    return Bias(view.leaf, which, -scale if eqn.primitive.name == "sub" else scale)


def _moved(eqn: Any, inputs: list[_Node]) -> View | None:
    """The view of a parameter that an equation makes of another, if it does that."""
    name, params = eqn.primitive.name, eqn.params
    if name in ("mul", "div"):
        (at,) = (i for i, node in enumerate(inputs) if isinstance(node.mark, View))
        other, view = inputs[1 - at], inputs[at].mark
        fits = other.mark is None and jnp.ndim(other.value) == 0 and (name == "mul" or at == 0)
        if not fits:
            return None
        return view._replace(scale=view.scale * other.value if name == "mul" else view.scale / other.value)
    view = inputs[0].mark
    if len(inputs) != 1 or not isinstance(view, View):
        return None
    if view.varying is not None and name not in ("neg", "copy"):
        return None
    old, new = eqn.invars[0].aval, eqn.outvars[0].aval
    if name == "neg":
        return view._replace(scale=-view.scale)
    if name == "copy":
        return view
    if name == "convert_element_type":
        return view if jnp.issubdtype(new.dtype, jnp.floating) else None
    if name == "transpose":
        return view._replace(chain=(*view.chain, ("transpose", tuple(params["permutation"]))))
    kept = math.prod(old.shape) == math.prod(new.shape)
    same_order = name == "broadcast_in_dim" and kept
    if name == "broadcast_in_dim" and not kept:
        where = [int(a) for a in params["broadcast_dimensions"]]
        return view._replace(varying=tuple(where[a] for a, m in enumerate(old.shape) if m > 1))
    if same_order or name in ("squeeze", "expand_dims") or (name == "reshape" and kept):
        if name == "reshape" and params.get("dimensions") is not None:
            return None
        return view._replace(chain=(*view.chain, ("reshape", tuple(new.shape))))
    return None


def _used(eqn: Any, inputs: list[_Node]) -> Use | None:
    """How an equation uses a parameter in a product, if it does that."""
    name = eqn.primitive.name
    if len(inputs) != 2 or any(
        node.mark.varying is not None for node in inputs if isinstance(node.mark, View)
    ):
        return None
    if any(not jnp.issubdtype(v.aval.dtype, jnp.floating) for v in eqn.invars):
        return None
    if name == "dot_general":
        return _of_product(eqn, inputs)
    if name == "conv_general_dilated" and isinstance(inputs[1].mark, View):
        return _of_convolution(eqn, inputs)
    return None


def _of_product(eqn: Any, inputs: list[_Node]) -> Use:
    (side,) = (i for i, node in enumerate(inputs) if isinstance(node.mark, View))
    view, other = inputs[side].mark, inputs[1 - side].value
    contracted, shared = eqn.params["dimension_numbers"]
    mine = tuple(map(int, contracted[side])), tuple(map(int, shared[side]))
    theirs = [int(a) for a in contracted[1 - side]], [int(a) for a in shared[1 - side]]
    rest = [a for a in range(jnp.ndim(other)) if a not in theirs[0] + theirs[1]]
    n_blocks = math.prod(other.shape[a] for a in theirs[1])
    n_places = math.prod(other.shape[a] for a in rest)
    left = jnp.transpose(other, theirs[1] + rest + theirs[0]).reshape(n_blocks, n_places, -1)
    n_right = math.prod(eqn.outvars[0].aval.shape) // (n_blocks * n_places)

    def arrange(slope: Any) -> Any:
        if side == 1:
            return slope.reshape(n_blocks, n_places, n_right)
        return jnp.swapaxes(slope.reshape(n_blocks, n_right, n_places), 1, 2)

    n_axes, n_lead, n_rest = len(eqn.outvars[0].aval.shape), len(mine[1]), len(rest)
    right = range(n_lead + n_rest, n_axes) if side == 1 else range(n_lead, n_axes - n_rest)
    return Use(view.leaf, ("dot", view.chain, mine), left * view.scale, arrange, tuple(right))


def _of_convolution(eqn: Any, inputs: list[_Node]) -> Use | None:
    p = eqn.params
    if p["feature_group_count"] != 1 or p["batch_group_count"] != 1:
        return None
    view, image = inputs[1].mark, inputs[0].value
    numbers = p["dimension_numbers"]
    kernel = tuple(eqn.invars[1].aval.shape[a] for a in numbers.rhs_spec[2:])
    # Channels, and in each the window, row by row: the order of a kernel with its output channels in front.
    patches = jax.lax.conv_general_dilated_patches(
        jnp.transpose(image, numbers.lhs_spec),
        kernel,
        p["window_strides"],
        p["padding"],
        p["lhs_dilation"],
        p["rhs_dilation"],
    )
    left = jnp.moveaxis(patches, 1, -1).reshape(1, -1, patches.shape[1])
    # What is put out, as (examples, positions..., channels).
    out = numbers.out_spec
    order = (out[0], *out[2:], out[1])

    def arrange(slope: Any) -> Any:
        moved = jnp.transpose(slope, order)
        return moved.reshape(1, -1, moved.shape[-1])

    key = ("conv", view.chain, tuple(numbers.rhs_spec))
    return Use(view.leaf, key, left * view.scale, arrange, (int(out[1]),))


def _marked(leaves: list[Any], x: list[Any], loose: frozenset[int]) -> list[_Node]:
    one = [_Node(leaf, MIXED if i in loose else View(i, (), 1.0)) for i, leaf in enumerate(leaves)]
    return one + [_Node(leaf, MIXED) for leaf in x]


def _plan(closed: Any, leaves: list[Any], x: list[Any], factored: bool) -> tuple[frozenset[int], list[Any]]:
    """Parameters that are not factored, and the shapes of the products of those that are."""
    loose = frozenset() if factored else frozenset(range(len(leaves)))
    # A parameter found to be loose may be what another is multiplied with; so it ends after a few rounds.
    while True:
        walk = _Walk(None)

        def shapes(leaves: list[Any], x: list[Any], walk: _Walk = walk, loose: frozenset[int] = loose) -> Any:
            out = walk.run(closed.jaxpr, closed.consts, _marked(leaves, x, loose))
            walk.loose |= {node.mark.leaf for node in out if isinstance(node.mark, View)}
            return walk.products

        products = jax.eval_shape(shapes, leaves, x)
        keys: dict[int, list[Any]] = {}
        for use in walk.uses:
            keys.setdefault(use.leaf, []).append(use.key)
        found = loose | walk.loose | {leaf for leaf, forms in keys.items() if len(set(forms)) > 1}
        # A bias is a row of one matrix that is used once.
        added = [bias.leaf for bias in walk.biases]
        for bias in walk.biases:
            of = walk.uses[bias.use].leaf
            once = added.count(bias.leaf) == 1 and bias.leaf not in keys and len(keys[of]) == 1
            if not once or of in found:
                found |= {bias.leaf}
        if found == loose:
            return loose, products
        loose = frozenset(found)


def factors(
    f: Callable[..., Any], leaves: list[Any], x: list[Any], order: np.ndarray, factored: bool
) -> Factors:
    """Derivatives of all outputs of f for one example.

    Args:
        f: `f(leaves, x)` -> an array of floats.
        leaves: parameters, real arrays.
        x: inputs of one example.
        order: places of the outputs, flattened, in the order in which derivatives are wanted.
        factored: keep derivatives as factors where that is possible; False: whole.
    """
    closed = jax.make_jaxpr(f)(leaves, x)
    loose, products = _plan(closed, leaves, x, factored)
    uses: list[Use] = []

    def shifted(shifts: list[Any], free: dict[int, Any]) -> tuple[Any, Any]:
        walk = _Walk(shifts)
        values = [free.get(i, leaf) for i, leaf in enumerate(leaves)]
        (out,) = walk.run(closed.jaxpr, closed.consts, _marked(values, x, loose))
        uses[:] = walk.uses
        left = [use.left for use in walk.uses]
        for bias in walk.biases:
            row = jnp.broadcast_to(
                jnp.asarray(bias.scale, left[bias.use].dtype), (*left[bias.use].shape[:2], 1)
            )
            left[bias.use] = jnp.concatenate([left[bias.use], row], -1)
        return out.value, left

    zeros = [jnp.zeros(p.shape, p.dtype) for p in products]
    y, pull, left = jax.vjp(shifted, zeros, {i: leaves[i] for i in sorted(loose)}, has_aux=True)
    basis = jnp.eye(y.size, dtype=y.dtype)[order].reshape(-1, *y.shape)
    slopes, whole = jax.vmap(pull)(basis)
    of_leaf: dict[int, tuple[list[Any], list[Any]]] = {}
    for use, a, slope in zip(uses, left, slopes, strict=True):
        both = of_leaf.setdefault(use.leaf, ([], []))
        both[0].append(a)
        both[1].append(jax.vmap(use.arrange)(slope))
    return Factors(
        [_joined(a, 1) for a, _ in of_leaf.values()],
        [_joined(b, 2) for _, b in of_leaf.values()],
        [d.reshape(d.shape[0], -1) for d in whole.values()],
    )


def _joined(parts: list[Any], axis: int) -> Any:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis)
