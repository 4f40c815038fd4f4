"""Self-organising maps against XPySom (batch) and MiniSom (online), in one process on the same rows.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.maps              CPU seconds, errors, ratios
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.maps --large      1,000,000 rows in bounded memory
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.maps --growth     exponents of the cost

A map of 50 x 50 units learns 10,000 rows of 64 features, a three-dimensional manifold in random cosines, in
10 passes; radii fall linearly from 25 to 1. Errors are measured by one function for all. Peers are imported
from PEERS, a folder of installed packages (benchmarks/peers/maps.txt); without them ours is timed alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from neuromanifold.dynamics import Schedule, run
from neuromanifold.learning.competitive import batch_map, online_map
from neuromanifold.networks.selforganizing import (
    Lattice,
    SelfOrganizingMap,
    quantisation_error,
    random_map,
    topographic_error,
)

sys.path.extend(path for path in os.environ.get("PEERS", "").split(os.pathsep) if path)


def rows_of(n_rows: int, n_features: int = 64) -> np.ndarray:
    random = np.random.default_rng(0)
    latent = random.uniform(-1, 1, (n_rows, 3))
    directions, phases = random.normal(size=(3, n_features)), random.uniform(0, 2 * np.pi, n_features)
    made = np.cos(latent @ directions + phases) + 0.01 * random.normal(size=(n_rows, n_features))
    return made.astype(np.float32)


def ours_batch(rows: np.ndarray, side: int, n_passes: int) -> Callable[[], np.ndarray]:
    begun = random_map(jax.random.key(0), Lattice((side, side)), rows, begin="rows")
    process = batch_map(rows, Schedule("linear", side / 2, 1.0, n_passes - 1), n_passes)
    return lambda: np.asarray(run(process, jax.random.key(1), begun, n_passes).state.weights)


def ours_online(rows: np.ndarray, side: int, n_steps: int) -> Callable[[], np.ndarray]:
    begun = random_map(jax.random.key(0), Lattice((side, side)), rows, begin="rows")
    radius, rate = Schedule("linear", side / 2, 1.0, n_steps), Schedule("linear", 0.5, 0.01, n_steps)
    process = online_map(rows, rate, radius, n_steps, key=jax.random.key(2))
    return lambda: np.asarray(run(process, jax.random.key(1), begun, n_steps).state.params.weights)


def peers(rows: np.ndarray, side: int, n_passes: int, n_steps: int) -> dict[str, Callable[[], np.ndarray]]:
    found: dict[str, Callable[[], np.ndarray]] = {}
    d = rows.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from xpysom import XPySom

            def xpysom() -> np.ndarray:
                som = XPySom(
                    side,
                    side,
                    d,
                    sigma=side / 2,
                    sigmaN=1.0,
                    std_coeff=1.0,
                    decay_function="linear",
                    xp=np,
                    random_seed=0,
                )
                som.train(rows, n_passes)
                return np.asarray(som.get_weights()).reshape(-1, d)

            found["XPySom, batch"] = xpysom
        except ImportError:
            print("XPySom is not installed.")
        try:
            from minisom import MiniSom

            def minisom() -> np.ndarray:
                som = MiniSom(
                    side,
                    side,
                    d,
                    sigma=side / 2,
                    learning_rate=0.5,
                    sigma_decay_function="linear_decay_to_one",
                    decay_function="linear_decay_to_zero",
                    random_seed=0,
                )
                som.random_weights_init(rows)
                som.train(rows, n_steps, random_order=True)
                return np.asarray(som.get_weights()).reshape(-1, d)

            found["MiniSom, online"] = minisom
        except ImportError:
            print("MiniSom is not installed.")
    return found


def timed(way: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    made = way()
    return time.process_time() - begin, made


def main(
    n_rows: int = 10_000, side: int = 50, n_passes: int = 10, n_steps: int = 100_000, repetitions: int = 3
) -> dict[str, float]:
    """CPU seconds (medians), errors, and the ratios peer / ours."""
    rows = rows_of(n_rows)
    ways = {
        "ours, batch": ours_batch(rows, side, n_passes),
        "ours, online": ours_online(rows, side, n_steps),
        **peers(rows, side, n_passes, n_steps),
    }
    print(setting())
    print(
        f"{side} x {side} units, {n_rows} x {rows.shape[1]} rows, {n_passes} passes, {n_steps} online updates"
    )
    lattice, medians, errors = Lattice((side, side)), {}, {}
    cold = {name: timed(way)[0] for name, way in ways.items() if name.startswith("ours")}
    for name, way in ways.items():
        often = repetitions if "MiniSom" not in name else 1
        taken = [timed(way) for _ in range(often)]
        medians[name] = statistics.median(seconds for seconds, _ in taken)
        made = SelfOrganizingMap(taken[-1][1], lattice)
        errors[name] = quantisation_error(made, rows)
        first = f", first call {cold[name]:.2f}" if name in cold else ""
        print(
            f"{name:16} {medians[name]:8.3f} CPU s (of {often}{first}), "
            f"quantisation error {errors[name]:.4f}, "
            f"topographic error {topographic_error(made, rows):.4f}"
        )
    ratios = {}
    for peer, mine in (
        ("XPySom, batch", "ours, batch"),
        ("MiniSom, online", "ours, batch"),
        ("MiniSom, online", "ours, online"),
    ):
        if peer in medians:
            ratios[f"{peer} / {mine}"] = medians[peer] / medians[mine]
            print(
                f"{peer} / {mine}: {medians[peer] / medians[mine]:.2f} times the time, "
                f"quantisation error {errors[peer] / errors[mine]:.3f} times ours"
            )
    return ratios


def growth(repetitions: int = 3) -> None:
    """Exponents of the time of a pass in rows and in units, and of an online update in units."""

    def exponent(name: str, sizes: list[int], ways: list[Callable[[], Any]], per: list[float]) -> None:
        seconds = []
        for way, count in zip(ways, per, strict=True):
            way()
            seconds.append(statistics.median(timed(way)[0] for _ in range(repetitions)) / count)
        slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        table = ", ".join(f"{n}: {s * 1e3:.4g} ms" for n, s in zip(sizes, seconds, strict=True))
        print(f"{name}: exponent {slope:.2f} ({table})")

    print(setting())
    counts, sides = [8_000, 16_000, 32_000, 64_000], [20, 28, 40, 56, 80]
    units = [side**2 for side in sides]
    exponent("a pass against rows", counts, [ours_batch(rows_of(n), 40, 5) for n in counts], [5.0] * 4)
    rows = rows_of(10_000)
    exponent("a pass against units", units, [ours_batch(rows, side, 5) for side in sides], [5.0] * 5)
    online = [ours_online(rows, side, 5_000) for side in sides]
    exponent("an online update against units", units, online, [5_000.0] * 5)


def large(n_rows: int = 1_000_000, side: int = 50, n_passes: int = 2) -> None:
    """A map on many rows; states peak memory beside that of the data."""
    rows = rows_of(n_rows)
    way = ours_batch(rows, side, n_passes)
    before = peak()
    seconds, made = timed(way)
    network = SelfOrganizingMap(made, Lattice((side, side)))
    error = quantisation_error(network, rows[:100_000])
    print(setting())
    print(
        f"{n_rows} x {rows.shape[1]} rows, {side} x {side} units, {n_passes} passes: {seconds:.2f} CPU s, "
        f"quantisation error {error:.4f}, data {rows.nbytes / 1e9:.2f} GB, "
        f"peak memory {before / 1e9:.2f} GB before learning, {peak() / 1e9:.2f} GB after"
    )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def setting() -> str:
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, JAX {jax.__version__}, "
        f"{len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="1,000,000 rows instead")
    parser.add_argument("--growth", action="store_true", help="exponents of the cost instead")
    for name in ("n_rows", "side", "n_passes", "n_steps", "repetitions"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    of_large, of_growth = given.pop("large"), given.pop("growth")
    (large if of_large else growth if of_growth else main)(**given)
