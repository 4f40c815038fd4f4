"""The variational Gaussian mixture against scikit-learn's, in one process: the same data, priors, beginnings.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.mixture             CPU seconds, bounds, ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.mixture --large     1,000,000 points by minibatches

Both start from the same labels. First both take the same number of plain steps and must reach the same bound;
then each runs to its own convergence, ours with mergers. Ours is timed warm; compilation is stated.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sklearn
from scipy.special import betaln, gammaln
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture

from neuromanifold.dynamics import run
from neuromanifold.learning import Minibatches
from neuromanifold.learning.mixture import (
    cut,
    default_prior,
    evidence_bound,
    expectation,
    initial_labels,
    log_joint,
    merge_components,
    mixture_ascent,
    n_found,
    stochastic_ascent,
)


class Started(BayesianGaussianMixture):
    """scikit-learn's estimator, begun from given labels."""

    def _initialize_parameters(self, X: Any, random_state: Any, xp: Any = None) -> None:
        self._initialize(X, np.eye(self.n_components)[self.start])


def clusters(n_points: int, n_features: int, n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    centres = 3.0 * random.normal(size=(n_clusters, n_features))
    labels = random.integers(n_clusters, size=n_points)
    return centres[labels] + random.normal(size=(n_points, n_features)), labels


def main(
    n_points: int = 10_000,
    n_features: int = 20,
    n_components: int = 20,
    n_steps: int = 60,
    repetitions: int = 3,
) -> dict[str, float]:
    """CPU seconds of each (medians) and the ratio ours / scikit-learn's; prints a table."""
    data, truth = clusters(n_points, n_features, 8)
    key = jax.random.key(0)
    settings = {"reg_covar": 0.0, "n_components": n_components}
    with jax.enable_x64(True):
        prior = default_prior(data, n_components)
        begin = time.process_time()
        labels = initial_labels(key, data, n_components)
        to_begin = time.process_time() - begin

        def theirs(max_iter: int, tol: float) -> Any:
            model = Started(max_iter=max_iter, tol=tol, **settings)
            model.start = labels
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return model.fit(data)

        def ours(n: int, **options: Any) -> Any:
            state = run(mixture_ascent(prior, data, **options), key, labels, n).state
            jax.block_until_ready(state)
            return state

        ways = {
            "scikit-learn, fixed steps": lambda: theirs(n_steps, 0.0),
            "ours, fixed steps": lambda: ours(n_steps, n_candidates=0, tolerance=1e-300),
            "scikit-learn, to tol 1e-3": lambda: theirs(5000, 1e-3),
            "ours, to tol 1e-3, merging": lambda: ours(5000, tolerance=1e-3),
        }
        reached, cold = {}, {}
        for name, way in ways.items():
            begin = time.process_time()
            reached[name] = way()
            cold[name] = time.process_time() - begin
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repetitions):
            for name, way in ways.items():
                begin = time.process_time()
                way()
                seconds[name].append(time.process_time() - begin)
        chunks = cut(prior, data, n_points, missing=False)
        # What scikit-learn leaves out of its bound: the prior's normaliser and (2 pi)^(-N D / 2).
        d, nu, c = n_features, float(prior.degrees_of_freedom), float(prior.concentration)
        wishart = 0.5 * nu * (d * np.log(2) - np.linalg.slogdet(np.asarray(prior.scale))[1])
        wishart += gammaln(0.5 * (nu - np.arange(d))).sum()
        constant = -n_components * (wishart + betaln(1, c)) - 0.5 * n_points * d * np.log(2 * np.pi)
        print(setting())
        print(f"{n_points} x {n_features}, K = {n_components}, full, float64, k-means {to_begin:.2f} s")
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        bounds = {}
        for name, found in reached.items():
            if name.startswith("ours"):
                joint = log_joint(prior, expectation(prior, found.statistics), chunks)
                owners, steps = np.asarray(joint).argmax(1), int(found.n_updates)
                bounds[name], n = float(found.bound), int(n_found(found.statistics))
            else:
                owners, steps = found.predict(data), found.n_iter_
                n = int((found.weights_ > 1 / n_points).sum())
                bounds[name] = float(found.lower_bound_) + constant
            print(
                f"{name:s} {medians[name]:.3f} CPU s ({min(seconds[name]):.3f} to {max(seconds[name]):.3f}, "
                f"cold {cold[name]:.3f})  {steps} steps  bound {bounds[name]:.6f}  found {n}  "
                f"ARI {adjusted_rand_score(truth, owners):.4f}"
            )
    peer, mine, peer_end, my_end = ways
    ratio = medians[mine] / medians[peer]
    print(
        f"same steps: ours / scikit-learn = {ratio:.3f}; bounds differ by {bounds[mine] - bounds[peer]:.2g}"
    )
    print(
        f"to the end: ours / scikit-learn = {medians[my_end] / medians[peer_end]:.3f}; "
        f"our bound is higher by {bounds[my_end] - bounds[peer_end]:.6g}"
    )
    if abs(bounds[mine] / bounds[peer] - 1) > 1e-6:
        raise SystemExit("the same steps did not reach the same bound.")
    return {"ratio": ratio}


def large(
    n_points: int = 1_000_000, n_features: int = 20, n_components: int = 20, n_steps: int = 500
) -> None:
    """Minibatches of 2,000 in single precision; states peak memory."""
    data, truth = clusters(n_points, n_features, 8)
    data = data.astype(np.float32)
    before, key = peak(), jax.random.key(0)
    sample = np.random.default_rng(0).choice(n_points, 20_000, replace=False)
    prior = default_prior(data[sample], n_components)
    with jax.enable_x64(False):
        labels = initial_labels(key, data[sample], n_components)
        fit = run(mixture_ascent(prior, data[sample], tolerance=1.0), key, labels, 500).state
        start = jax.tree.map(lambda x: x * jnp.float32(n_points / len(sample)), fit.statistics)
        batches = Minibatches(data, 2_000, key=key)
        process = stochastic_ascent(prior, batches, n_points, delay=10.0, forgetting=0.7)
        begin = time.process_time()
        moved = jax.block_until_ready(run(process, key, start, n_steps).state)
        seconds = time.process_time() - begin
        found, n_merged, _ = merge_components(prior, moved, data[sample], population=n_points)
        bound = float(evidence_bound(prior, found, cut(prior, data, 20_000, missing=False)))
        joint = log_joint(prior, expectation(prior, found), cut(prior, data[sample], 2_000, missing=False))
    owners = np.asarray(joint)[: len(sample)].argmax(1)
    print(setting())
    print(
        f"{n_points} x {n_features}, K = {n_components}, {n_steps} batches of 2,000: {seconds:.2f} CPU s, "
        f"{n_merged} mergers after them, bound {bound:.7g} ({bound / n_points:.4f} a point), "
        f"found {int(n_found(found))}, ARI {adjusted_rand_score(truth[sample], owners):.4f}, "
        f"peak memory {peak() / 1e9:.2f} GB ({before / 1e9:.2f} GB before, data {data.nbytes / 1e9:.2f} GB)"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def setting() -> str:
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, scikit-learn "
        f"{sklearn.__version__}, {len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="1,000,000 points by minibatches instead")
    for name in ("n_points", "n_features", "n_components", "n_steps", "repetitions"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    (large if given.pop("large") else main)(**given)
