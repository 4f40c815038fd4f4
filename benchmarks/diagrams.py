"""Phase diagrams of memories: 10,000 points in seconds.

    python -m benchmarks.diagrams

(a) retrieval against load and temperature (Amit, Gutfreund, Sompolinsky 1987), ours against what is usually
    written: the three equations iterated from m = 1 at all points together, with Gauss-Hermite nodes. Both
    decide at each point whether there is a memory and how good it is; the points where they differ are
    counted.
(b) memory and concept against load and correlation of the children, three to a family; ours alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from neuromanifold.theory.memory import memory_phase_diagram, phase_diagram

N_ITERATIONS = 400


def iterated(alpha: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Overlaps (n_temperature, n_alpha) by iteration of m, q and r."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    beta = 1.0 / temperature[:, None]
    m = np.ones((temperature.size, alpha.size))
    q = np.ones_like(m)
    for _ in range(N_ITERATIONS):
        r = q / np.maximum(1.0 - beta * (1.0 - q), 1e-9) ** 2
        fired = np.tanh(beta[..., None] * (m[..., None] + np.sqrt(alpha * r)[..., None] * nodes))
        m, q = fired @ weights, fired**2 @ weights
    return m


def timed(act: Callable[[], Any], repetitions: int) -> tuple[Any, float]:
    """What it returns, and the median of its seconds."""
    seconds = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        result = act()
        seconds.append(time.perf_counter() - begin)
    return result, statistics.median(seconds)


def main(repetitions: int = 3) -> None:
    """Print seconds and agreement."""
    alpha, temperature = np.linspace(0.002, 0.16, 100), np.linspace(0.02, 1.1, 100)
    ours, seconds = timed(lambda: memory_phase_diagram(alpha, temperature), repetitions)
    theirs, usual = timed(lambda: iterated(alpha, temperature), 1)
    far = (ours.memory != (theirs > 0.05)) | (ours.memory & (np.abs(ours.overlap - theirs) > 0.01))
    near = ours.memory & ~far
    where = temperature[np.nonzero(far)[0]]
    print(f"(a) retrieval, 100 x 100: {seconds:.2f} s; iterated {N_ITERATIONS} times {usual:.2f} s, ", end="")
    print(f"{usual / seconds:.1f} x ours;")
    print(f"    it is off by more than .01 at {int(far.sum())} of {far.size} points, ", end="")
    print(f"{int(np.sum(where < 0.1))} of them below T = 0.1;")
    print(f"    elsewhere overlaps differ by at most {np.abs(ours.overlap - theirs)[near].max():.4f}")
    _, seconds = timed(
        lambda: phase_diagram(np.linspace(0.002, 0.16, 100), np.linspace(0.01, 0.99, 100), 3), 1
    )
    print(f"(b) memory and concept, 100 x 100: {seconds:.2f} s")


if __name__ == "__main__":
    main()
