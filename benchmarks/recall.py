"""Recall in Hebb's memory: couplings kept as patterns against N x N matrices, in one process.

    python -m benchmarks.recall             NumPy dense, XLA dense, ours through `run`: medians and ratios
    python -m benchmarks.recall --large     N = 200,000, P = 2,000: peak memory, overlap against theory

All three start from the same cues, take the same synchronous updates and must reach the same overlaps.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.dynamics import run
from neuromanifold.networks.memory import Hopfield, synchronous
from neuromanifold.theory.memory import first_step, retrieval_overlap


def main(
    n_units: int = 4000,
    n_patterns: int = 400,
    n_cues: int = 100,
    n_updates: int = 20,
    overlap: float = 0.8,
    repetitions: int = 5,
    storage: str = "auto",
) -> dict[str, float]:
    """Seconds of each way (medians), and how many times faster ours is; prints a table."""
    patterns = random_patterns(jax.random.key(0), n_patterns, n_units)
    keys = jax.random.split(jax.random.key(1), n_cues)
    recalled = np.arange(n_cues) % n_patterns
    cues = jax.vmap(overlap_cue, (0, 0, None))(keys, patterns[recalled], overlap).astype(jnp.float32)

    as_numpy, start = np.asarray(patterns, np.float32), np.asarray(cues)
    couplings = as_numpy.T @ as_numpy / np.float32(n_units)
    np.fill_diagonal(couplings, 0)

    def numpy_dense() -> np.ndarray:
        state = start
        for _ in range(n_updates):
            state = np.where(state @ couplings >= 0, np.float32(1), np.float32(-1))
        return state

    on_device = jnp.asarray(couplings)

    @jax.jit
    def dense(couplings: jax.Array, state: jax.Array) -> jax.Array:
        def update(_: int, state: jax.Array) -> jax.Array:
            return jnp.where(state @ couplings >= 0, 1.0, -1.0)

        return jax.lax.fori_loop(0, n_updates, update, state)

    process = synchronous(Hopfield(patterns, storage=storage))
    key = jax.random.key(2)
    ways: dict[str, Callable[[], Any]] = {
        "NumPy dense": numpy_dense,
        "XLA dense": lambda: dense(on_device, cues).block_until_ready(),
        "factored, run": lambda: run(process, key, cues, n_updates).state.block_until_ready(),
    }
    reached = {}
    for name, way in ways.items():
        final = np.asarray(way())
        reached[name] = np.mean(final * as_numpy[recalled], axis=1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):  # in turn, so that a busy machine is busy for all
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begin)

    print(_setting())
    print(f"N = {n_units}, P = {n_patterns}, {n_cues} cues at m = {overlap}, {n_updates} updates, float32")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ours = medians["factored, run"]
    for name, median in medians.items():
        low, high = min(seconds[name]), max(seconds[name])
        print(
            f"{name:14s} {median * 1e3:8.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"
            f"   {median / ours:6.2f} x ours"
            f"   overlap {reached[name].mean():.5f}"
        )
    worst = max(float(np.abs(m - reached["NumPy dense"]).max()) for m in reached.values())
    print(f"largest difference of a cue's overlap: {worst:.2g}")
    # Rounding decides only units at a field of zero, where float32 sums of 1/N are not exact: a few per cue.
    if worst > 0.01:
        raise SystemExit("the three ways did not reach the same overlaps.")
    return medians


def large(
    n_units: int = 200_000,
    n_patterns: int = 2_000,
    n_cues: int = 1,
    n_updates: int = 10,
    storage: str = "int8",
) -> dict[str, float]:
    """Recall where the couplings would take 4 N^2 bytes; states peak memory and the overlap reached.

    At a small load recall is perfect, which tells little; the first step from a start at m = sqrt(alpha),
    where theory expects erf(1/sqrt 2) = .6827, tells more.
    """
    before = _peak()
    patterns = random_patterns(jax.random.key(0), n_patterns, n_units)
    keys = jax.random.split(jax.random.key(1), n_cues)
    cues = jax.vmap(overlap_cue, (0, 0, None))(keys, patterns[:n_cues], 0.5)
    memory = Hopfield(patterns, storage=storage)
    alpha = n_patterns / n_units
    far = overlap_cue(jax.random.key(3), patterns[0], alpha**0.5)
    del patterns
    kept = memory.blocks.nbytes
    process, key = synchronous(memory), jax.random.key(2)
    run(process, key, cues, n_updates)
    begin = time.perf_counter()
    final = run(process, key, cues, n_updates).state.block_until_ready()
    seconds = time.perf_counter() - begin
    reached = float(np.diagonal(np.asarray(memory.overlaps(final))[:, :n_cues]).mean())
    expected = float(retrieval_overlap(alpha))
    stepped = float(memory.overlaps(run(process, key, far, 1).state)[0])
    wanted = float(first_step(alpha, alpha**0.5))
    # Given the noise units are independent; its variance is a mean over P patterns, dm = 2 u p(u) d ln sigma.
    spread = ((1 - wanted**2) / n_units + 2 / (np.pi * np.e) / (2 * n_patterns)) ** 0.5
    print(_setting())
    print(
        f"N = {n_units}, P = {n_patterns}, {n_cues} cues at m = 0.5, {n_updates} updates, {storage} patterns"
    )
    print(
        f"{seconds / n_updates:.3f} s an update; overlap {reached:.6f}, Amit-Gutfreund-Sompolinsky "
        f"{expected:.6f}"
    )
    print(f"first step from m = {alpha**0.5:.4f}: {stepped:.5f}, theory {wanted:.5f} +- {spread:.5f}")
    print(
        f"peak memory {_peak() / 1e9:.2f} GB ({before / 1e9:.2f} GB before); patterns {kept / 1e9:.2f} GB; "
        f"as float32 {4 * n_units * n_patterns / 1e9:.2f} GB; an N x N matrix {4 * n_units**2 / 1e9:.0f} GB"
    )
    return {"seconds": seconds / n_updates, "peak": _peak(), "overlap": reached, "expected": expected}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


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
    parser.add_argument("--large", action="store_true", help="the memory of a large network instead")
    for name in ("n_units", "n_patterns", "n_cues", "n_updates", "repetitions"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    parser.add_argument("--overlap", type=float)
    parser.add_argument("--storage")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    (large if given.pop("large") else main)(**given)
