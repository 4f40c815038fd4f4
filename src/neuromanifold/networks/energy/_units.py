"""Layers of units of an energy machine: what values they take, and their law in a given field.

A layer x enters the energy through its statistic s(x), and in a field a its law is

    p(x | a) = exp(a . s(x) - r(x)) / Z(a)

    Bernoulli   x in {0, 1}            s = x            r = 0                  <x> = 1/(1 + exp(-a))
    Spins       x in {-1, +1}          s = x            r = 0                  <x> = tanh a
    Gaussian    x real                 s = x/sigma^2    r = x^2/(2 sigma^2)    <x> = a, variance sigma^2
    Softmax     one of K, as one-hot   s = x            r = 0                  <x> = softmax(a), in each group

With this statistic the field of a Gaussian unit is its conditional mean, whatever its variance. Bernoulli and
Spins describe the same machines: x = 2u - 1 takes couplings W between two layers to W/4.

Source: Welling, Rosen-Zvi and Hinton 2005 (exponential family harmoniums); Salakhutdinov, Mnih and Hinton
2007 (softmax units); Cho, Ilin and Raiko 2011 (learned variances).
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_finite, check_integer, require


@runtime_checkable
class Units(Protocol):
    """A layer of units; see the module's header. All methods take leading axes of a batch."""

    @property
    def n_units(self) -> int:
        """Length of the layer's vector."""
        ...

    @property
    def n_configurations(self) -> int | None:
        """How many values the layer can take; None for infinitely many."""
        ...

    def statistic(self, x: Float[Array, "*batch n_units"]) -> Float[Array, "*batch n_units"]:
        """s(x), what couplings and biases multiply."""
        ...

    def rest(self, x: Float[Array, "*batch n_units"]) -> Float[Array, "*batch"]:
        """r(x), the part of the energy that knows no field."""
        ...

    def log_partition(self, field: Float[Array, "*batch n_units"]) -> Float[Array, "*batch"]:
        """Log Z(a) of the layer."""
        ...

    def mean(self, field: Float[Array, "*batch n_units"]) -> Float[Array, "*batch n_units"]:
        """<x> in a field."""
        ...

    def draw(
        self, key: Key[Array, ""], field: Float[Array, "*batch n_units"]
    ) -> Float[Array, "*batch n_units"]:
        """A draw from the law in a field."""
        ...

    def configuration(self, index: Int[Array, " some"]) -> Float[Array, "some n_units"]:
        """Values number `index` of all; only where they can be counted."""
        ...

    def check(self, name: str, x: Any) -> Array:
        """Data as an array of the layer, refused where the values are not of its support."""
        ...


def _check_data(name: str, x: Any, n_units: int) -> np.ndarray | None:
    shape = np.shape(x)
    require(len(shape) >= 1 and shape[-1] == n_units, name, f"have {n_units} units on its last axis", shape)
    return None if isinstance(x, Tracer) else check_finite(name, x)


def _refuse(name: str, values: np.ndarray, bad: np.ndarray, rule: str) -> None:
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must {rule}, got {values[index].item()!r} at index {index}.")


def _as_real(x: Any) -> Array:
    array = jnp.asarray(x)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def _bits(index: Array, n: int) -> Array:
    return (index[:, None] >> jnp.arange(n, dtype=index.dtype)[None, :]) & 1


def _itself(self: Any, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """X itself."""
    return x


def _no_rest(self: Any, x: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
    """Zero."""
    return jnp.zeros(x.shape[:-1], x.dtype)


@jax.custom_jvp
def _log_one_and(a: Array) -> Array:
    """log(1 + e^a), to the rounding of one; `log1p` would be slower and no better for a sum over units."""
    return jnp.maximum(a, 0.0) + jnp.log(1.0 + jnp.exp(-jnp.abs(a)))


_log_one_and.defjvps(lambda tangent, _, a: tangent * jax.nn.sigmoid(a))


def _up(key: Key[Array, ""], field: Array) -> Array:
    """Whether units come up: probability 1/(1 + exp(-a)).

    Random bits are half of the cost of a draw, so two units share a word of 32: one reads it from its first
    bit and one from its middle, 24 bits each. Each draw is exact to 2^-24. They differ from independent ones
    only where the 16 bits that are a unit's own leave it undecided: their covariance is below 2^-16.
    """
    n = field.shape[-1]
    word = jax.random.bits(key, (*field.shape[:-1], (n + 1) // 2), jnp.uint32)
    both = jnp.concatenate([word, (word << 16) | (word >> 16)], -1)[..., :n]
    return (both >> 8).astype(field.dtype) * 2.0**-24 < jax.nn.sigmoid(field)


class Bernoulli(eqx.Module):
    """Units 0 and 1.

    Args:
        n_units: how many, >= 1.
    """

    n_units: int = eqx.field(static=True)

    def __init__(self, n_units: int) -> None:
        self.n_units = check_integer("n_units", n_units, 1)

    @property
    def n_configurations(self) -> int:
        """2^n."""
        return 2**self.n_units

    statistic = _itself
    rest = _no_rest

    def log_partition(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Sum of log(1 + e^a)."""
        return _log_one_and(field).sum(-1)

    def mean(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """1/(1 + exp(-a))."""
        return jax.nn.sigmoid(field)

    def draw(self, key: Key[Array, ""], field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Every unit for itself."""
        return _up(key, field).astype(field.dtype)

    def configuration(self, index: Int[Array, " some"]) -> Float[Array, "some n"]:
        """The binary digits of a number."""
        return _bits(index, self.n_units).astype(float)

    def check(self, name: str, x: Any) -> Array:
        """Zeros and ones."""
        values = _check_data(name, x, self.n_units)
        if values is not None:
            _refuse(name, values, (values != 0) & (values != 1), "hold only 0 and 1")
        return _as_real(x)


class Spins(eqx.Module):
    """Units -1 and +1.

    Args:
        n_units: how many, >= 1.
    """

    n_units: int = eqx.field(static=True)

    def __init__(self, n_units: int) -> None:
        self.n_units = check_integer("n_units", n_units, 1)

    @property
    def n_configurations(self) -> int:
        """2^n."""
        return 2**self.n_units

    statistic = _itself
    rest = _no_rest

    def log_partition(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Sum of log(2 cosh a)."""
        return (_log_one_and(2.0 * field) - field).sum(-1)

    def mean(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Tanh a."""
        return jnp.tanh(field)

    def draw(self, key: Key[Array, ""], field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Every unit for itself."""
        return 2.0 * _up(key, 2.0 * field).astype(field.dtype) - 1.0

    def configuration(self, index: Int[Array, " some"]) -> Float[Array, "some n"]:
        """The binary digits of a number, as signs."""
        return 2.0 * _bits(index, self.n_units).astype(float) - 1.0

    def check(self, name: str, x: Any) -> Array:
        """Signs."""
        values = _check_data(name, x, self.n_units)
        if values is not None:
            _refuse(name, values, np.abs(values) != 1, "hold only -1 and +1")
        return _as_real(x)


class Gaussian(eqx.Module):
    """Real units of given or learned variance.

    Args:
        n_units: how many, >= 1.
        variance: sigma^2 > 0, a number or one for each unit.
        learned: whether learning may change the variances; it moves their logarithms.

    Raises:
        ValueError: a variance that is not positive, or of another shape.
    """

    log_variance: Float[Array, " n_units"]
    n_units: int = eqx.field(static=True)
    learned: bool = eqx.field(static=True)

    def __init__(self, n_units: int, variance: Any = 1.0, *, learned: bool = False) -> None:
        self.n_units = check_integer("n_units", n_units, 1)
        values = check_finite("variance", variance)
        require(
            values.shape in ((), (n_units,)),
            "variance",
            f"be a number or have shape ({n_units},)",
            values.shape,
        )
        require(np.all(values > 0), "variance", "be > 0", variance)
        self.log_variance = jnp.asarray(np.broadcast_to(np.log(values.astype(np.float64)), (n_units,)), float)
        self.learned = learned

    @property
    def n_configurations(self) -> None:
        """Infinitely many."""
        return

    @property
    def variance(self) -> Float[Array, " n_units"]:
        """Sigma^2 of every unit."""
        return jnp.exp(self.log_variance if self.learned else jax.lax.stop_gradient(self.log_variance))

    def _each(self, batch: int) -> Array:
        return self.variance.reshape((1,) * batch + (-1,))

    def statistic(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """x/sigma^2."""
        return x / self._each(x.ndim - 1)

    def rest(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Sum of x^2/(2 sigma^2)."""
        return 0.5 * (x**2 / self._each(x.ndim - 1)).sum(-1)

    def log_partition(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Sum of a^2/(2 sigma^2) + log(2 pi sigma^2)/2."""
        variance = self._each(field.ndim - 1)
        return 0.5 * (field**2 / variance + jnp.log(variance) + math.log(2.0 * math.pi)).sum(-1)

    def mean(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """The field itself."""
        return field

    def draw(self, key: Key[Array, ""], field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Field plus noise."""
        noise = jax.random.normal(key, field.shape, field.dtype)
        return field + jnp.sqrt(self._each(field.ndim - 1)) * noise

    def configuration(self, index: Int[Array, " some"]) -> Float[Array, "some n"]:
        """None: real units cannot be counted.

        Raises:
            ValueError: always.
        """
        raise ValueError("units must be countable to be enumerated, got Gaussian units.")

    def check(self, name: str, x: Any) -> Array:
        """Finite numbers."""
        _check_data(name, x, self.n_units)
        return _as_real(x)


class Softmax(eqx.Module):
    """Groups of units of which exactly one is 1: variables with several values, as one-hot vectors.

    Args:
        n_groups: variables, >= 1.
        n_values: values of each, >= 2.
    """

    n_groups: int = eqx.field(static=True)
    n_values: int = eqx.field(static=True)

    def __init__(self, n_groups: int, n_values: int) -> None:
        self.n_groups = check_integer("n_groups", n_groups, 1)
        self.n_values = check_integer("n_values", n_values, 2)

    @property
    def n_units(self) -> int:
        """Length of the vector: groups times values."""
        return self.n_groups * self.n_values

    @property
    def n_configurations(self) -> int:
        """values^groups."""
        return self.n_values**self.n_groups

    def _grouped(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.n_groups, self.n_values)

    statistic = _itself
    rest = _no_rest

    def log_partition(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Sum over groups of log sum e^a."""
        return jax.nn.logsumexp(self._grouped(field), -1).sum(-1)

    def mean(self, field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Softmax in every group."""
        return jax.nn.softmax(self._grouped(field), -1).reshape(field.shape)

    def draw(self, key: Key[Array, ""], field: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """One value for every group."""
        chosen = jax.random.categorical(key, self._grouped(field))
        return jax.nn.one_hot(chosen, self.n_values, dtype=field.dtype).reshape(field.shape)

    def configuration(self, index: Int[Array, " some"]) -> Float[Array, "some n"]:
        """The digits of a number to the base of the number of values, one-hot."""
        powers = self.n_values ** jnp.arange(self.n_groups, dtype=index.dtype)
        digits = index[:, None] // powers[None, :] % self.n_values
        return jax.nn.one_hot(digits, self.n_values, dtype=float).reshape(len(index), self.n_units)

    def check(self, name: str, x: Any) -> Array:
        """One-hot groups."""
        values = _check_data(name, x, self.n_units)
        if values is not None:
            groups = values.reshape(*values.shape[:-1], self.n_groups, self.n_values)
            _refuse(name, values, (values != 0) & (values != 1), "hold only 0 and 1")
            bad = groups.sum(-1) != 1
            _refuse(name, groups.sum(-1), bad, f"have one 1 in every group of {self.n_values}")
        return _as_real(x)
