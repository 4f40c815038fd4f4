"""The Gaussian Boltzmann machine: every state in which learning rests, and which of them hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Flow, solve
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.energy import Gaussian, GaussianLearning, RestrictedBoltzmann
from neuromanifold.theory.energy import gaussian_equilibria, gaussian_equilibrium, relaxation

_SOLVED = "the tolerance of the solver"


@experiment(
    Card(
        name="gaussian-machine",
        title="A Gaussian machine learns the largest principal components",
        topic="energy",
        lecture="A",
        systems=("A9",),
        idea=(
            "Two layers of Gaussian units learn from data of a given covariance. Learning can rest in many "
            "states: any choice of principal components of variance above 1, as many as there are hidden "
            "units, each with its own singular value. The theory gives for every choice the divergence from "
            "the data and all rates at which a disturbance grows or dies; only the choice of the largest "
            "variances is stable. The flow is solved from random starts, and from starts that know some "
            "components only, which lead to the unstable states; there its Jacobian is taken numerically. "
            "Contrastive divergence with one step ends in the same state as maximum likelihood."
        ),
        equations=(
            ("Learning", r"\dot W = W C - (I - W W^T)^{-1} W"),
            ("Contrastive divergence", r"\dot W = W (C - A C A - A - I), \quad A = W^T W"),
            ("Equilibria", r"W = U D V, \quad D_i = \sqrt{1 - 1/\lambda_i}"),
            ("Divergence", r"\frac{1}{2} \sum_{j \, \mathrm{not \, chosen}} (\lambda_j - 1 - \ln \lambda_j)"),
            ("Rates", r"\lambda_j - \lambda_i, \quad \lambda_j - 1, \quad -2 \lambda_i (\lambda_i - 1)"),
        ),
        sources=("karakidaokadaamari2016", "tippingbishop1999"),
        caption=(
            "Left: singular values of W in time from a small random start, by maximum likelihood (points) "
            "and by CD-1 (crosses); lines: the stable equilibrium. Middle: rates of the linearised flow in "
            "the states reached from four kinds of starts, numerical against theory. Right: variance of "
            "samples of the learnt machine along the components; the machine cannot go below 1."
        ),
    ),
    full={"n_chains": 100_000, "n_starts": 8},
)
class GaussianMachine:
    """Flow of a Gaussian machine from several starts, stability of its ends, samples of the last."""

    eigenvalues: tuple[float, ...] = parameter(
        (5.0, 3.0, 2.0, 1.5, 0.8, 0.5),
        doc="variances of the data's components, falling",
        low=0.0,
        open_low=True,
    )
    n_hidden: int = parameter(3, doc="hidden units k", low=1, high=20)
    n_starts: int = parameter(2, doc="random starts in all components", low=1)
    scale: float = parameter(
        0.01, doc="size of the couplings in the beginning", low=0.0, high=0.1, open_low=True
    )
    horizon: float = parameter(45.0, doc="learning time", unit="time", low=1.0)
    n_chains: int = parameter(20_000, doc="samples of the learnt machine", low=100)
    n_sweeps: int = parameter(80, doc="sweeps of each", unit="sweeps", low=1)

    def check(self) -> None:
        """Distinct variances, enough of them above 1, and slow differences within the learning time."""
        values = np.array(self.eigenvalues)
        require(np.all(np.diff(values) < 0), "eigenvalues", "fall strictly", self.eigenvalues)
        rule = f"hold more than n_hidden = {self.n_hidden} values above 1"
        require((values > 1).sum() > self.n_hidden >= 2, "eigenvalues", rule, self.eigenvalues)

    def _choices(self) -> list[tuple[int, ...]]:
        """The stable choice, one with the last component exchanged, one too few, the first alone."""
        k = self.n_hidden
        return [tuple(range(k)), (*range(k - 1), k), tuple(range(1, k)), (0,)]

    def _names(self) -> list[str]:
        return [
            "{" + ", ".join(f"{self.eigenvalues[i]:g}" for i in choice) + "}" for choice in self._choices()
        ]

    def predict(self) -> xr.Dataset:
        """Singular values, divergences and rates of the four choices; how many equilibria there are."""
        covariance = np.diag(self.eigenvalues)
        found = [gaussian_equilibrium(covariance, self.n_hidden, choice) for choice in self._choices()]
        singular = [np.linalg.svd(one.couplings, compute_uv=False) for one in found]
        largest = self.eigenvalues[0]
        variances = [x if i < self.n_hidden else 1.0 for i, x in enumerate(self.eigenvalues)]
        return xr.Dataset(
            {
                **predicted_variable(
                    "singular_expected",
                    Prediction(singular, 1e-7, _SOLVED),
                    ("choice", "unit"),
                    long_name="singular value of W",
                ),
                **predicted_variable(
                    "divergence_expected",
                    Prediction([one.divergence for one in found], 1e-7, _SOLVED),
                    ("choice",),
                    long_name="KL[data : machine]",
                    units="nats",
                ),
                **predicted_variable(
                    "rate_expected",
                    Prediction([one.rates for one in found], 1e-5, _SOLVED),
                    ("choice", "mode"),
                    long_name="rate of the linearised flow",
                    units="1/time",
                ),
                **predicted_variable(
                    "relaxation_expected",
                    Prediction([float(relaxation(largest, rule)) for rule in ("ml", "cd")], 1e-5, _SOLVED),
                    ("rule",),
                    long_name="rate of the largest singular value",
                    units="1/time",
                ),
                **predicted_variable(
                    "variance_expected",
                    Prediction(variances, 1e-3, "chains that are not quite mixed"),
                    ("component",),
                    long_name="variance of the machine",
                ),
                "n_equilibria": (
                    (),
                    len(gaussian_equilibria(covariance, self.n_hidden)),
                    {"long_name": "equilibria up to rotations of hidden units", "units": "1"},
                ),
            },
            coords={
                "choice": ("choice", self._names(), {"long_name": "components chosen", "units": "1"}),
                "rule": ("rule", ["maximum likelihood", "CD-1"], {"long_name": "rule", "units": "1"}),
                "component": (
                    "component",
                    list(self.eigenvalues),
                    {"long_name": "variance of the data", "units": "1"},
                ),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Flows of both rules, Jacobians at their ends, and samples of the machine learnt."""
        key_start, key_chain = jax.random.split(key)
        n = len(self.eigenvalues)
        choices = [tuple(range(n))] * self.n_starts + self._choices()[1:]
        mask = np.array([[j in choice for j in range(n)] for choice in choices])
        times = np.concatenate([np.linspace(0.0, 0.3 * self.horizon, 28), [self.horizon]])
        ends, paths, rates, relaxing = {}, {}, {}, []
        with jax.enable_x64(True):
            noise = jax.random.normal(key_start, (len(choices), self.n_hidden, n), float)
            start = self.scale * noise * mask[:, None]
            for rule in ("ml", "cd"):
                learning = GaussianLearning(np.diag(self.eigenvalues), rule)
                moved = solve(Flow(_Together(learning)), start, times, rtol=1e-9, atol=1e-12)
                paths[rule] = np.linalg.svd(np.asarray(moved.states[:, 0]), compute_uv=False)
                ends[rule] = np.asarray(moved.states[-1])
                rates[rule] = np.array([_rates(learning, w) for w in ends[rule]])
                alone = GaussianLearning(np.array([[self.eigenvalues[0]]]), rule)
                top = np.linalg.svd(ends[rule][0], compute_uv=False)[:1, None]
                relaxing.append(float(_rates(alone, top)[0]))
            likelihood = GaussianLearning(np.diag(self.eigenvalues))
            divergence = [float(likelihood.divergence(jnp.asarray(w))) for w in ends["ml"]]
        machine = RestrictedBoltzmann(Gaussian(n), Gaussian(self.n_hidden), ends["ml"][0].astype(np.float32))
        begin = np.zeros((self.n_chains, n), np.float32)
        v = np.asarray(
            run(machine.process(), key_chain, begin, self.n_sweeps, label="samples").state, np.float64
        )
        squares = v**2
        spread = Estimate(squares.mean(0), squares.std(0, ddof=1) / np.sqrt(self.n_chains), self.n_chains)
        # Random starts must all end alike: the worst of them stands for them.
        singular = {rule: np.linalg.svd(w, compute_uv=False) for rule, w in ends.items()}
        kept = [0, *range(self.n_starts, len(choices))]
        apart = max(np.ptp(s[: self.n_starts], axis=0).max() for s in singular.values())

        def exact(values: Any) -> Estimate:
            return Estimate(values, 0.0, 1)

        return xr.Dataset(
            {
                **measured_variables(
                    "singular",
                    exact(np.stack([singular["ml"][kept], singular["cd"][kept]])),
                    ("rule", "choice", "unit"),
                    long_name="singular value of W",
                ),
                **measured_variables(
                    "divergence",
                    exact(np.array(divergence)[kept]),
                    ("choice",),
                    long_name="KL[data : machine]",
                    units="nats",
                ),
                **measured_variables(
                    "rate",
                    exact(rates["ml"][kept]),
                    ("choice", "mode"),
                    long_name="rate of the linearised flow",
                    units="1/time",
                ),
                **measured_variables(
                    "largest_rate_cd",
                    exact(rates["cd"][kept, 0]),
                    ("choice",),
                    long_name="largest rate of the linearised flow of CD-1",
                    units="1/time",
                ),
                **measured_variables(
                    "relaxation",
                    exact(relaxing),
                    ("rule",),
                    long_name="rate of the largest singular value",
                    units="1/time",
                ),
                **measured_variables("variance", spread, ("component",), long_name="variance of the machine"),
                "apart": ((), apart, {"long_name": "spread of ends of random starts", "units": "1"}),
                "path": (
                    ("rule", "time", "unit"),
                    np.stack([paths["ml"], paths["cd"]])[:, :-1],
                    {"long_name": "singular value of W", "units": "1"},
                ),
            },
            coords={"time": ("time", times[:-1], {"long_name": "learning time", "units": "time"})},
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Ends, divergences, rates, relaxation, samples."""
        made = []
        for number, name in enumerate(record["choice"].values):
            at = record.isel(choice=number)
            for rule in range(2):
                made += [
                    compare(
                        read_predicted(at, "singular_expected")[unit],
                        read_measured(at, "singular")[rule, unit],
                        statement=(
                            f"{record['rule'].values[rule]}, starts that lead to {name}: "
                            f"singular value {unit + 1}."
                        ),
                        system="A9",
                        resolution=1e-4,
                    )
                    for unit in range(record.sizes["unit"])
                ]
            made.append(
                compare(
                    read_predicted(at, "divergence_expected"),
                    read_measured(at, "divergence"),
                    statement=f"{name}: KL[data : machine].",
                    system="A9",
                    resolution=1e-4,
                )
            )
            gap = np.abs(at["rate"].values - at["rate_expected"].values).max()
            made.append(
                at_most(
                    1e-5,
                    Estimate(gap, 0.0, 1),
                    statement=f"{name}: all rates are those of the theory.",
                    system="A9",
                    reason="the tolerance of the solver",
                )
            )
            grows = float(at["rate_expected"].values[0]) > 0
            made.append(
                compare(
                    Prediction(float(grows)),
                    Estimate(float(at["largest_rate_cd"]) > 1e-6, 0.0, 1),
                    statement=f"{name}: {'unstable' if grows else 'stable'} under CD-1 too.",
                    system="A9",
                    resolution=0.5,
                )
            )
        made.append(
            at_most(
                1e-6,
                Estimate(float(record["apart"]), 0.0, 1),
                statement="Random starts end in the same state.",
                system="A9",
                reason="the tolerance of the solver",
            )
        )
        made += [
            compare(
                read_predicted(record, "relaxation_expected")[rule],
                read_measured(record, "relaxation")[rule],
                statement=f"{record['rule'].values[rule]}: rate at which the largest singular value relaxes.",
                system="A9",
                resolution=0.01,
            )
            for rule in range(2)
        ]
        made += [
            compare(
                read_predicted(record, "variance_expected")[i],
                read_measured(record, "variance")[i],
                statement=f"Samples of the learnt machine: variance where the data have {value:g}.",
                system="A9",
                resolution=0.1 * max(value, 1.0),
            )
            for i, value in enumerate(record["component"].values)
        ]
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Paths, rates, variances."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        for unit in range(record.sizes["unit"]):
            level = float(record["singular_expected"].values[0, unit])
            left.axhline(level, color="0.4", linewidth=1.2, label="theory" if unit == 0 else None)
        for rule, marker in enumerate(("o", "x")):
            for unit in range(record.sizes["unit"]):
                values = record["path"].values[rule, :, unit]
                name = str(record["rule"].values[rule]) if unit == 0 else None
                simulation(left, record["time"], values, 0 * values, rule, marker=marker, label=name)
        left.set(xlabel="learning time", ylabel="singular values of W", ylim=(0, 1))
        left.legend(fontsize="small", loc="lower right")
        low = float(record["rate_expected"].min())
        theory(middle, [low, 6.0], [low, 6.0], 6, label="numerical = theory", linewidth=1.0)
        for number, name in enumerate(record["choice"].values):
            at = record.isel(choice=number)
            simulation(
                middle, at["rate_expected"], at["rate"], 0 * at["rate"].values, number, label=str(name)
            )
        middle.axvline(0, color="0.6", linewidth=0.8)
        middle.set_xscale("symlog", linthresh=0.5)
        middle.set_yscale("symlog", linthresh=0.5)
        for axis in (middle.xaxis, middle.yaxis):
            axis.set_ticks([-30, -6, -1, 0, 1, 4], ["−30", "−6", "−1", "0", "1", "4"])
        middle.set(xlabel="rate by theory (1/time)", ylabel="rate by Jacobian (1/time)")
        middle.legend(fontsize="small")
        place = np.arange(record.sizes["component"])
        shown = read_measured(record, "variance")
        theory(right, place, record["variance_expected"], 0, drawstyle="steps-mid", label="machine, theory")
        theory(right, place, record["component"], 6, linestyle=":", drawstyle="steps-mid", label="data")
        simulation(right, place, shown.mean, shown.standard_error, 1, label="samples")
        right.set_xticks(place, [str(i + 1) for i in place])
        right.set(xlabel="principal component", ylabel="variance", ylim=(0, None))
        right.legend(fontsize="small")
        return figure


class _Together(eqx.Module):
    """The velocity of several machines at once."""

    learning: GaussianLearning

    def __call__(self, t: Any, couplings: Array) -> Array:
        return jax.vmap(lambda w: self.learning.velocity(t, w))(couplings)


def _rates(learning: GaussianLearning, couplings: np.ndarray) -> np.ndarray:
    """Real parts of the Jacobian's eigenvalues, falling."""
    jacobian = np.asarray(_jacobian(learning, jnp.asarray(couplings)))
    size = couplings.size
    return np.sort(np.linalg.eigvals(jacobian.reshape(size, size)).real)[::-1]


@jax.jit
def _jacobian(learning: GaussianLearning, couplings: Array) -> Array:
    return jax.jacfwd(lambda w: learning.velocity(0.0, w))(couplings)
