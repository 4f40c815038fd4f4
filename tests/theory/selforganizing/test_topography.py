"""Topographic maps: rates of waves against the whole linear problem, and the limit of sharp edges."""

import numpy as np
import pytest
from scipy.linalg import circulant

from neuromanifold.theory.selforganizing import (
    band_width,
    hat_kernel,
    learning_kernel,
    ordered_map,
    sharp_wave_rate,
)

LATERAL, LEARNING = hat_kernel(0.5, 0.04, 2.7, 0.2), learning_kernel(8.0, 0.3, 0.06)


def test_rates_are_eigenvalues_of_the_whole_linear_problem():
    n, delta, lateral = 24, 0.2, hat_kernel(0.5, 0.04, 1.5, 0.2)
    found = ordered_map(lateral, LEARNING, delta, np.arange(n), n_grid=n)
    x = np.arange(n) / n - np.rint(np.arange(n) / n)
    w, k = circulant(lateral(x) / n), circulant(LEARNING(x) / n)
    f = 1 / (1 + np.exp(-np.roll(found.potential, -(n // 2)) / delta))
    np.testing.assert_allclose((w + k) @ f, np.roll(found.potential, -(n // 2)), atol=1e-10)
    # U(xi, eta) as a vector of n^2: w acts along xi, k along eta.
    slope = np.diag(circulant(f * (1 - f) / delta).ravel())
    along_cells, along_stimuli = np.kron(w, np.eye(n)), np.kron(np.eye(n), k)
    settled = np.linalg.inv(np.eye(n * n) - along_cells @ slope)
    rates = np.linalg.eigvals(along_stimuli @ slope @ settled).real - 1
    np.testing.assert_allclose(found.rates.max(), rates.max(), atol=1e-8)
    for rate in found.rates:
        assert np.abs(rates - rate).min() < 1e-8
    # A shift of the whole map changes nothing, but for the lattice.
    assert abs(found.rates[0]) < 0.02


@pytest.mark.parametrize("inhibition, stable", [(1.5, True), (3.0, False)])
def test_soft_edges_become_sharp(inhibition, stable):
    lateral = hat_kernel(0.5, 0.04, inhibition, 0.2)
    a = band_width(lateral, LEARNING)
    waves = np.array([0, 2, 4])
    sharp = sharp_wave_rate(lateral, LEARNING, a, 2 * np.pi * waves * a)
    away = []
    for softness in (0.08, 0.04):
        found = ordered_map(lateral, LEARNING, softness, waves, n_grid=320)
        away.append(np.abs(found.rates - sharp)[1:].max())
        assert abs(found.rates[0]) < 1e-3
    assert away[1] < 0.6 * away[0]
    assert away[1] < 0.15 * max(1, np.abs(sharp).max())
    assert (sharp[1:].max() < 0) == stable == (LEARNING(a) < 0)


def test_fastest_waves_are_two_bands_long_and_grow_as_said():
    phases = np.linspace(0, 2 * np.pi, 41)
    for lateral, learning in (
        (lambda x: -1.0 - x, lambda x: 3.0 - 8 * x),
        (lambda x: 0.5 - x, lambda x: 4 - 20 * x),
    ):
        a = 0.25
        k_0, k_a, w_a = learning(0), learning(a), lateral(a)
        rates = sharp_wave_rate(lateral, learning, a, phases)
        expected = 2 * k_a / (k_0 - k_a) if k_a > 0 else 2 * w_a / (k_0 - k_a - 2 * w_a)
        assert rates.argmax() == 20
        np.testing.assert_allclose(rates[20], expected)
        np.testing.assert_allclose(rates[[0, 40]], 0, atol=1e-12)
        p = np.array([[k_0, k_a * np.exp(0.7j)], [k_a * np.exp(-0.7j), k_0]])
        m = np.array([[k_0 - k_a - w_a, -w_a], [-w_a, k_0 - k_a - w_a]])
        mu = np.linalg.eigvals(np.linalg.solve(m, p)).real.max()
        np.testing.assert_allclose(sharp_wave_rate(lateral, learning, a, 0.7), mu - 1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: hat_kernel(-1.0, 0.1, 1.0, 0.2), "excitation must be a finite number >= 0"),
        (lambda: hat_kernel(1.0, 0.1, 1.0, 0.7), "far must be a finite number"),
        (lambda: learning_kernel(1.0, 1.0, 0.1), "ratio must be a finite number"),
        (lambda: learning_kernel(0.0, 0.5, 0.1), "gain must be a finite number > 0"),
        (lambda: band_width(LATERAL, learning_kernel(8.0, 0.0, 0.4), 5.0), "leave a band of stable width"),
        (lambda: sharp_wave_rate(lambda x: 5.0, LEARNING, 0.1, 0.0), "let activities settle"),
        (lambda: ordered_map(LATERAL, LEARNING, 0.1, [1], n_grid=33), "n_grid must be even"),
        (lambda: ordered_map(LATERAL, LEARNING, 2.0, [1], n_grid=24), "leave an ordered map"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
