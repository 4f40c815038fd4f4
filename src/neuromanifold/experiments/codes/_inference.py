"""Three ways to the same sparse code, how fast they are, and a planted dictionary found again."""

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
from neuromanifold.dynamics import solve
from neuromanifold.evidence import Claim, Estimate, at_least, at_most, proportion
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.learning import Minibatches
from neuromanifold.learning.sparse import dictionary_learning
from neuromanifold.networks.generative import SparseCode, inference, locally_competitive, soft_threshold
from neuromanifold.theory.energy import first_order_bounds, sparse_optimum

METHODS = ("ista", "fista", "lca")


@experiment(
    Card(
        name="sparse-inference",
        title="Finding a sparse code, and the dictionary it is written in",
        topic="codes",
        lecture="D",
        systems=("D6",),
        idea=(
            "A sparse code explains a datum by few atoms of a dictionary. Thresholded gradient descent "
            "(ISTA), its accelerated form (FISTA) and a network of units that inhibit each other (LCA) must "
            "all end in the code that coordinate descent finds, and the first two no later than their "
            "theorems say. Then data are made from a planted dictionary, three atoms each, and learning that "
            "starts from a random one has to find it again."
        ),
        equations=(
            ("Energy", r"E(a) = \frac{1}{2} \lvert x - a \Phi \rvert^2 + \lambda \sum_i \lvert a_i \rvert"),
            ("ISTA", r"E_k - E^* \le \frac{L \lvert a^* \rvert^2}{2 k}"),
            ("FISTA", r"E_k - E^* \le \frac{2 L \lvert a^* \rvert^2}{(k+1)^2}"),
            ("LCA", r"\tau \dot u = b - a G - (u - a), \quad a = S_\lambda(u)"),
        ),
        sources=("olshausenfield1996", "beckteboulle2009", "rozelljohnsonbaraniukolshausen2008"),
        caption=(
            "Left: excess of the energy over its minimum against the steps, mean of all data; lines: bounds "
            "of the theorems, points: ISTA and FISTA. Right: correlation of every planted atom with the atom "
            "found for it, in order, before and after learning."
        ),
    ),
    full={"n_data": 200, "n_features": 64, "n_atoms": 128, "n_steps": 4000, "n_planted": 64, "n_passes": 600},
)
class SparseInference:
    """Agreement and rates of three inferences; a planted dictionary."""

    n_data: int = parameter(30, doc="data that are coded", low=5)
    n_features: int = parameter(20, doc="features of a datum", low=4)
    n_atoms: int = parameter(40, doc="atoms of the random dictionary", low=4)
    penalty: float = parameter(
        0.1, doc="penalty lambda of the codes, data of length 1", low=0.0, open_low=True
    )
    n_steps: int = parameter(2000, doc="steps of ISTA and FISTA", unit="steps", low=100)
    duration: float = parameter(400.0, doc="duration of the competition", unit="tau", low=1.0)
    instance: int = parameter(0, doc="number of the random problem", low=0)
    n_planted: int = parameter(32, doc="atoms of the planted dictionary", low=4)
    n_examples: int = parameter(3000, doc="data made from it", low=200)
    n_active: int = parameter(3, doc="atoms of a datum", low=1)
    noise: float = parameter(0.02, doc="standard deviation of the noise of a feature", low=0.0)
    n_passes: int = parameter(300, doc="batches of 250 data that are learned", low=10)

    def check(self) -> None:
        """A datum has fewer atoms than there are."""
        require(self.n_active < self.n_planted, "n_active", f"be below {self.n_planted}", self.n_active)
        require(self.n_steps % 20 == 0, "n_steps", "be a multiple of 20", self.n_steps)

    def _problem(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(self.instance)
        atoms = random.normal(size=(self.n_atoms, self.n_features))
        data = random.normal(size=(self.n_data, self.n_features))
        return _unit(atoms), _unit(data)

    def predict(self) -> xr.Dataset:
        """The optimum by coordinates, and the bounds."""
        atoms, data = self._problem()
        best = sparse_optimum(atoms, data, self.penalty)
        steps = np.arange(20, self.n_steps + 1, 20)
        ista, fista = first_order_bounds(atoms, best.codes, steps)
        excess = {"long_name": "bound of the excess energy", "units": "1"}
        return xr.Dataset(
            {
                "optimum": (("datum", "atom"), best.codes, {"long_name": "optimal code", "units": "1"}),
                "least": ("datum", best.energy, {"long_name": "least energy", "units": "1"}),
                "bound": (("method", "datum", "step"), np.stack([ista, fista]), excess),
            },
            coords={
                "step": ("step", steps, {"long_name": "steps k", "units": "steps"}),
                "method": ("method", ["ista", "fista"], {"long_name": "method", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Inference three ways in double precision; learning from a planted dictionary."""
        key_planted, key_run = jax.random.split(key)
        codes, energies = [], []
        with jax.enable_x64(True):
            atoms, data = (jnp.asarray(x) for x in self._problem())
            code = SparseCode(atoms, self.penalty)
            for method in ("ista", "fista"):
                process = inference(code, data, method)
                watched = _Energy(code, data)
                made = run(process, key_run, None, self.n_steps, observe=watched.of, every=20, label=method)
                codes.append(np.asarray(made.state.codes))
                energies.append(np.asarray(made.values)[1:].T)
            flow = locally_competitive(code, data)
            start = jnp.zeros((self.n_data, self.n_atoms))
            path = solve(flow, start, [0.0, self.duration], rtol=1e-8, atol=1e-10).states
            codes.append(np.asarray(soft_threshold(path[-1], self.penalty)))
            violation = [np.asarray(code.violation(data, jnp.asarray(one))) for one in codes]
        before, after = self._planted(key_planted, run)
        return xr.Dataset(
            {
                "found": (("way", "datum", "atom"), np.stack(codes), {"long_name": "code", "units": "1"}),
                "violation": (
                    ("way", "datum"),
                    np.stack(violation),
                    {"long_name": "violation of the subgradient condition", "units": "1"},
                ),
                "energy": (
                    ("method", "datum", "step"),
                    np.stack(energies),
                    {"long_name": "energy", "units": "1"},
                ),
                "match_before": (
                    "planted",
                    before,
                    {"long_name": "correlation with the nearest random atom", "units": "1"},
                ),
                "match": (
                    "planted",
                    after,
                    {"long_name": "correlation with the nearest learned atom", "units": "1"},
                ),
            },
            coords={"way": ("way", list(METHODS), {"long_name": "way to the code", "units": "1"})},
        )

    def _planted(self, key: Key[Array, ""], run: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray]:
        keys = jax.random.split(key, 6)
        shape = self.n_planted, self.n_features
        planted, start = (np.asarray(jax.random.normal(k, shape)) for k in keys[:2])
        planted, start = _unit(planted), _unit(start)
        ranks = (
            np.asarray(jax.random.uniform(keys[2], (self.n_examples, self.n_planted))).argsort(1).argsort(1)
        )
        size = np.asarray(jax.random.uniform(keys[3], ranks.shape, minval=0.7, maxval=1.5))
        sign = np.asarray(jax.random.rademacher(keys[4], ranks.shape))
        codes = np.where(ranks < self.n_active, size * sign, 0.0)
        noise = self.noise * np.asarray(jax.random.normal(keys[5], (self.n_examples, self.n_features)))
        data = (codes @ planted + noise).astype(np.float32)
        batches = Minibatches(data, min(250, self.n_examples), key=keys[5])
        learned = run(
            dictionary_learning(batches), key, SparseCode(start, 0.15), self.n_passes, label="dictionary"
        )
        found = _unit(np.asarray(learned.state.params.dictionary))
        before, after = (np.abs(planted @ x.T).max(1) for x in (start, found))
        return np.sort(before), np.sort(after)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """One optimum; theorems kept; atoms found."""
        made = []
        apart = np.abs(record["found"].values - record["optimum"].values[None]).max((1, 2))
        for index, way in enumerate(record["way"].values):
            for value, words in (
                (apart[index], "largest distance of a coefficient from coordinate descent's"),
                (record["violation"].values[index].max(), "largest violation of the subgradient condition"),
            ):
                made.append(
                    at_most(
                        1e-6,
                        Estimate(value, 0.0, self.n_data),
                        statement=f"{way.upper()}: {words}.",
                        system="D6",
                        sigmas=0.0,
                        reason="double precision, converged",
                    )
                )
        excess = record["energy"].values - record["least"].values[None, :, None]
        share = excess / record["bound"].values
        early = slice(0, max(3, record.sizes["step"] // 10))
        steps = np.log(record["step"].values[early])
        for index, (method, power) in enumerate((("ista", -1), ("fista", -2))):
            made.append(
                at_most(
                    1.0,
                    Estimate(share[index].max(), 0.0, self.n_data),
                    statement=f"{method.upper()}: excess energy over its bound, the largest.",
                    system="D6",
                    sigmas=0.0,
                    reason="the theorem",
                )
            )
            slope = np.polyfit(steps, np.log(np.maximum(excess[index].mean(0)[early], 1e-300)), 1)[0]
            made.append(
                at_most(
                    float(power),
                    Estimate(slope, 0.0, self.n_data),
                    statement=f"{method.upper()}: power of the steps with which the excess falls.",
                    system="D6",
                    sigmas=0.0,
                    reason="the theorem's, which problems of finite size improve on",
                )
            )
        matched = int(np.sum(record["match"].values > 0.95))
        made.append(
            at_least(
                0.9,
                Estimate(matched / self.n_planted, 0.0, self.n_planted),
                statement="Share of planted atoms found with a correlation above .95.",
                system="D6",
                sigmas=0.0,
            )
        )
        lucky = proportion(int(np.sum(record["match_before"].values > 0.95)), self.n_planted)
        made.append(
            at_most(
                0.5,
                Estimate(lucky.mean, 0.0, self.n_planted),
                statement="Share of planted atoms that the random beginning already has.",
                system="D6",
                sigmas=0.0,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Excess against steps; matches in order."""
        figure, axes = panels(2)
        left, right = axes[0]
        steps = record["step"].values
        excess = (record["energy"].values - record["least"].values[None, :, None]).mean(1)
        shown = np.unique(np.geomspace(1, steps.size, 14).astype(int)) - 1
        for index, name in enumerate(("ISTA", "FISTA")):
            theory(left, steps, record["bound"].values[index].mean(0), index, label=f"{name}: bound")
            real = shown[excess[index][shown] > 1e-14]
            simulation(left, steps[real], excess[index][real], np.zeros(real.size), index, label=name)
        left.set(
            xscale="log", yscale="log", xlabel="steps k", ylabel="excess energy E − E*", ylim=(1e-15, None)
        )
        left.legend(frameon=False, fontsize=8)
        order = np.arange(1, record.sizes["planted"] + 1)
        for index, (name, label) in enumerate((("match_before", "random start"), ("match", "learned"))):
            simulation(right, order, record[name], np.zeros(order.size), index, label=label)
        right.axhline(0.95, color="0.5", linestyle=":")
        right.set(xlabel="planted atom, in order", ylabel="correlation with the nearest atom", ylim=(0, 1.05))
        right.legend(frameon=False, fontsize=8, loc="lower right")
        return figure


class _Energy(eqx.Module):
    """What is watched of inference."""

    code: SparseCode
    data: Array

    def of(self, now: Any) -> Array:
        return self.code.energy(self.data, now.codes)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
