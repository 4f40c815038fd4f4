"""Dictionary learning against scikit-learn's MiniBatchDictionaryLearning: the same patches and beginning.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.dictionary             CPU seconds, quality, ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.dictionary --growth    exponents in atoms and pixels

10,000 whitened patches of 12 x 12 pixels of a picture, 196 atoms, penalty .8, four passes in batches of
200. Quality is judged by one function for all: the mean energy |x - a Phi|^2/2 + lambda |a|_1 of 500 other
patches at codes that scikit-learn's coordinate descent finds. Ours runs in float32; its inference takes 25 or
50 steps of FISTA from 0. scikit-learn infers by coordinate descent or by LARS, its default.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import jax
import numpy as np
import sklearn
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

from neuromanifold.data import cut_patches, natural_pictures, whiten_picture
from neuromanifold.dynamics import run
from neuromanifold.learning import Minibatches
from neuromanifold.learning.sparse import dictionary_learning
from neuromanifold.networks.generative import SparseCode

BATCH, PENALTY, PASSES = 200, 0.8, 4


def patches(n: int, side: int) -> np.ndarray:
    """Whitened patches of variance 1, one a row."""
    picture = whiten_picture(natural_pictures(["grace_hopper"])["grace_hopper"])
    cut = cut_patches(jax.random.key(0), [picture], n, side).reshape(n, -1)
    return (cut / cut.std()).astype(np.float32)


def energy(atoms: np.ndarray, data: np.ndarray) -> float:
    """Mean energy at the best codes."""
    rows, atoms = data.astype(np.float64), atoms.astype(np.float64)
    codes = sparse_encode(rows, atoms, algorithm="lasso_cd", alpha=PENALTY, max_iter=5000)
    return float(np.mean(0.5 * ((rows - codes @ atoms) ** 2).sum(1) + PENALTY * np.abs(codes).sum(1)))


def ours(data: np.ndarray, begin: np.ndarray, n_inference: int) -> Callable[[], np.ndarray]:
    process = dictionary_learning(Minibatches(data, BATCH, key=jax.random.key(1)), n_inference=n_inference)
    n_steps = PASSES * len(data) // BATCH

    def learn() -> np.ndarray:
        made = run(process, jax.random.key(2), SparseCode(begin, PENALTY), n_steps)
        return np.asarray(made.state.params.dictionary)

    return learn


def scikit(data: np.ndarray, begin: np.ndarray, way: str) -> Callable[[], np.ndarray]:
    def learn() -> np.ndarray:
        model = MiniBatchDictionaryLearning(
            len(begin),
            alpha=PENALTY,
            batch_size=BATCH,
            max_iter=PASSES,
            fit_algorithm=way,
            dict_init=begin.astype(data.dtype),
            max_no_improvement=None,
            tol=0.0,
            random_state=0,
            n_jobs=1,
        )
        return model.fit(data).components_

    return learn


def directions(n_atoms: int, n_features: int) -> np.ndarray:
    """Random atoms of length 1."""
    drawn = np.random.default_rng(0).normal(size=(n_atoms, n_features))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def cpu(way: Callable[[], np.ndarray], repetitions: int) -> list[float]:
    taken = []
    for _ in range(repetitions):
        begin = time.process_time()
        way()
        taken.append(time.process_time() - begin)
    return taken


def main(n_patches: int = 10_000, side: int = 12, n_atoms: int = 196, repetitions: int = 3) -> None:
    """CPU seconds of each (medians), energies, ratios."""
    all_rows = patches(n_patches + 500, side)
    data, others, begin = all_rows[:n_patches], all_rows[n_patches:], directions(n_atoms, side * side)
    ways = {
        "ours, 25 steps": ours(data, begin, 25),
        "ours, 50 steps": ours(data, begin, 50),
        "scikit-learn, coordinate descent": scikit(data, begin, "cd"),
        "scikit-learn, LARS": scikit(data, begin, "lars"),
    }
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, scikit-learn "
        f"{sklearn.__version__}, {len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    print(f"energy of the random beginning {energy(begin, others):.3f}")
    medians = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, way in ways.items():
            reached = energy(way(), others)
            times = cpu(way, repetitions)
            medians[name] = statistics.median(times)
            print(
                f"{name:34s} {medians[name]:.3f} CPU s ({min(times):.3f} to {max(times):.3f})  "
                f"energy {reached:.3f}",
                flush=True,
            )
    for name in ways:
        if not name.startswith("ours"):
            print(f"{name} / ours, 25 steps = {medians[name] / medians['ours, 25 steps']:.2f}")


def growth(repetitions: int = 3) -> None:
    """Exponents of the time in the number of atoms and of pixels."""
    for name, settings in (
        ("atoms", [(12, n) for n in (100, 200, 400, 800)]),
        ("pixels", [(side, 200) for side in (8, 12, 16, 20)]),
    ):
        sizes, times = [], []
        for side, n_atoms in settings:
            learn = ours(patches(2000, side), directions(n_atoms, side * side), 25)
            learn()
            sizes.append(n_atoms if name == "atoms" else side * side)
            times.append(statistics.median(cpu(learn, repetitions)))
        exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        print(f"{name} {sizes}: {', '.join(f'{t:.3f}' for t in times)} CPU s, exponent {exponent:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--growth", action="store_true", help="exponents in both sizes instead")
    given = parser.parse_args()
    growth() if given.growth else main()
