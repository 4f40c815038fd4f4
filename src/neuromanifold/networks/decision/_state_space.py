"""Prediction, filtering and postdiction of a hidden state: the linear Gaussian model.

    x_{t+1} = A x_t + w_t,  w ~ N(0, Q)        y_t = C x_t + v_t,  v ~ N(0, R)        x_0 ~ N(m, P)

`predict` knows y_0 ... y_{t-1}, `filter` also y_t (Kalman 1960), `smooth` what comes after the event as well:
y_0 ... y_{t+L} for a lag L, or all (Rauch, Tung and Striebel 1965). That postdiction in perception works this
way is an interpretation, not a claim of the sources.

A lag is added one observation at a time. With e_t = y_t - C x_{t|t-1}, S_t = C P_{t|t-1} C^T + R, the gain
K_t and G_{t,0} = P_{t|t-1}, G_{t,j+1} = G_{t,j} (A (I - K_{t+j} C))^T,

    x_{t|t+j} = x_{t|t+j-1} + G_{t,j} C^T S_{t+j}^{-1} e_{t+j}
    P_{t|t+j} = P_{t|t+j-1} - G_{t,j} C^T S_{t+j}^{-1} C G_{t,j}^T,

for all t together: lag L costs L steps whatever the length of the recording, and all lags below come with it.
Several recordings of one model share all covariances.

Use float64 (`with jax.enable_x64(True):`) where variances matter beyond six digits. Time: steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from numpy.typing import ArrayLike

from neuromanifold._base import check_finite, check_integer, require
from neuromanifold.dynamics import Process, run


class Beliefs(NamedTuple):
    """Means and covariances of the hidden state at every time.

    Args:
        mean: shape (n_sequences, n_times, n_states); without the first axis for one recording.
        covariance: shape (n_times, n_states, n_states), the same for all recordings.
    """

    mean: Float[Array, "..."]
    covariance: Float[Array, "n_times n_states n_states"]


class _Knowledge(NamedTuple):
    """What the filter carries: predicted and filtered moments, innovation, its precision, C and gain."""

    predicted: Float[Array, "n_sequences n_states"]
    predicted_covariance: Float[Array, "n_states n_states"]
    mean: Float[Array, "n_sequences n_states"]
    covariance: Float[Array, "n_states n_states"]
    innovation: Float[Array, "n_sequences n_outputs"]
    precision: Float[Array, "n_outputs n_outputs"]
    shrink: Float[Array, "n_states n_states"]


class LinearGaussian(eqx.Module):
    """A linear Gaussian state-space model; see the module's header.

    Args:
        transition: A, shape (n_states, n_states).
        output: C, shape (n_outputs, n_states).
        process_noise: Q, symmetric, positive semidefinite.
        output_noise: R, symmetric, positive definite.
        initial_mean: m of x_0; zero where None.
        initial_covariance: P of x_0, positive semidefinite; the identity where None.

    Raises:
        ValueError: shapes that disagree, or a matrix that is no covariance.

    >>> import jax, numpy as np
    >>> from neuromanifold.networks.decision import LinearGaussian
    >>> with jax.enable_x64(True):
    ...     model = LinearGaussian([[0.9]], [[1.0]], [[0.19]], [[0.5]])
    ...     y = np.zeros((60, 1))
    ...     parts = model.predict(y), model.filter(y), model.smooth(y, 4), model.smooth(y)
    ...     print(*(f"{float(part.covariance[30, 0, 0]):.6f}" for part in parts))
    0.359359 0.209086 0.152633 0.152312
    """

    transition: Float[Array, "n_states n_states"]
    output: Float[Array, "n_outputs n_states"]
    process_noise: Float[Array, "n_states n_states"]
    output_noise: Float[Array, "n_outputs n_outputs"]
    initial_mean: Float[Array, " n_states"]
    initial_covariance: Float[Array, "n_states n_states"]

    def __init__(
        self,
        transition: ArrayLike,
        output: ArrayLike,
        process_noise: ArrayLike,
        output_noise: ArrayLike,
        initial_mean: ArrayLike | None = None,
        initial_covariance: ArrayLike | None = None,
    ):
        a, c = check_finite("transition", transition), check_finite("output", output)
        require(a.ndim == 2 and a.shape[0] == a.shape[1], "transition", "be a square matrix", a.shape)
        n = len(a)
        require(c.ndim == 2 and c.shape[1] == n, "output", f"have shape (n_outputs, {n})", c.shape)
        kind = jnp.result_type(float)
        self.transition, self.output = jnp.asarray(a, kind), jnp.asarray(c, kind)
        self.process_noise = _covariance("process_noise", process_noise, n, definite=False)
        self.output_noise = _covariance("output_noise", output_noise, len(c), definite=True)
        mean = np.zeros(n) if initial_mean is None else check_finite("initial_mean", initial_mean)
        require(mean.shape == (n,), "initial_mean", f"have shape ({n},)", mean.shape)
        self.initial_mean = jnp.asarray(mean, kind)
        given = np.eye(n) if initial_covariance is None else initial_covariance
        self.initial_covariance = _covariance("initial_covariance", given, n, definite=False)

    def simulate(self, key: Key[Array, ""], n_times: int, n_sequences: int) -> tuple[Array, Array]:
        """Hidden states and observations, shapes (n_sequences, n_times, n_states) and (..., n_outputs)."""
        check_integer("n_times", n_times, 1)
        check_integer("n_sequences", n_sequences, 1)
        made = run(self.process(n_sequences), key, None, n_times - 1, observe=_both)
        hidden, seen = (jnp.moveaxis(jnp.asarray(v), 0, 1) for v in made.values)
        return hidden, seen

    def process(self, n_sequences: int) -> Process:
        """The model as a process on (x_t, y_t) of several sequences, independent of each other."""
        moved = _Generative(self, check_integer("n_sequences", n_sequences, 1))
        return Process(moved.init, moved.step)

    def predict(self, y: ArrayLike) -> Beliefs:
        """Before the event: x_t from y_0 ... y_{t-1}.

        Args:
            y: observations, shape (n_times, n_outputs) or (n_sequences, n_times, n_outputs).

        Raises:
            ValueError: observations of another shape, or not finite.
        """
        seen, single = self._observations(y)
        known = self._filtered(seen)
        return _beliefs(known.predicted, known.predicted_covariance, single)

    def filter(self, y: ArrayLike) -> Beliefs:
        """At the event: x_t from y_0 ... y_t; arguments as for `predict`."""
        seen, single = self._observations(y)
        known = self._filtered(seen)
        return _beliefs(known.mean, known.covariance, single)

    def smooth(self, y: ArrayLike, lag: int | None = None) -> Beliefs:
        """After the event: x_t from y_0 ... y_{t+lag}, or from all where lag is None.

        Args:
            y: see `predict`.
            lag: observations after the event, >= 0; fewer are taken where the recording ends.

        Raises:
            ValueError: a negative lag.
        """
        seen, single = self._observations(y)
        lag = None if lag is None else check_integer("lag", lag, 0)
        known = self._filtered(seen)
        if lag is None:
            back = _Backward(self, known)
            last = jax.tree.map(lambda x: x[-1], (known.mean, known.covariance))
            made = run(
                Process(back.init, back.step), jax.random.key(0), last, seen.shape[1] - 1, observe=_same
            ).values
            mean, covariance = (jnp.flip(jnp.asarray(v), 0) for v in made)
            return _beliefs(mean, covariance, single)
        more = _Lagged(self, known)
        made = run(Process(more.init, more.step), jax.random.key(0), None, lag).state
        return _beliefs(made.mean, made.covariance, single)

    def _observations(self, y: ArrayLike) -> tuple[Array, bool]:
        values = check_finite("y", y)
        single = values.ndim == 2
        values = values[None] if single else values
        n = len(self.output)
        good = values.ndim == 3 and values.shape[2] == n and values.shape[1] >= 1
        require(good, "y", f"have shape (n_times, {n}) or (n_sequences, n_times, {n})", np.shape(y))
        return jnp.asarray(values, self.transition.dtype), single

    def _filtered(self, seen: Array) -> _Knowledge:
        """Everything the filter knows, times first."""
        moved = _Forward(self, jnp.moveaxis(seen, 1, 0))
        made = run(Process(moved.init, moved.step), jax.random.key(0), None, seen.shape[1] - 1, observe=_same)
        return jax.tree.map(jnp.asarray, made.values)


class _Generative(eqx.Module):
    model: LinearGaussian
    n_sequences: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Any) -> tuple[Array, Array]:
        del x0
        model = self.model
        return self._seen(key, model.initial_mean[None, :], model.initial_covariance)

    def step(
        self, key: Key[Array, ""], t: Any, state: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        del t
        return self._seen(key, state[0] @ self.model.transition.T, self.model.process_noise), None

    def _seen(self, key: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
        model = self.model
        n, m = len(model.transition), len(model.output)
        normal = jax.random.normal(key, (self.n_sequences, n + m), mean.dtype)
        x = mean + normal[:, :n] @ _root(covariance).T
        return x, x @ model.output.T + normal[:, n:] @ jnp.linalg.cholesky(model.output_noise).T


class _Forward(eqx.Module):
    model: LinearGaussian
    seen: Float[Array, "n_times n_sequences n_outputs"]

    def init(self, key: Any, x0: Any) -> _Knowledge:
        del key, x0
        shape = (self.seen.shape[1], len(self.model.transition))
        return self._update(
            jnp.broadcast_to(self.model.initial_mean, shape), self.model.initial_covariance, self.seen[0]
        )

    def step(self, key: Any, t: Int[Array, ""], known: _Knowledge) -> tuple[_Knowledge, None]:
        del key
        a = self.model.transition
        mean, covariance = known.mean @ a.T, a @ known.covariance @ a.T + self.model.process_noise
        return self._update(mean, covariance, self.seen[t + 1]), None

    def _update(self, mean: Array, covariance: Array, y: Array) -> _Knowledge:
        c, r = self.model.output, self.model.output_noise
        spread = c @ covariance @ c.T + r
        precision = jnp.linalg.inv(0.5 * (spread + spread.T))
        gain = covariance @ c.T @ precision
        error = y - mean @ c.T
        shrink = jnp.eye(len(covariance), dtype=covariance.dtype) - gain @ c
        # Joseph's form stays a covariance under rounding.
        new = shrink @ covariance @ shrink.T + gain @ r @ gain.T
        return _Knowledge(mean, covariance, mean + error @ gain.T, new, error, precision, shrink)


class _Backward(eqx.Module):
    """Rauch, Tung and Striebel's recursion; step k goes from time T - 1 - k to the one before."""

    model: LinearGaussian
    known: _Knowledge

    def init(self, key: Any, last: Any) -> Any:
        del key
        return last

    def step(
        self, key: Any, t: Int[Array, ""], later: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        del key
        a = self.model.transition
        after = len(self.known.mean) - 1 - t
        here, ahead = (jax.tree.map(lambda x, i=i: x[i], self.known) for i in (after - 1, after))
        # Solves for the gain P_{t|t} A^T P_{t+1|t}^{-1} where the prediction has no null space.
        gain = jnp.linalg.solve(ahead.predicted_covariance, a @ here.covariance).T
        mean = here.mean + (later[0] - ahead.predicted) @ gain.T
        covariance = here.covariance + gain @ (later[1] - ahead.predicted_covariance) @ gain.T
        return (mean, covariance), None


class _LagState(NamedTuple):
    mean: Float[Array, "n_times n_sequences n_states"]
    covariance: Float[Array, "n_times n_states n_states"]
    cross: Float[Array, "n_times n_states n_states"]


class _Lagged(eqx.Module):
    """One more observation after the event a step, for all times together."""

    model: LinearGaussian
    known: _Knowledge

    def init(self, key: Any, x0: Any) -> _LagState:
        del key, x0
        return _LagState(self.known.mean, self.known.covariance, self.known.predicted_covariance)

    def step(self, key: Any, t: Int[Array, ""], state: _LagState) -> tuple[_LagState, None]:
        del key
        n_times = len(self.known.mean)
        a, c = self.model.transition, self.model.output
        at = jnp.minimum(jnp.arange(n_times) + t, n_times - 1)
        ahead = jnp.minimum(at + 1, n_times - 1)
        cross = jnp.einsum("tij,tkj->tik", state.cross, jnp.einsum("ij,tjk->tik", a, self.known.shrink[at]))
        exists = (jnp.arange(n_times) + t + 1 < n_times).astype(a.dtype)
        seen = jnp.einsum("tij,kj,tkl->til", cross, c, self.known.precision[ahead]) * exists[:, None, None]
        mean = state.mean + jnp.einsum("til,tsl->tsi", seen, self.known.innovation[ahead])
        covariance = state.covariance - jnp.einsum("til,lk,tjk->tij", seen, c, cross)
        return _LagState(mean, covariance, cross), None


def _same(state: Any) -> Any:
    return state


def _both(state: tuple[Array, Array]) -> tuple[Array, Array]:
    return state


def _beliefs(mean: Array, covariance: Array, single: bool) -> Beliefs:
    return Beliefs(mean[:, 0] if single else jnp.moveaxis(mean, 0, 1), covariance)


def _root(covariance: Array) -> Array:
    """A matrix whose product with its transpose is the covariance, singular ones included."""
    values, vectors = jnp.linalg.eigh(covariance)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]


def _covariance(name: str, values: ArrayLike, n: int, *, definite: bool) -> Array:
    matrix = check_finite(name, values).astype(np.float64)
    require(matrix.shape == (n, n), name, f"have shape ({n}, {n})", matrix.shape)
    require(np.allclose(matrix, matrix.T, rtol=1e-6), name, "be symmetric", matrix.tolist())
    least = float(np.linalg.eigvalsh(matrix)[0])
    slack = 1e-9 * float(np.abs(matrix).max(initial=0.0))
    word = "positive definite" if definite else "positive semidefinite"
    good = least > slack if definite else least >= -slack
    require(good, name, f"be {word}", f"a matrix with least eigenvalue {least:.6g}")
    return jnp.asarray(matrix, jnp.result_type(float))
