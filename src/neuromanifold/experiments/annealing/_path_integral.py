"""Path integrals against the quantum system that they stand for, and as a way to anneal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.networks.energy import Ising, PathState, annealing, path_integral_annealing, random_spins
from neuromanifold.theory.energy import spin_energies, transverse_averages

_AVERAGES = ("energy", "turned")
_WORDS = {"energy": "energy per spin", "turned": "mean of X per spin"}
_METHODS = ("path integral", "simulated annealing")


@experiment(
    Card(
        name="path-integral-annealing",
        title="A quantum system as slices in imaginary time, sampled and annealed",
        topic="annealing",
        lecture="B",
        systems=("B5",),
        idea=(
            "Spins in a transverse field at a temperature are classical paths: copies of the spins, slice by "
            "slice, that hold each other. A simulation of a few slices is compared with the exact "
            "averages of just as many slices, which it must meet, and which differ from the quantum system "
            "by the inverse square of their number, so that two numbers of slices, extrapolated, give the "
            "quantum system. Then the field is turned down on spin glasses small enough for all states to be "
            "looked at: slow annealing finds the true ground state, as plain simulated annealing does with "
            "as many sweeps in all, and fast annealing of either kind does not always."
        ),
        equations=(
            ("System", r"H = E(Z) - \Gamma \sum_i X_i"),
            (
                "Paths",
                r"\exp\left(-\frac{1}{P T} \sum_k E(s^k) + K \sum_{k, i} s_i^k s_i^{k+1}\right), \quad "
                r"K = -\frac{1}{2} \ln \tanh \frac{\Gamma}{P T}",
            ),
            ("Slices", r"A_P = A + c / P^2 + O(P^{-4}), \quad A \approx (4 A_{2P} - A_P) / 3"),
        ),
        sources=("suzuki1976", "santoromartonaktosatticar2002", "kirkpatrickgelattvecchi1983"),
        caption=(
            "Left: what slices get wrong, against their number; lines: exact, points: sampled paths less the "
            "exact quantum average. Right: best energy found above the ground state, per spin, against the "
            "sweeps of the annealing, all slices counted, of the path integral and of plain annealing."
        ),
    ),
    full={
        "slices": (4, 8),
        "n_replicas": 4000,
        "n_sweeps": 1000,
        "n_instances": 12,
        "durations": (3, 10, 30, 100),
    },
)
class PathIntegralAnnealing:
    """Averages of sampled paths, and annealing of small glasses."""

    n_spins: int = parameter(8, doc="spins", low=2, high=8)
    field: float = parameter(1.0, doc="transverse field Gamma in equilibrium", unit="energy", low=0.1)
    temperature: float = parameter(0.3, doc="temperature T in equilibrium", unit="energy", low=0.1)
    slices: tuple[int, ...] = parameter(
        (4,), doc="numbers of slices, each twice the one before; the last one anneals", low=4
    )
    n_replicas: int = parameter(500, doc="independent paths, and annealings of each glass", low=20)
    n_sweeps: int = parameter(100, doc="sweeps of the paths before they are read", unit="sweeps", low=40)
    instance: int = parameter(1, doc="number of the first random glass", low=0)
    n_instances: int = parameter(
        3, doc="glasses that are annealed; the first is the one in equilibrium", low=1
    )
    durations: tuple[int, ...] = parameter(
        (3, 12, 48), doc="sweeps of path integrals that anneal, rising", low=2
    )

    fields: tuple[float, ...] = parameter(
        (3.0, 0.05), doc="transverse fields that annealing begins and ends with", unit="energy", low=1e-3
    )
    warmth: float = parameter(
        0.4, doc="P T while slices anneal, the temperature of one by itself", unit="energy", low=1e-3
    )
    temperatures: tuple[float, ...] = parameter(
        (2.0, 0.1), doc="temperatures that plain annealing begins and ends with", unit="energy", low=1e-3
    )

    def check(self) -> None:
        """Slices double, durations rise, both kinds of annealing fall."""
        for name, ends in (("fields", self.fields), ("temperatures", self.temperatures)):
            require(len(ends) == 2 and ends[0] > ends[1], name, "be two numbers that fall", ends)
        doubled = all(b == 2 * a for a, b in pairwise(self.slices))
        require(doubled, "slices", "double from each to the next", self.slices)
        require(all(n % 2 == 0 for n in self.slices), "slices", "be even", self.slices)
        rising = len(self.durations) >= 2 and all(np.diff(self.durations) > 0)
        require(rising, "durations", "be at least two that rise", self.durations)

    def _problem(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Couplings and biases of a glass; without biases every state would have its mirror image."""
        random = np.random.default_rng(self.instance + number)
        n = self.n_spins
        upper = np.triu(random.normal(size=(n, n)), 1) / np.sqrt(n)
        return upper + upper.T, 0.3 * random.normal(size=n)

    def _exact(self, n_slices: int | None) -> list[float]:
        found = transverse_averages(spin_energies(*self._problem(0)), self.field, self.temperature, n_slices)
        return [found.energy / self.n_spins, found.turned]

    def predict(self) -> xr.Dataset:
        """Exact averages of the system and of slices; ground states by looking at all states."""
        fine = np.array([2 * 2**k for k in range(1, 7)])
        quantum = np.array(self._exact(None))
        along = np.array([self._exact(int(n)) for n in fine]).T
        sliced = np.array([self._exact(n) for n in self.slices]).T
        errors = np.abs(along - quantum[:, None])
        slopes = np.log2(errors[:, 1:] / errors[:, :-1])
        ground = [spin_energies(*self._problem(k)).min() for k in range(self.n_instances)]
        attributes = {"long_name": "average", "units": "1"}
        return xr.Dataset(
            {
                **predicted_variable(
                    "sliced_expected",
                    Prediction(sliced, 1e-5, "sums of floats"),
                    ("average", "slices"),
                    long_name="average over paths",
                ),
                **predicted_variable(
                    "quantum_expected",
                    Prediction(quantum, 1e-12, "the diagonalisation"),
                    ("average",),
                    long_name="average of the quantum system",
                ),
                "gap": (
                    ("average", "slices"),
                    sliced - quantum[:, None],
                    {"long_name": "average over paths less that of the quantum system", "units": "1"},
                ),
                "line": (
                    ("average", "fine"),
                    along - quantum[:, None],
                    {"long_name": "average over paths less that of the quantum system", "units": "1"},
                ),
                # The next order changes slopes four times less with every doubling.
                **predicted_variable(
                    "order_expected",
                    Prediction(np.full(2, -2.0), np.abs(np.diff(slopes)[:, -1]), "terms of higher order"),
                    ("average",),
                    long_name="exponent of the error in the number of slices",
                ),
                "order": (("average",), slopes[:, -1], {"long_name": "exponent of the error", "units": "1"}),
                "ground": (
                    ("instance",),
                    np.array(ground) / self.n_spins,
                    {"long_name": "ground-state energy per spin", "units": "1"},
                ),
            },
            coords={
                "average": ("average", list(_AVERAGES), attributes),
                "slices": ("slices", list(self.slices), {"long_name": "slices P", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "slices P", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Paths in equilibrium; glasses annealed both ways."""
        found = []
        for n in self.slices:
            state = self._path(run, jax.random.fold_in(key, n), 0, n, self.n_sweeps, annealed=False)
            found.append(estimate(_averages(state, self.field / (n * self.temperature)), axis=1))
        key_glass = jax.random.fold_in(key, 0)
        best = np.array(
            [self._annealed(jax.random.fold_in(key_glass, k), k, run) for k in range(self.n_instances)]
        )
        sampled = Estimate(
            np.array([e.mean for e in found]).T,
            np.array([e.standard_error for e in found]).T,
            self.n_replicas,
        )
        return xr.Dataset(
            {
                **measured_variables(
                    "sliced", sampled, ("average", "slices"), long_name="average over sampled paths"
                ),
                "best": (
                    ("instance", "method", "work", "read"),
                    best / self.n_spins,
                    {"long_name": "best energy per spin of an annealing", "units": "1"},
                ),
            },
            coords={
                "method": ("method", list(_METHODS), {"long_name": "method", "units": "1"}),
                "work": (
                    "work",
                    [self.slices[-1] * n for n in self.durations],
                    {"long_name": "sweeps, of all slices together", "units": "sweeps"},
                ),
            },
        )

    def _path(
        self,
        run: Callable[..., Any],
        key: Key[Array, ""],
        number: int,
        n_slices: int,
        n_sweeps: int,
        *,
        annealed: bool,
    ) -> PathState:
        """Paths after some sweeps; equilibrium and annealing share a program."""
        warmth = self.warmth / n_slices if annealed else self.temperature
        ends = self.fields if annealed else (self.field, self.field)
        return run(
            path_integral_annealing(
                _ising(self._problem(number)), _falling(ends, n_sweeps), warmth, n_slices, rule="heat bath"
            ),
            key,
            np.asarray(random_spins(key, n_slices, self.n_spins)),
            n_sweeps,
            replicas=self.n_replicas,
            label=f"{n_slices} slices, glass {number + 1}, {n_sweeps} sweeps",
        ).state

    def _annealed(self, key: Key[Array, ""], number: int, run: Callable[..., Any]) -> np.ndarray:
        """Best energies of both methods, for every duration and read."""
        best = np.empty((2, len(self.durations), self.n_replicas))
        for place, duration in enumerate(self.durations):
            key_path, key_plain = jax.random.split(jax.random.fold_in(key, duration))
            state = self._path(run, key_path, number, self.slices[-1], duration, annealed=True)
            best[0, place] = state.best_energy
            # As many sweeps as all slices together have had.
            plain = duration * self.slices[-1]
            made = run(
                annealing(
                    _ising(self._problem(number)), _falling(self.temperatures, plain), rule="heat bath"
                ),
                key_plain,
                np.asarray(random_spins(key_plain, self.n_replicas, self.n_spins)),
                plain,
                label=f"annealing, glass {number + 1}, {plain} sweeps",
            )
            best[1, place] = made.state.best_energy
        return best

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Slices, their order, the quantum system, ground states."""
        made = []
        for average in record["average"].values:
            at = record.sel(average=average)
            words = _WORDS[str(average)]
            quantum, gap = float(at["quantum_expected"]), at["gap"].values
            shown = read_measured(at, "sliced")
            for place, n in enumerate(record["slices"].values):
                made.append(
                    compare(
                        read_predicted(at, "sliced_expected")[place],
                        shown[place],
                        statement=f"{n} slices, sampled: {words} of the paths.",
                        system="B5",
                        # The difference from the quantum system, so that the two are told apart.
                        resolution=abs(float(gap[place])),
                    )
                )
            for place in range(1, len(gap)):
                # What the extrapolation leaves is known from exact slices.
                left = abs(4 * gap[place] - gap[place - 1]) / 3
                error = np.hypot(4 * shown.standard_error[place], shown.standard_error[place - 1]) / 3
                pair = record["slices"].values[place - 1 : place + 1]
                made.append(
                    compare(
                        Prediction(quantum, left, "terms of higher order"),
                        Estimate((4 * shown.mean[place] - shown.mean[place - 1]) / 3, error, shown.n),
                        statement=(
                            f"{pair[0]} and {pair[1]} slices, extrapolated in 1/P^2: "
                            f"{words} of the quantum system."
                        ),
                        system="B5",
                        resolution=abs(float(gap[place - 1])),
                    )
                )
            made.append(
                compare(
                    read_predicted(at, "order_expected"),
                    Estimate(float(at["order"]), 0.0, 1),
                    statement=f"Exact slices: the error of the {words} falls as 1/P^2.",
                    system="B5",
                    resolution=0.5,
                )
            )
        ground, best = record["ground"].values, record["best"].values
        excess = best - ground[:, None, None, None]
        for number, method in enumerate(record["method"].values):
            made.append(
                compare(
                    Prediction(0.0, 1e-5, "sums of floats"),
                    Estimate(np.abs(excess[:, number].min((1, 2))).max(), 0.0, 1),
                    statement=f"{method}: the lowest energy found is the ground state's, in every glass.",
                    system="B5",
                    # Levels of a small glass lie some hundredths apart, per spin.
                    resolution=1e-3,
                )
            )
            fast, slow = excess[:, number, 0].mean(0), excess[:, number, -1].mean(0)
            made.append(
                at_least(
                    0.0,
                    estimate(fast - slow),
                    statement=f"{method}: slow annealing ends lower than fast annealing.",
                    system="B5",
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Errors of slices; energies left by annealing."""
        figure, axes = panels(2)
        left, right = axes[0]
        shown = read_measured(record, "sliced")
        for index, average in enumerate(record["average"].values):
            quantum = float(record["quantum_expected"].values[index])
            theory(left, record["fine"], np.abs(record["line"].values[index]), index)
            off = np.abs(shown.mean[index] - quantum)
            words = _WORDS[str(average)]
            simulation(left, record["slices"], off, shown.standard_error[index], index, label=words)
        left.set_xscale("log", base=2)
        left.set_yscale("log")
        left.set(xlabel="slices P", ylabel="|average over paths − quantum average|")
        left.legend(fontsize="small", loc="lower left")
        excess = record["best"].values - record["ground"].values[:, None, None, None]
        sweeps = record["work"].values
        for index, method in enumerate(record["method"].values):
            one = estimate(excess[:, index].mean(0), axis=1)
            simulation(right, sweeps, one.mean, one.standard_error, index, label=str(method))
            right.plot(sweeps, one.mean, color=COLOURS[index], linewidth=0.8)
        right.axhline(0, color="black", linewidth=1.2)
        right.set_xscale("log")
        right.set_xticks(sweeps, [str(n) for n in sweeps])
        right.minorticks_off()
        right.set(xlabel="sweeps of all slices together", ylabel="energy above the ground state, per spin")
        right.legend(fontsize="small")
        return figure


class _Falling(eqx.Module):
    """A value that falls geometrically, in arrays alone: all falls share a program."""

    first: Float[Array, ""]
    pace: Float[Array, ""]

    def __call__(self, t: Any) -> Float[Array, ""]:
        """Value of step t."""
        return self.first * jnp.exp(-self.pace * jnp.asarray(t, jnp.float32))


def _falling(ends: tuple[float, ...], n_steps: int) -> _Falling:
    pace = np.log(ends[0] / ends[1]) / n_steps
    return _Falling(jnp.asarray(ends[0], jnp.float32), jnp.asarray(pace, jnp.float32))


def _ising(problem: tuple[np.ndarray, np.ndarray]) -> Ising:
    couplings, biases = problem
    return Ising(couplings.astype(np.float32), biases.astype(np.float32))


def _averages(state: PathState, width: float) -> np.ndarray:
    """<E> per spin, and <X> per spin as the mean of tanh(Gamma/(P T))^(s s'), of every path: (2, n_paths)."""
    spins = np.asarray(state.spins, np.float64)
    alike = spins * np.roll(spins, 1, 1)
    turned = np.tanh(width) ** alike
    return np.stack([np.asarray(state.energy, np.float64).mean(1) / spins.shape[2], turned.mean((1, 2))])
