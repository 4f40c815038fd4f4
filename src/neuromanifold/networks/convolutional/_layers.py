"""Layers of convolutional networks on one example, channels last.

    convolution    a[i, j, m] = b + sum_{u, v, c in table[m]} W[u, v, c, m] x[s i + u - p, s j + v - p, c]
    subsampling    a[i, j, m] = w_m sum_{u, v < k} x[k i + u, k j + v, m] + b_m
    dense          a_i = sum_j W_ij x_j + b_i
    radial basis   y_i = sum_j (x_j - w_ij)^2

Each returns its weighted sums; the squashing function is the network's. Pictures have shape (height,
width, maps): under `jax.vmap` XLA then sees one convolution of layout NHWC, its fastest on the CPU, so no
batched twin is needed. Weights begin uniform in [-gain / F^power, gain / F^power], F the number of inputs
of a unit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_integer, require

Table = tuple[tuple[int, ...], ...]


def full_table(n_inputs: int, n_outputs: int) -> Table:
    """The connection table in which every output map sees every input map."""
    return (tuple(range(n_inputs)),) * n_outputs


def check_table(name: str, table: Sequence[Sequence[int]], n_inputs: int) -> Table:
    """A connection table as nested tuples: for each output map the input maps that it sees.

    Raises:
        ValueError: an output map sees nothing, a map twice, or one that is not there.
    """
    rows = tuple(tuple(check_integer(name, c, 0, n_inputs - 1) for c in row) for row in table)
    require(len(rows) > 0, name, "name at least one output map", table)
    for row in rows:
        require(
            0 < len(row) == len(set(row)), name, "give each output map distinct input maps, at least one", row
        )
    return rows


def uniform(
    key: Key[Array, ""], shape: tuple[int, ...], fan_in: Any, gain: float, power: float, dtype: Any
) -> Float[Array, "..."]:
    """Uniform numbers in +-gain / fan_in^power; fan_in broadcasts against the shape."""
    bound = gain / np.asarray(fan_in, dtype=np.float64) ** power
    n_blocks = -(-math.prod(shape) // _BLOCK)
    blocks_ = [_block(jax.random.fold_in(key, i), dtype) for i in range(n_blocks)]
    return _scaled(blocks_, np.asarray(bound, dtype), shape)


# Random numbers are drawn in blocks of one length, so that one program serves all shapes of arrays.
_BLOCK = 4096


@functools.partial(jax.jit, static_argnums=1)
def _block(key: Key[Array, ""], dtype: Any) -> Float[Array, " n"]:
    return jax.random.uniform(key, (_BLOCK,), dtype, -1.0, 1.0)


@functools.partial(jax.jit, static_argnums=2)
def _scaled(parts: list[Array], bound: Any, shape: tuple[int, ...]) -> Float[Array, "..."]:
    numbers = jnp.concatenate(parts)[: math.prod(shape)].reshape(shape)
    return jnp.broadcast_to(bound, shape) * numbers


class Convolution(eqx.Module):
    """Maps of units that share a kernel, each output map connected to some of the input maps.

    Args:
        size: input height and width.
        n_inputs: input maps.
        table: for each output map the input maps that it sees.
        kernel_size: k, so that kernels are k x k.
        key: draws the weights.
        stride: s.
        padding: rows and columns p added on every side.
        background: grey level of the added rows and columns.
        bias_per_unit: a bias of its own for each unit, or one shared by a map.
        gain, power: range of the first weights; biases begin at 0 where `bias_per_unit`, else like weights.
        dtype: of the parameters.

    Raises:
        ValueError: an argument outside its range, or a kernel larger than the padded picture.
    """

    weights: Float[Array, "k k n_pairs"]
    bias: Float[Array, "..."]
    table: Table = eqx.field(static=True)
    size: int = eqx.field(static=True)
    n_inputs: int = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)
    background: float = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        n_inputs: int,
        table: Sequence[Sequence[int]],
        kernel_size: int,
        *,
        key: Key[Array, ""],
        stride: int = 1,
        padding: int = 0,
        background: float = 0.0,
        bias_per_unit: bool = False,
        gain: float = 2.4,
        power: float = 1.0,
        dtype: Any = jnp.float32,
    ) -> None:
        self.size = check_integer("size", size, 1)
        self.n_inputs = check_integer("n_inputs", n_inputs, 1)
        self.table = check_table("table", table, n_inputs)
        self.stride = check_integer("stride", stride, 1)
        self.padding = check_integer("padding", padding, 0)
        self.background = float(background)
        check_integer("kernel_size", kernel_size, 1, size + 2 * padding)
        fan_in = np.concatenate([[len(row) * kernel_size**2] * len(row) for row in self.table])
        weight_key, bias_key = jax.random.split(key)
        self.weights = uniform(
            weight_key, (kernel_size, kernel_size, len(fan_in)), fan_in[None, None], gain, power, dtype
        )
        if bias_per_unit:
            self.bias = jnp.zeros((self._out(kernel_size), self._out(kernel_size), len(self.table)), dtype)
        else:
            of_map = np.asarray([len(row) * kernel_size**2 for row in self.table])
            self.bias = uniform(bias_key, (len(self.table),), of_map, gain, power, dtype)

    def _out(self, kernel_size: int) -> int:
        return (self.size + 2 * self.padding - kernel_size) // self.stride + 1

    @property
    def output_size(self) -> int:
        """Height and width of the output maps."""
        return self._out(self.weights.shape[0])

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return self.output_size**2 * len(self.table)

    @property
    def n_connections(self) -> int:
        """Connections, with one to the bias for each unit and those into the border counted."""
        k = self.weights.shape[0]
        return self.output_size**2 * sum(len(row) * k * k + 1 for row in self.table)

    def kernel(self) -> Float[Array, "k k n_inputs n_outputs"]:
        """The kernels with zeros where the table has no connection."""
        n_outputs = len(self.table)
        k, _, n_pairs = self.weights.shape
        if n_pairs == self.n_inputs * n_outputs and self.table == full_table(self.n_inputs, n_outputs):
            return self.weights.reshape(k, k, n_outputs, self.n_inputs).swapaxes(2, 3)
        place = np.zeros((n_pairs, self.n_inputs, n_outputs), dtype=np.float32)
        pairs = [(c, m) for m, row in enumerate(self.table) for c in row]
        place[np.arange(n_pairs), [c for c, _ in pairs], [m for _, m in pairs]] = 1.0
        return jnp.tensordot(self.weights, jnp.asarray(place, self.weights.dtype), 1)

    def __call__(self, x: Float[Array, "height width n_inputs"]) -> Float[Array, "out out n_outputs"]:
        """The weighted sums of all units."""
        if self.padding:
            margin = (self.padding, self.padding)
            x = jnp.pad(x, (margin, margin, (0, 0)), constant_values=self.background)
        return self.sums(x)

    def sums(self, x: Float[Array, "height width n_inputs"]) -> Float[Array, "out out n_outputs"]:
        """The weighted sums of all units, of a picture that has its border already."""
        sums = jax.lax.conv_general_dilated(
            x[None],
            self.kernel(),
            (self.stride, self.stride),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )[0]
        return sums + (self.bias if self.bias.ndim == 3 else self.bias[None, None])


class Subsampling(eqx.Module):
    """Trainable average pooling: sums over k x k squares, times a coefficient a map, plus a bias a map.

    Args:
        size: input height and width, a multiple of `factor`.
        n_maps: maps.
        factor: k.
        key: draws coefficients and biases.
        gain, power: range of the first coefficients and biases.
        dtype: of the parameters.

    Raises:
        ValueError: the size is no multiple of the factor.
    """

    coefficient: Float[Array, " n_maps"]
    bias: Float[Array, " n_maps"]
    size: int = eqx.field(static=True)
    factor: int = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        n_maps: int,
        factor: int = 2,
        *,
        key: Key[Array, ""],
        gain: float = 2.4,
        power: float = 1.0,
        dtype: Any = jnp.float32,
    ) -> None:
        self.size = check_integer("size", size, 1)
        self.factor = check_integer("factor", factor, 1)
        require(size % factor == 0, "size", f"be a multiple of {factor} to be subsampled", size)
        coefficient_key, bias_key = jax.random.split(key)
        self.coefficient = uniform(coefficient_key, (n_maps,), factor**2, gain, power, dtype)
        self.bias = uniform(bias_key, (n_maps,), factor**2, gain, power, dtype)

    @property
    def output_size(self) -> int:
        """Height and width of the output maps."""
        return self.size // self.factor

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return self.output_size**2 * self.bias.size

    @property
    def n_connections(self) -> int:
        """Connections, with one to the bias for each unit."""
        return self.n_units * (self.factor**2 + 1)

    def __call__(self, x: Float[Array, "height width n_maps"]) -> Float[Array, "out out n_maps"]:
        """The weighted sums of all units."""
        sums = blocks(x, self.factor).sum((1, 3))
        return sums * self.coefficient[None, None] + self.bias[None, None]


class Dense(eqx.Module):
    """Units that see every input.

    Args:
        n_inputs: inputs of a unit.
        n_units: units.
        key: draws weights and biases.
        gain, power: range of the first weights and biases.
        dtype: of the parameters.
    """

    weights: Float[Array, "n_inputs n_units"]
    bias: Float[Array, " n_units"]

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        *,
        key: Key[Array, ""],
        gain: float = 2.4,
        power: float = 1.0,
        dtype: Any = jnp.float32,
    ) -> None:
        check_integer("n_inputs", n_inputs, 1)
        check_integer("n_units", n_units, 1)
        weight_key, bias_key = jax.random.split(key)
        self.weights = uniform(weight_key, (n_inputs, n_units), n_inputs, gain, power, dtype)
        self.bias = uniform(bias_key, (n_units,), n_inputs, gain, power, dtype)

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return self.bias.size

    @property
    def n_connections(self) -> int:
        """Connections, with one to the bias for each unit."""
        return self.weights.size + self.bias.size

    def __call__(self, x: Float[Array, " n_inputs"]) -> Float[Array, " n_units"]:
        """The weighted sums of all units."""
        return x @ self.weights + self.bias


class RadialBasis(eqx.Module):
    """Units that measure the squared distance of the input to a fixed code, y_i = |x - w_i|^2.

    The codes are integers, hence no parameters: nothing that differentiates or decays real arrays moves them.

    Args:
        codes: one code of -1 and +1 for each unit.
    """

    codes: Int[Array, "n_units n_inputs"]

    def __init__(self, codes: Any) -> None:
        values = np.asarray(codes)
        require(values.ndim == 2, "codes", "have shape (n_units, n_inputs)", values.shape)
        require(bool((np.abs(values) == 1).all()), "codes", "hold only -1 and +1", values.tolist())
        require(
            len(np.unique(values, axis=0)) == len(values), "codes", "differ from class to class", values.shape
        )
        self.codes = jnp.asarray(values, jnp.int8)

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return self.codes.shape[0]

    @property
    def n_connections(self) -> int:
        """Connections; there is no bias."""
        return self.codes.size

    def __call__(self, x: Float[Array, " n_inputs"]) -> Float[Array, " n_units"]:
        """The squared distances, the penalties of the classes."""
        return jnp.sum((x[None] - self.codes.astype(x.dtype)) ** 2, axis=1)


def blocks(
    x: Float[Array, "height width n_maps"], factor: int
) -> Float[Array, "out factor out factor n_maps"]:
    """A picture cut into factor x factor squares, axes 1 and 3; pooling sums or maximises over them."""
    height, width, n_maps = x.shape
    return x.reshape(height // factor, factor, width // factor, factor, n_maps)


def scaled_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1.7159 tanh(2 x / 3), which maps +-1 to +-1 (LeCun, Bottou, Bengio and Haffner 1998, appendix A)."""
    return 1.7159 * jnp.tanh(2.0 / 3.0 * x)


def n_parameters(network: eqx.Module) -> int:
    """Trainable parameters of a network: the numbers in its real arrays."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array)))
