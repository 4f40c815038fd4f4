"""Restricted Boltzmann machine: two layers, coupled to each other and not within.

    E(v, h) = r(v) + r(h) - b . s(v) - c . s(h) - s(h)^T W s(v),     p(v, h) = exp(-E(v, h)) / Z

s and r are statistic and rest of the units (see `Bernoulli`, `Spins`, `Gaussian`, `Softmax`). For units of
unit variance or two values this is exp(b.v + c.h + h^T W v - |v|^2/2 [v Gaussian] - |h|^2/2 [h Gaussian]);
with a visible variance it is exp(-|v - b|^2/(2 sigma^2) + c.h + h^T W v/sigma^2), so p(v|h) = N(b + W^T h,
sigma^2). Given one layer the other is independent, unit by unit, in the fields

    a_h = c + W s(v),     a_v = b + W^T s(h),

and with log Z_h(a) the hidden layer's log partition the visible law is exp(-F(v))/Z,

    F(v) = r(v) - b . s(v) - log Z_h(c + W s(v)).

`log_partition` sums over the layer with fewer values, or is closed where both are Gaussian.

Symbols: W `couplings` (k, n), b `visible_bias`, c `hidden_bias`. Nats throughout.
Source: Smolensky 1986; Hinton 2002, Neural Comput. 14:1771; Welling, Rosen-Zvi and Hinton 2005.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Key

from neuromanifold._base import check_finite, check_real, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.energy._units import Gaussian, Softmax, Units

# Sums over more configurations than 2^20 are refused; they go block by block, so that memory stays small.
LARGEST_SUM = 2**20
_BLOCK = 2**11


class RestrictedBoltzmann(eqx.Module):
    """Two layers of units and what couples them; see the module's header.

    Args:
        visible: units of the visible layer, n in all.
        hidden: units of the hidden layer, k in all.
        couplings: W, shape (k, n).
        visible_bias: b, a number or shape (n,).
        hidden_bias: c, a number or shape (k,).

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, or two Gaussian layers with couplings
            whose largest singular value (in units of the standard deviations) is not below 1, which have no
            law.

    >>> import jax, numpy as np
    >>> from neuromanifold.networks.energy import Bernoulli, RestrictedBoltzmann
    >>> machine = RestrictedBoltzmann(Bernoulli(2), Bernoulli(1), np.array([[1.0, -1.0]]))
    >>> round(float(machine.log_partition()), 4)    # log(4 + 1 + e + 1/e + 1)
    2.2068
    """

    visible: Units
    hidden: Units
    couplings: Float[Array, "k n"]
    visible_bias: Float[Array, " n"]
    hidden_bias: Float[Array, " k"]

    def __init__(
        self, visible: Units, hidden: Units, couplings: Any, visible_bias: Any = 0.0, hidden_bias: Any = 0.0
    ) -> None:
        self.visible, self.hidden = visible, hidden
        shape = (hidden.n_units, visible.n_units)
        given = jnp.asarray(couplings).dtype
        dtype = given if jnp.issubdtype(given, jnp.floating) else jnp.result_type(float)
        self.couplings = _real("couplings", couplings, shape, dtype)
        self.visible_bias = _real("visible_bias", visible_bias, shape[1:], dtype)
        self.hidden_bias = _real("hidden_bias", hidden_bias, shape[:1], dtype)
        if self.both_gaussian and not isinstance(self.scaled_couplings, Tracer):
            norm = float(np.linalg.norm(np.asarray(self.scaled_couplings), 2))
            rule = "have a largest singular value below 1 between two Gaussian layers"
            require(norm < 1, "couplings", rule, norm)

    @staticmethod
    def random(
        key: Key[Array, ""], visible: Units, hidden: Units, scale: float = 0.01
    ) -> RestrictedBoltzmann:
        """A machine with independent Gaussian couplings and no biases, to begin learning from.

        Args:
            key: of the couplings.
            visible: units of the visible layer.
            hidden: units of the hidden layer.
            scale: standard deviation of a coupling, >= 0.
        """
        scale = check_real("scale", scale, 0)
        draws = jax.random.normal(key, (hidden.n_units, visible.n_units))
        return RestrictedBoltzmann(visible, hidden, scale * draws)

    @property
    def both_gaussian(self) -> bool:
        """Whether both layers are Gaussian."""
        return isinstance(self.visible, Gaussian) and isinstance(self.hidden, Gaussian)

    @property
    def scaled_couplings(self) -> Float[Array, "k n"]:
        """Couplings between units in units of their standard deviations, W_ij / (sigma_i sigma_j)."""
        return self.couplings / (_deviation(self.hidden)[:, None] * _deviation(self.visible)[None, :])

    @property
    def flipped(self) -> RestrictedBoltzmann:
        """The same machine with its layers exchanged."""
        return RestrictedBoltzmann(
            self.hidden, self.visible, self.couplings.T, self.hidden_bias, self.visible_bias
        )

    def hidden_field(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch k"]:
        """The fields a_h = c + W s(v)."""
        return _raised(self.hidden_bias, v) + self.visible.statistic(v) @ self.couplings.T

    def visible_field(self, h: Float[Array, "*batch k"]) -> Float[Array, "*batch n"]:
        """The fields a_v = b + W^T s(h)."""
        return _raised(self.visible_bias, h) + self.hidden.statistic(h) @ self.couplings

    def energy(self, v: Float[Array, "*batch n"], h: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        """E(v, h)."""
        hidden = (self.hidden.statistic(h) * self.hidden_field(v)).sum(-1)
        return (
            self.visible.rest(v)
            + self.hidden.rest(h)
            - self.visible.statistic(v) @ self.visible_bias
            - hidden
        )

    def free_energy(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """F(v) = -log sum_h exp(-E(v, h))."""
        own = self.visible.rest(v) - self.visible.statistic(v) @ self.visible_bias
        return own - self.hidden.log_partition(self.hidden_field(v))

    def log_weight(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """-F(v): the logarithm of the visible law up to a constant."""
        return -self.free_energy(v)

    def log_partition(self) -> Float[Array, ""]:
        """Log Z, exactly.

        Raises:
            ValueError: neither layer has at most 2^20 values, and they are not both Gaussian.
        """
        if self.both_gaussian:
            return self._gaussian_log_partition()
        counts = [count or np.inf for count in (self.hidden.n_configurations, self.visible.n_configurations)]
        rule = f"have at most 2^20 = {LARGEST_SUM} values to be summed over"
        require(min(counts) <= LARGEST_SUM, "the smaller layer", rule, min(counts))
        machine = self.flipped if counts[0] <= counts[1] else self
        return log_sum(machine.log_weight, machine.visible.configuration, int(min(counts)))

    def _gaussian_log_partition(self) -> Array:
        scaled = self.scaled_couplings
        spread = [_deviation(units) for units in (self.visible, self.hidden)]
        n = sum(len(part) for part in spread)
        precision = jnp.block([[jnp.eye(scaled.shape[1]), -scaled.T], [-scaled, jnp.eye(scaled.shape[0])]])
        shift = jnp.concatenate([self.visible_bias / spread[0], self.hidden_bias / spread[1]])
        solved = jnp.linalg.solve(precision, shift)
        scale = sum(jnp.log(part).sum() for part in spread)
        log_determinant = jnp.linalg.slogdet(precision)[1]
        return 0.5 * n * jnp.log(2.0 * jnp.pi) + scale - 0.5 * log_determinant + 0.5 * shift @ solved

    def log_likelihood(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Log p(v), exactly; see `log_partition` for when it can be had."""
        return self.log_weight(v) - self.log_partition()

    def tempered(self, beta: Any, base_bias: Any = None) -> RestrictedBoltzmann:
        """The machine on the way from one without couplings (beta = 0) to itself (beta = 1).

        W and c are multiplied by beta, b goes from `base_bias` to itself; the units' own spread stays.

        Args:
            beta: in [0, 1].
            base_bias: visible bias at beta = 0, shape (n,); None for the machine's own.
        """
        bias = self.visible_bias
        if base_bias is not None:
            bias = (1.0 - beta) * jnp.asarray(base_bias, bias.dtype) + beta * bias
        return eqx.tree_at(
            lambda m: (m.couplings, m.visible_bias, m.hidden_bias),
            self,
            (beta * self.couplings, bias, beta * self.hidden_bias),
        )

    def sweep(self, key: Key[Array, ""], v: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """One step of block Gibbs sampling: h given v, then v given h."""
        hidden_key, visible_key = jax.random.split(key)
        h = self.hidden.draw(hidden_key, self.hidden_field(v))
        return self.visible.draw(visible_key, self.visible_field(h))

    def begin(self, key: Key[Array, ""], n_chains: int) -> Float[Array, "n_chains n"]:
        """States to begin chains from: visible units drawn in their biases alone."""
        return self.visible.draw(key, jnp.broadcast_to(self.visible_bias, (n_chains, self.visible.n_units)))

    def reconstruct(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Mean visible units given the mean hidden units given v."""
        return self.visible.mean(self.visible_field(self.hidden.mean(self.hidden_field(v))))

    def process(self, known: Any = None) -> Process:
        """Block Gibbs sampling of the visible layer as a process, from given values.

        Args:
            known: shape (n,), True for visible units that keep their values, so that the rest is drawn from
                the law given them; None for no such unit.

        Raises:
            ValueError: `known` has another shape or type, or splits a group of softmax units.
        """
        if known is None:
            chain = _Chain(self, None)
            return Process(chain.init, chain.step, log_weight=self.log_weight)
        n, mask = self.visible.n_units, np.asarray(known)
        require(mask.shape == (n,) and mask.dtype == bool, "known", f"be {n} truth values", known)
        if isinstance(self.visible, Softmax):
            groups = mask.reshape(self.visible.n_groups, -1)
            require(np.all(groups == groups[:, :1]), "known", "hold whole groups of softmax units", known)
        chain = _Chain(self, jnp.asarray(mask))
        return Process(chain.init, chain.step)


class _Chain(eqx.Module):
    machine: RestrictedBoltzmann
    known: Bool[Array, " n"] | None

    def init(self, key: Key[Array, ""], x0: Any) -> Array:
        """Visible values, checked."""
        return self.machine.visible.check("x0", x0).astype(self.machine.couplings.dtype)

    def step(self, key: Key[Array, ""], t: Any, v: Array) -> tuple[Array, None]:
        """One sweep; known units keep their values."""
        moved = self.machine.sweep(key, v)
        return moved if self.known is None else jnp.where(_raised(self.known, v), v, moved), None


def log_sum(log_weight: Any, configuration: Any, count: int) -> Float[Array, ""]:
    """The logarithm of a sum of weights over configurations 0 ... count - 1, block by block.

    Args:
        log_weight: of configurations, (some, n) -> (some,).
        configuration: of numbers, (some,) -> (some, n).
        count: how many there are, >= 1.
    """
    if count <= _BLOCK:
        return jax.nn.logsumexp(log_weight(configuration(jnp.arange(count))))
    n_blocks = -(-count // _BLOCK)

    @jax.checkpoint
    def block(number: Array) -> Array:
        index = number * _BLOCK + jnp.arange(_BLOCK)
        weights = log_weight(configuration(jnp.minimum(index, count - 1)))
        return jax.nn.logsumexp(jnp.where(index < count, weights, -jnp.inf))

    return jax.nn.logsumexp(jax.lax.map(block, jnp.arange(n_blocks)))


def _real(name: str, values: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    if not isinstance(values, Tracer):
        values = check_finite(name, values)
    given = np.shape(values)
    rule = f"have shape {shape}" if len(shape) == 2 else f"be a number or have shape {shape}"
    require(given == shape or (len(shape) == 1 and given == ()), name, rule, given)
    return jnp.broadcast_to(jnp.asarray(values, dtype), shape)


def _raised(vector: Array, like: Array) -> Array:
    """A vector with as many axes as a batch of them."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def _deviation(units: Units) -> Array:
    return jnp.sqrt(units.variance) if isinstance(units, Gaussian) else jnp.ones(units.n_units)
