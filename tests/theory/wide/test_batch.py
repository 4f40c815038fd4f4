"""Kernels in tiles, on disk, on several devices, and by Monte Carlo."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from neuromanifold.geometry import empirical_ntk_fn
from neuromanifold.theory.wide import Dense, Erf, batch, monte_carlo_kernel_fn, serial

RANDOM = np.random.default_rng(0)
X, OTHER = RANDOM.standard_normal((7, 3)), RANDOM.standard_normal((5, 3))
INIT, APPLY, KERNEL = serial(Dense(8, 1.5, 0.3), Erf(), Dense(2, 1.5, 0.3))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("store_on_device", [True, False])
def test_tiles_make_the_same_kernels(store_on_device):
    tiled = batch(KERNEL, 3, store_on_device=store_on_device)
    for second in (None, OTHER):
        made, whole = tiled(X, second, ("nngp", "ntk")), KERNEL(X, second, ("nngp", "ntk"))
        for one, other in zip(made, whole, strict=True):
            assert isinstance(one, np.ndarray) is not store_on_device
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_empirical_kernels_with_parameters_and_pairs_of_outputs():
    _, params = INIT(jax.random.key(0), X.shape)
    ntk_fn = empirical_ntk_fn(APPLY, ())
    np.testing.assert_allclose(batch(ntk_fn, 4)(X, None, params), ntk_fn(X, None, params), rtol=1e-11)


def test_a_broken_call_goes_on_where_it_stopped(tmp_path):
    expected = np.asarray(KERNEL(X, None, "ntk"))
    batch(KERNEL, 3, path=tmp_path / "whole")(X, None, "ntk")

    class Broken(RuntimeError):
        pass

    note = tmp_path / "part" / "tiles.json"

    def fails(x1, x2, get):
        made = KERNEL(x1, x2, get)

        def stop(values):
            if note.exists() and '"done": 3' in note.read_text():
                raise Broken
            return values

        return jax.pure_callback(stop, made, made)

    with pytest.raises(Exception, match="Broken"):
        batch(fails, 3, path=tmp_path / "part")(X, None, "ntk")
    values = np.load(tmp_path / "part" / "kernel_0.npy")
    assert not np.allclose(values, expected)
    values = np.lib.format.open_memmap(tmp_path / "part" / "kernel_0.npy", mode="r+")
    values[0, 0] = 77.0
    values.flush()
    made = batch(KERNEL, 3, path=tmp_path / "part")(X, None, "ntk")
    # The first tile is not made again, and the others are.
    assert made[0, 0] == 77.0
    made[0, 0] = expected[0, 0]
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="path must hold the same kernel"):
        batch(KERNEL, 3, path=tmp_path / "whole")(X + 1.0, None, "ntk")
    note.write_text("{")
    with pytest.raises(ValueError, match="path must hold the same kernel"):
        batch(KERNEL, 3, path=tmp_path / "part")(X, None, "ntk")


def test_rows_are_shared_among_devices():
    code = """
import numpy as np, jax
from neuromanifold.theory.wide import Dense, Erf, batch, serial
assert len(jax.local_devices()) == 2
kernel_fn = serial(Dense(1, 1.5, 0.3), Erf(), Dense(1, 1.5, 0.3)).kernel_fn
x = np.random.default_rng(0).standard_normal((7, 3)).astype("float32")
made = batch(kernel_fn, 2)(x, None, ("nngp", "ntk"))
for one, other in zip(made, kernel_fn(x, None, ("nngp", "ntk"))):
    np.testing.assert_allclose(one, other, rtol=1e-5)
"""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_running_means_converge_as_one_over_root_samples_to_the_limit():
    """The covariance of the last layer has no bias at any width: blocks scatter about the limit."""
    limit = np.asarray(KERNEL(X[:3], None, "nngp"))
    counts = np.arange(8, 8 * 256 + 1, 8)
    means = monte_carlo_kernel_fn(INIT, APPLY, jax.random.key(1), counts.tolist())(X[:3], None, "nngp")
    sums = np.diff([c * np.asarray(m) for c, m in zip(counts, means, strict=True)], axis=0, prepend=0.0)
    sizes = np.array([8, 32, 128])
    errors = [
        np.sqrt(np.mean((sums.reshape(-1, size // 8, 3, 3).sum(1) / size - limit) ** 2)) for size in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # 16 blocks of 128 with some three independent entries: the logarithm of a root of their mean square has a
    # standard error near 1/sqrt(2 * 48), and the largest blocks dominate the slope's.
    assert slope == pytest.approx(-0.5, abs=5 * 0.1 / np.log(16))
    total = sums.sum(0) / counts[-1]
    spread = errors[0] * np.sqrt(8 / counts[-1])
    assert np.abs(total - limit).max() < 5 * spread * 2
    assert np.abs(1.1 * total - limit).max() > 5 * spread


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: batch(KERNEL, -1), "batch_size must be"),
        (lambda: batch(KERNEL, 1, 99), "device_count must be"),
        (lambda: batch(KERNEL, 3)(X, None, None), "kernel_fn must give arrays"),
        (lambda: monte_carlo_kernel_fn(INIT, APPLY, jax.random.key(0), 0), "n_samples must be"),
        (lambda: monte_carlo_kernel_fn(INIT, APPLY, jax.random.key(0), (4, 2)), "n_samples must hold"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
