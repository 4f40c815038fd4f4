"""Learning in associative memory against hopfieldkit, and how the cost of recall grows.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.learning              Hebb's rule: seconds and ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.learning --growth     exponents of time in N, P, cues

hopfieldkit 0.1.0 is used where it can be imported (pip install --target DIR hopfieldkit==0.1.0, DIR on
PYTHONPATH); else its algorithm, P outer products in NumPy, stands in and is labelled so. Ours is timed twice:
as a memory that keeps its patterns, and with the N x N matrix formed for a like-for-like result.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from neuromanifold.data import random_patterns
from neuromanifold.dynamics import run
from neuromanifold.networks.memory import Hopfield, pseudo_inverse, storkey, synchronous


def _peer(patterns: np.ndarray) -> tuple[str, Callable[[], np.ndarray]]:
    """Hebb's rule as hopfieldkit learns it, from the package or restated."""
    try:
        import hopfieldkit  # pyright: ignore[reportMissingImports]
    except ImportError:

        def restated() -> np.ndarray:
            n = patterns.shape[1]
            couplings = np.zeros((n, n))
            for pattern in patterns:
                couplings += np.outer(pattern, pattern)
            couplings /= n
            np.fill_diagonal(couplings, 0.0)
            return couplings

        return "hopfieldkit's algorithm, restated", restated

    def fit() -> np.ndarray:
        return hopfieldkit.HopfieldNetwork(patterns.shape[1]).fit(patterns).weights

    return f"hopfieldkit {hopfieldkit.__version__}", fit


def main(n_units: int = 4000, n_patterns: int = 400, repetitions: int = 5) -> dict[str, float]:
    """Seconds of each way (medians), and how many times faster ours is; prints a table."""
    patterns = random_patterns(jax.random.key(0), n_patterns, n_units)
    as_numpy = np.asarray(patterns, np.float64)
    name, peer = _peer(as_numpy)

    def keep() -> Any:
        return Hopfield(patterns).blocks.block_until_ready()

    dense = jax.jit(Hopfield.dense_couplings)

    def form() -> Any:
        return dense(Hopfield(patterns)).block_until_ready()

    ways: dict[str, Callable[[], Any]] = {"ours, patterns kept": keep, "ours, N x N matrix": form}
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {way: [] for way in (*ways, name)}
    for _ in range(repetitions):
        for way, call in ways.items():
            begin = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - begin)
    learnt = np.zeros(0)
    for _ in range(max(1, repetitions // 2)):
        begin = time.perf_counter()
        learnt = peer()
        seconds[name].append(time.perf_counter() - begin)
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    print(_setting())
    print(f"Hebb's rule, N = {n_units}, P = {n_patterns}; ratios are {name} over the way")
    for way, median in medians.items():
        low, high = min(seconds[way]), max(seconds[way])
        print(
            f"{way:34s} {median * 1e3:9.2f} ms ({low * 1e3:.2f} to {high * 1e3:.2f})"
            f"   ratio {medians[name] / median:8.1f}"
        )
    difference = float(np.abs(np.asarray(form(), np.float64) - learnt).max())
    print(f"largest difference of a coupling: {difference:.2g}")
    if difference > 1e-5:
        raise SystemExit("the two did not learn the same couplings.")
    for rule, learn in (("pseudo-inverse", pseudo_inverse), ("storkey", storkey)):
        some = patterns[: min(n_patterns, 100)]
        learn(some)
        begin = time.perf_counter()
        learn(some)
        print(f"{rule}, the first {len(some)} patterns: {time.perf_counter() - begin:.3f} s")
    return medians


def growth(n_updates: int = 10, repetitions: int = 3) -> dict[str, float]:
    """Exponents of the seconds an update takes in N, P and the number of cues; prints them with the points.

    Factored recall takes 4 P N operations for each cue: all three exponents are one once the sizes are large
    enough for matrix products to be efficient.
    """
    base = {"N": 8000, "P": 400, "cues": 128}
    print(_setting())
    print(f"factored recall, around {base}, seconds an update over {n_updates} updates")
    exponents = {}
    for name, start in base.items():
        sizes = [start // 2, start, start * 2, start * 4]
        seconds = [
            _update(**{**base, name: size}, n_updates=n_updates, repetitions=repetitions) for size in sizes
        ]
        slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
        exponents[name] = float(slope)
        points = ", ".join(f"{size}: {t * 1e3:.2f} ms" for size, t in zip(sizes, seconds, strict=True))
        print(f"time as {name}^{slope:.2f}   ({points})")
    return exponents


def _update(N: int, P: int, cues: int, n_updates: int, repetitions: int) -> float:
    patterns = random_patterns(jax.random.key(0), P, N)
    process = synchronous(Hopfield(patterns, storage="float32"))
    states = random_patterns(jax.random.key(1), cues, N)
    key, times = jax.random.key(2), []
    for _ in range(repetitions + 1):
        begin = time.perf_counter()
        run(process, key, states, n_updates).state.block_until_ready()
        times.append(time.perf_counter() - begin)
    return min(times[1:]) / n_updates


def _setting() -> str:
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    cores = len(os.sched_getaffinity(0))
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__} on "
        f"{jax.devices()[0].platform}, {cores} cores, OMP_NUM_THREADS {threads}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--growth", action="store_true", help="how the cost of recall grows")
    for option in ("n_units", "n_patterns", "n_updates", "repetitions"):
        parser.add_argument(f"--{option.replace('_', '-')}", type=int)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    (growth if given.pop("growth") else main)(**given)
