"""Weights go to a file and come back bit for bit; other networks and damaged files are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks import WeightsError, load_weights, save_weights
from neuromanifold.networks.energy import Bernoulli, BoltzmannMachine, Gaussian, RestrictedBoltzmann


def machine(seed, n=5, k=3):
    return RestrictedBoltzmann.random(jax.random.key(seed), Gaussian(n, 0.5), Bernoulli(k), 1.0)


def test_there_and_back(tmp_path):
    path = tmp_path / "machine.safetensors"
    save_weights(machine(0), path)
    again = load_weights(machine(1), path)
    for one, other in zip(jax.tree.leaves(machine(0)), jax.tree.leaves(again), strict=True):
        assert one.dtype == other.dtype
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    # A pytree of any kind will do, truth values too.
    mixed = BoltzmannMachine(np.zeros((3, 3), np.float32), n_visible=2)
    save_weights(mixed, path)
    assert jnp.array_equal(load_weights(mixed, path).connected, mixed.connected)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_others_are_refused(tmp_path):
    path = tmp_path / "machine.safetensors"
    with pytest.raises(WeightsError, match="there are no weights at"):
        load_weights(machine(0), path)
    save_weights(machine(0), path)
    with pytest.raises(WeightsError, match=r"couplings is float32\[3, 5\] there and float32\[3, 6\] here"):
        load_weights(machine(0, 6), path)
    with pytest.raises(WeightsError, match="are of a RestrictedBoltzmann, not of a BoltzmannMachine"):
        load_weights(BoltzmannMachine(np.zeros((3, 3)), n_visible=2), path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="are damaged"):
        load_weights(machine(0), path)
