"""Maps that are begun anew for each replica, with rows of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold.dynamics import Process
from neuromanifold.evidence import estimate, measured_variables
from neuromanifold.experiments._experiment import parameter
from neuromanifold.learning import LearnerState, learner
from neuromanifold.learning.competitive import (
    BatchCompetition,
    NormalisedHebb,
    OnlineCompetition,
    RespondingNetwork,
    descent,
)
from neuromanifold.networks.selforganizing import (
    Lattice,
    Neighbourhood,
    SelfOrganizingMap,
    rough_afferents,
)


def strength(default: float, doc: str) -> Any:
    """A parameter that is a lateral strength."""
    return parameter(default, doc=doc, low=0.0)


def extent(
    default: float, doc: str = "its width", *, unit: str = "rings", low: float = 0.01, high: float = 0.5
) -> Any:
    """A parameter that is a width on a ring or a sheet."""
    return parameter(default, doc=doc, unit=unit, low=low, high=high)


def learning_rate(default: float) -> Any:
    """The parameter h of the normalised rule."""
    return parameter(default, doc="rate h of learning", low=1e-4, high=1.0)


def rough_height(default: float) -> Any:
    """The parameter that is the height of the order at the beginning."""
    return parameter(default, doc="height of the rough order at the beginning", low=0.1)


def stored(
    name: str, values: np.ndarray, dims: tuple[str, ...], words: str, units: str = "1", *, axis: int = 0
) -> dict[str, Any]:
    """Variables of a quantity measured on several maps.

    Args:
        name: of the variable.
        values: with an axis for the maps.
        dims: names of the other axes.
        words: what it is.
        units: its units.
        axis: of the maps.
    """
    return measured_variables(name, estimate(values, axis=axis), dims, long_name=words, units=units)


class Uniform(eqx.Module):
    """Rows spread evenly over the unit cube."""

    n_features: int = eqx.field(static=True)

    def __call__(self, key: Key[Array, ""], n_rows: int) -> Float[Array, "n_rows n_features"]:
        """Some rows."""
        return jax.random.uniform(key, (n_rows, self.n_features))

    def one(self, key: Key[Array, ""], t: Any) -> Float[Array, " n_features"]:
        """The row of a step."""
        return self(key, 1)[0]


class Exponential(eqx.Module):
    """Rows of one feature on [0, 1] with density ~ exp(b x), one in each of n equally probable strata."""

    steepness: float

    def __call__(self, key: Key[Array, ""], n_rows: int) -> Float[Array, "n_rows 1"]:
        """Some rows, by the inverse of the distribution."""
        share = (jnp.arange(n_rows) + jax.random.uniform(key, (n_rows,))) / n_rows
        return (jnp.log1p(share * jnp.expm1(self.steepness)) / self.steepness)[:, None]


class MapState(NamedTuple):
    """A map and the rows it learns from."""

    network: SelfOrganizingMap
    rows: Float[Array, "n_rows n_features"]


class BatchEnsemble(eqx.Module):
    """The batch rule on rows drawn for each replica; a step is a pass.

    Args:
        samples: `samples(key, n_rows)` -> rows.
        lattice: where the units are.
        neighbourhood: how learning spreads.
        radius: schedule of the pass.
        n_rows: rows drawn.
        tilt: share in [0, 1] of the first weights that is the lattice laid out flat, the rest is random.
        fresh: rows are drawn anew for each pass.
    """

    samples: Callable[..., Any]
    lattice: Lattice
    neighbourhood: Neighbourhood
    radius: Callable[..., Any]
    n_rows: int = eqx.field(static=True)
    tilt: float = 0.0
    fresh: bool = eqx.field(static=True, default=False)

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> MapState:
        """Draw rows, and weights."""
        key_rows, key_weights = jax.random.split(key)
        rows = self.samples(key_rows, self.n_rows)
        return MapState(_begun(key_weights, self.lattice, self.neighbourhood, rows.shape[1], self.tilt), rows)

    def step(self, key: Key[Array, ""], t: Any, state: MapState) -> tuple[MapState, None]:
        """One pass."""
        rows = self.samples(key, self.n_rows) if self.fresh else state.rows
        rule = BatchCompetition(rows[None], self.radius, self.n_rows, False)
        network, _ = rule.step(key, t, state.network)
        return MapState(network, rows), None

    def weights(self, state: MapState) -> Float[Array, "n_units n_features"]:
        """The weights."""
        return state.network.weights


class OnlineEnsemble(eqx.Module):
    """The online rule on fresh rows; a step is a row.

    Args:
        samples: what the rows are drawn from.
        lattice: where the units are.
        neighbourhood: how learning spreads.
        rate: schedule of the row.
        radius: schedule of the row.
    """

    samples: Uniform
    lattice: Lattice
    neighbourhood: Neighbourhood
    rate: Callable[..., Any]
    radius: Callable[..., Any]

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> LearnerState:
        """Draw weights."""
        return self._learner().init(
            key, _begun(key, self.lattice, self.neighbourhood, self.samples.n_features, 0.0)
        )

    def step(self, key: Key[Array, ""], t: Any, state: LearnerState) -> tuple[LearnerState, None]:
        """One row."""
        state, _ = self._learner().step(key, t, state)
        return state, None

    def _learner(self) -> Process:
        return learner(OnlineCompetition(self.samples.one, self.radius), descent(self.rate))

    def weights(self, state: LearnerState) -> Float[Array, "n_units n_features"]:
        """The weights."""
        return state.params.weights


def _begun(
    key: Key[Array, ""], lattice: Lattice, neighbourhood: Neighbourhood, n_features: int, tilt: Any
) -> SelfOrganizingMap:
    weights = jax.random.uniform(key, (lattice.n_units, n_features))
    flat = lattice.positions[:, ::-1] / np.maximum(lattice.positions.max(axis=0)[::-1], 1.0)
    weights = (1 - tilt) * weights + tilt * jnp.asarray(flat[:, :n_features], weights.dtype)
    return SelfOrganizingMap(weights, lattice, neighbourhood)


class AfferentEnsemble(eqx.Module):
    """Cells that learn by the normalised rule, each replica from afferents of its own; a step is a stimulus.

    Args:
        network: the cells; its afferents give the shape alone.
        begin: `begin(key)` -> the first afferents.
        stimulus: `stimulus(key, t)` -> the stimulus of a step.
        rate: of learning.
    """

    network: Any
    begin: Callable[..., Any]
    stimulus: Callable[..., Any]
    rate: Float[Array, ""]

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> Float[Array, "n_cells n_inputs"]:
        """Draw afferents."""
        return self.begin(key)

    def step(self, key: Key[Array, ""], t: Any, state: Array) -> tuple[Array, None]:
        """One stimulus."""
        change, _, _ = NormalisedHebb(self.stimulus, self.rate)(key, t, self.of(state), None)
        return state - change.afferents, None

    def of(self, afferents: Float[Array, "n_cells n_inputs"]) -> RespondingNetwork:
        """The cells with these afferents."""
        return eqx.tree_at(lambda network: network.afferents, self.network, afferents)

    def afferents(self, state: Array) -> Float[Array, "n_cells n_inputs"]:
        """What is observed."""
        return state


class Roughly(eqx.Module):
    """Random afferents with a rough order."""

    order: Float[Array, "n_cells n_inputs"]

    def __call__(self, key: Key[Array, ""]) -> Float[Array, "n_cells n_inputs"]:
        """Some afferents."""
        return rough_afferents(key, self.order)


class Blobs(eqx.Module):
    """Gaussian blobs at random places of the unit cube.

    Args:
        places: of the inputs, shape (n_inputs, n_dims).
        width: of a blob.
        closed: 1 where the cube closes to a torus, 0 where it has borders.
    """

    places: Float[Array, "n_inputs n_dims"]
    width: Float[Array, ""]
    closed: Float[Array, ""]

    def __call__(self, key: Key[Array, ""], t: Any) -> Float[Array, " n_inputs"]:
        """One blob."""
        apart = self.places - jax.random.uniform(key, (1, self.places.shape[1]))
        apart = apart - self.closed * jnp.round(apart)
        return jnp.exp(-jnp.sum(apart**2, axis=1) / (2 * self.width**2))
