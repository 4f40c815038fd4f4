"""The phase diagram of tanh networks: seconds, and errors against quadrature by SciPy.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.phase

200 x 200 points of (sigma_w, sigma_b); of every point the fixed point, chi_1 and both depth scales. Cold
contains compilation. The reference shares no code: adaptive quadrature in one dimension for q* (by Brent's
method), chi_1 and xi_q; for c* and xi_c nested quadrature over the half sum and half difference of the pair,
and one step of Newton's method with it. Half of the points compared are drawn at random and half are those
nearest to the edge of chaos.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
import scipy
from scipy.integrate import quad, quad_vec
from scipy.optimize import brentq

from neuromanifold.theory.meanfield import FixedPoint, activation, fixed_point, length_map

_REACH = 10.0


def density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def average(f: Callable[[float], float], q: float) -> float:
    """E f(U), U ~ N(0, q)."""
    root = math.sqrt(q)
    return quad(lambda z: density(z) * f(root * z), -_REACH, _REACH, epsabs=1e-14, epsrel=1e-13, limit=500)[0]


def pair_averages(q: float, rho: float) -> np.ndarray:
    """E (phi(U) - phi(V))^2 and E phi'(U) phi'(V) at variances q and correlation rho."""
    shared, own = math.sqrt(0.5 * q * (1.0 + rho)), math.sqrt(0.5 * q * (1.0 - rho))

    def inner(z: float) -> np.ndarray:
        def both(w: float) -> np.ndarray:
            t, s = math.tanh(shared * z + own * w), math.tanh(shared * z - own * w)
            # tanh x - tanh y = tanh(x - y) (1 - tanh x tanh y), without cancellation.
            apart = math.tanh(2.0 * own * w) * (1.0 - t * s)
            return density(w) * np.array([apart**2 / (1.0 - rho), (1.0 - t * t) * (1.0 - s * s)])

        return quad_vec(both, 0.0, _REACH, epsabs=1e-14, epsrel=1e-13)[0]

    # Both integrands are even in z and in w.
    made = 4.0 * quad_vec(lambda z: density(z) * inner(z), 0.0, _REACH, epsabs=1e-13, epsrel=1e-12)[0]
    return made * np.array([1.0 - rho, 1.0])


def reference(sigma_w: float, sigma_b: float, near: float) -> tuple[float, float, float]:
    """q*, chi_1 and xi_q."""
    w2, b2 = sigma_w**2, sigma_b**2

    def gap(q: float) -> float:
        return w2 * average(lambda u: math.tanh(u) ** 2, q) + b2 - q

    q = float(brentq(gap, 0.5 * near, 2.0 * near, xtol=1e-14, rtol=1e-14))  # pyright: ignore[reportArgumentType]
    chi = w2 * average(lambda u: (1.0 - math.tanh(u) ** 2) ** 2, q)
    # phi'^2 + phi phi'' = (1 - t^2) (1 - 3 t^2)
    slope = w2 * average(lambda u: (1.0 - math.tanh(u) ** 2) * (1.0 - 3.0 * math.tanh(u) ** 2), q)
    return q, chi, -1.0 / math.log(abs(slope))


def main(resolution: int = 200, repetitions: int = 5, n_compared: int = 40) -> dict[str, float]:
    """Seconds (cold, and medians of the warm) and the largest errors; prints them."""
    sigma_w = np.linspace(4.0 / resolution, 4.0, resolution)[:, None]
    sigma_b = np.linspace(2.0 / resolution, 2.0, resolution)[None, :]
    phi, wall, cpu = activation("tanh"), [], []

    def timed() -> FixedPoint:
        begin = time.perf_counter(), time.process_time()
        found = jax.block_until_ready(fixed_point(phi, sigma_w, sigma_b, tolerance=1e-8))
        wall.append(time.perf_counter() - begin[0])
        cpu.append(time.process_time() - begin[1])
        return found

    found = [timed() for _ in range(1 + repetitions)][-1]
    residual = np.abs(
        np.asarray(length_map(phi, found.length, sigma_w=sigma_w, sigma_b=sigma_b) - found.length)
    )
    found = jax.tree.map(np.asarray, found)
    chosen = np.random.default_rng(0).choice(found.length.size, n_compared // 2, replace=False)
    edge = np.argsort(np.abs(found.chi_1 - 1.0), axis=None)[: n_compared - chosen.size]
    names = ("length", "chi_1", "depth_scale_length", "depth_scale_correlation", "correlation", "rate")
    worst = dict.fromkeys(names, 0.0)
    grid_w, grid_b = np.broadcast_arrays(sigma_w, sigma_b)
    for at in (np.unravel_index(i, found.length.shape) for i in np.append(chosen, edge)):
        w, b, q = float(grid_w[at]), float(grid_b[at]), float(found.length[at])
        exact = dict(zip(names, reference(w, b, q), strict=False))
        if found.chi_1[at] > 1.0:
            rho = float(found.covariance[at]) / q
            spread, slopes = w * w * pair_averages(exact["length"], rho)
            # H(rho) = 1 - spread / (2 q (1 - rho)), the trivial root divided out, and its slope
            value = 1.0 - spread / (2.0 * exact["length"] * (1.0 - rho))
            exact["correlation"] = rho - value * (1.0 - rho) / (slopes - 1.0 + value)
            slope = w * w * pair_averages(exact["length"], exact["correlation"])[1]
            exact["depth_scale_correlation"] = -1.0 / math.log(slope)
            worst["correlation"] = max(worst["correlation"], abs(exact["correlation"] - rho))
        else:
            exact["depth_scale_correlation"] = -1.0 / math.log(exact["chi_1"])
        rates = 1.0 / found.depth_scale_correlation[at] - 1.0 / exact["depth_scale_correlation"]
        worst["rate"] = max(worst["rate"], abs(float(rates)))
        for name in names[:4]:
            difference = abs(float(getattr(found, name)[at]) / exact[name] - 1.0)
            worst[name] = max(worst[name], difference)
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, JAX "
        f"{jax.__version__}, {len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS "
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    print(f"{resolution} x {resolution} points of tanh, {int((found.chi_1 > 1).sum())} chaotic")
    for name, times in (("wall", wall), ("CPU", cpu)):
        print(
            f"{name} s: cold {times[0]:.2f}, warm {statistics.median(times[1:]):.2f} "
            f"({min(times[1:]):.2f} to {max(times[1:]):.2f})"
        )
    print(f"largest residual |f(q*) - q*| {residual.max():.2g}")
    print(
        f"reported errors: q* {found.length_error.max():.2g}, c*/q* {found.correlation_error.max():.2g}; "
        f"converged {found.converged.mean():.4%}"
    )
    print(f"against SciPy at {n_compared} points, largest relative difference (c*/q* and 1/xi_c: absolute):")
    for name, value in worst.items():
        print(f"  {name} {value:.2g}")
    # Beside the edge xi_c is 1/(1 - chi_c) of a difference of round-off: its inverse is what is checked.
    checked = max(value for name, value in worst.items() if name != "depth_scale_correlation")
    if residual.max() > 1e-8 or checked > 1e-8 or not found.converged.all():
        raise SystemExit("a point is wrong by more than 1e-8.")
    return {"wall": statistics.median(wall[1:]), "CPU": statistics.median(cpu[1:])} | worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("resolution", "repetitions", "n_compared"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    main(**{name: value for name, value in vars(parser.parse_args()).items() if value is not None})
