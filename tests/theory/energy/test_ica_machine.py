"""Separation of sources: known numbers, rates against derivatives of the averaged flow, bad input."""

import numpy as np
import pytest

from neuromanifold.theory.energy import (
    linear_autoencoder,
    mixed_amplitude,
    pair_interaction,
    separation,
    source,
    step_autoencoder,
    two_gaussians,
)

SIGMA = 0.5


@pytest.mark.parametrize(
    "name", ["binary", "uniform", "gaussian", "laplace", "exponential", "bernoulli", "gamma"]
)
def test_sources_are_standardised(name):
    s, w = source(name)
    assert w.sum() == pytest.approx(1, abs=1e-12)
    assert w @ s == pytest.approx(0, abs=1e-10)
    assert w @ s**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "name, amplitude, kappa, rotation",
    [
        ("binary", 0.99933, 0.00135, -0.9946),
        ("uniform", 0.84526, 0.17076, -0.3170),
        ("gaussian", 0.76575, 0.25, 0.0),
        ("laplace", 0.65731, 0.38664, 0.5466),
    ],
)
def test_known_separations(name, amplitude, kappa, rotation):
    found = separation(source(name), SIGMA)
    assert found.amplitude == pytest.approx(amplitude, abs=6e-6)
    assert found.kappa == pytest.approx(kappa, abs=6e-6)
    assert found.rotation == pytest.approx(rotation, abs=6e-5)


def averaged(w, of):
    """<tanh(W s/sigma^2) s^T> - R W over two sources, by every pair of nodes."""
    pairs = np.stack(np.meshgrid(of.nodes, of.nodes, indexing="ij"), -1).reshape(-1, 2)
    p = np.outer(of.weights, of.weights).ravel()
    data = (p[:, None] * np.tanh(pairs @ w.T / SIGMA**2)).T @ pairs
    h = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    q = np.exp(((h @ w) ** 2).sum(1) / (2 * SIGMA**2))
    q /= q.sum()
    return data - (q[:, None] * h).T @ h @ w


def test_rates_are_those_of_the_flow():
    of = source("uniform")
    found = separation(of, SIGMA)
    rest = found.amplitude * np.eye(2)
    assert abs(averaged(rest, of)).max() < 1e-10
    modes = {
        "rotation": [[0, 1], [-1, 0]],
        "symmetric": [[0, 1], [1, 0]],
        "relaxation": [[1, 0], [0, 1]],
    }
    step = 1e-5
    for name, mode in modes.items():
        along = np.array(mode, float)
        change = (averaged(rest + step * along, of) - averaged(rest - step * along, of)) / (2 * step)
        assert (change * along).sum() / 2 == pytest.approx(getattr(found, name), abs=1e-7)
    assert found.symmetric == pytest.approx(-6.0327, abs=6e-5)
    assert found.relaxation == pytest.approx(-0.9509, abs=6e-5)


def test_a_pair_of_units_is_a_pair_of_spins():
    w = np.array([[0.7, -0.2, 0.3], [0.1, 0.5, 0.4]])
    h = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    q = np.exp(((h @ w) ** 2).sum(1) / (2 * SIGMA**2))
    expected = (q / q.sum()) @ h.prod(1)
    assert pair_interaction(w, SIGMA) == pytest.approx(expected, abs=1e-14)
    assert abs(expected - w[0] @ w[1] / SIGMA**2) > 1e-2
    assert pair_interaction(np.eye(2), SIGMA) == 0
    with pytest.raises(ValueError, match=r"couplings must have shape \(2, n\)"):
        pair_interaction(np.ones((3, 2)), SIGMA)


def test_laplace_sources_rest_mixed():
    of = source("laplace")
    a = mixed_amplitude(of, SIGMA)
    assert a / np.sqrt(2) == pytest.approx(0.501, abs=5e-4)
    turned = a / np.sqrt(2) * np.array([[1, 1], [1, -1]])
    assert abs(averaged(turned, of)).max() < 1e-9


@pytest.mark.parametrize(
    "name, criterion, digits",
    [
        ("uniform", 0.906, 3),
        ("exponential", 1.24, 2),
        ("bernoulli", 4.00, 2),
        ("gamma", 1.62, 1),
        ("laplace", -0.15, 2),
    ],
)
def test_units_0_and_1(name, criterion, digits):
    found = two_gaussians(source(name), SIGMA)
    assert found.criterion == pytest.approx(criterion, abs=10.0**-digits)
    if name == "uniform":
        signs = separation(source(name), SIGMA)
        ratio = signs.amplitude**2 / SIGMA**2 * (1 - signs.kappa / SIGMA**2)
        assert found.criterion == pytest.approx(ratio, abs=1e-6)


def test_autoencoders():
    linear = linear_autoencoder(0.5, 0.5)
    assert linear.threshold**2 == pytest.approx(0.5)

    def velocity(s, product):
        return s * (-1 + product / (1 - s**2) ** 2)

    assert velocity(linear.threshold, 0.25) == pytest.approx(0, abs=1e-15)
    slope = (velocity(linear.threshold + 1e-6, 0.25) - velocity(linear.threshold - 1e-6, 0.25)) / 2e-6
    assert linear.rate == pytest.approx(slope, rel=1e-8)
    assert linear.silent_rate == -0.75
    # No threshold beyond c lambda = 1: it grows from everywhere.
    assert linear_autoencoder(0.5, 3.0) == (0.0, 0.5, 0.5)
    made = step_autoencoder(0.3)
    assert made.amplitude == pytest.approx(0.3 * (1 + made.amplitude))
    assert made.high == pytest.approx(made.amplitude * (made.amplitude + 1))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: source("cauchy"), "name must be one of"),
        (lambda: source("bernoulli", 1.0), r"p must be a finite number in \(0, 1\)"),
        (
            lambda: separation(source("uniform"), 1.0),
            "sigma must be below the standard deviation of the sources",
        ),
        (lambda: separation(source("uniform"), 0.0), "sigma must be a finite number > 0"),
        (lambda: linear_autoencoder(0.0, 1.0), "gain must be a finite number > 0"),
        (lambda: linear_autoencoder(1.0, -1.0), "variance must be a finite number > 0"),
        (lambda: step_autoencoder(1.0), r"gain must be a finite number in \(0, 1\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
