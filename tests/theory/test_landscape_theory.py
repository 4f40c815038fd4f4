"""Random matrices and the spherical glass: closed forms, integrals of densities, what is refused."""

import numpy as np
import pytest
from scipy.integrate import quad

from neuromanifold.theory.landscape import (
    POSITIVE_RATE,
    complexity_of_minima,
    goe_moments,
    ground_state_energy,
    index_at_energy,
    index_fraction,
    index_variance_growth,
    marchenko_pastur,
    marchenko_pastur_edges,
    positive_definite_probability,
    semicircle,
    threshold_energy,
)


def test_positive_definite_matrices_are_as_rare_as_closed_forms_say():
    found = [positive_definite_probability(n) for n in range(1, 9)]
    closed = [1 / 2, (2 - np.sqrt(2)) / 4, (np.pi - 2 * np.sqrt(2)) / (4 * np.pi)]
    np.testing.assert_allclose(found[:3], closed, rtol=1e-14)
    # Counts of others for N = 4 and 5.
    assert abs(found[3] - 0.002458) < 5 * 2.5e-5
    assert abs(found[4] - 1.365e-4) < 5 * 6e-6
    # The leading law is approached in its exponent, from far, and is no law for small sizes.
    rates = -np.log(found) / np.arange(1, 9) ** 2
    assert (np.diff(rates) < 0).all()
    assert POSITIVE_RATE < rates[-1] < 1.2 * POSITIVE_RATE
    assert np.exp(-25 * POSITIVE_RATE) > 7 * found[4]


def test_densities_and_what_follows_from_them():
    assert quad(semicircle, -2, 2)[0] == pytest.approx(1, abs=1e-9)
    for power, moment in ((2, 0.49), (4, 2 * 0.49**2)):
        assert quad(lambda x, k=power: x**k * semicircle(x, 0.7), -1.4, 1.4)[0] == pytest.approx(moment)
    for mu in (-0.6, 0.0, 0.5, 1.3):
        below = quad(semicircle, -2, min(max(-mu, -2), 2))[0]
        assert index_fraction(mu) == pytest.approx(below, abs=1e-9)
    assert index_fraction([-5.0, 5.0]).tolist() == [1.0, 0.0]
    for ratio in (0.25, 3.0):
        low, high = marchenko_pastur_edges(ratio)
        whole, mean, square = (
            quad(lambda x, k=k, c=ratio: x**k * marchenko_pastur(x, c), low, high)[0] for k in range(3)
        )
        assert whole == pytest.approx(min(1, 1 / ratio), abs=1e-6)
        assert (mean, square) == pytest.approx((1, 1 + ratio), abs=1e-6)


def test_moments_at_any_size():
    rng, n = np.random.default_rng(0), 3
    draws = rng.normal(size=(40_000, n, n))
    matrices = (draws + draws.swapaxes(1, 2)) / np.sqrt(2 * n)
    square = matrices @ matrices
    for power, expected in zip((square, square @ square), goe_moments(n), strict=True):
        traces = np.trace(power, axis1=1, axis2=2) / n
        assert abs(traces.mean() - expected) < 5 * traces.std() / np.sqrt(len(traces))
    assert goe_moments(10**6) == pytest.approx((1, 2), abs=1e-5)
    assert index_variance_growth(20, 100) == pytest.approx(np.log(5) / np.pi**2)


def test_minima_of_the_spherical_glass_lie_in_a_band():
    assert threshold_energy(3) == pytest.approx(1.6330, abs=5e-5)
    assert ground_state_energy(3) == pytest.approx(-1.6570, abs=5e-5)
    for p in (3, 4, 10):
        edge, ground = -threshold_energy(p), ground_state_energy(p)
        assert ground < edge
        # Every direction leads up below the threshold, half of them at zero, all down at the top.
        assert index_at_energy([ground, edge, 0.0, -edge], p).tolist() == [0.0, 0.0, 0.5, 1.0]
        heights = np.linspace(ground, edge, 20)
        assert (np.diff(complexity_of_minima(heights, p)) > 0).all()
    # p = 2 has its threshold at its ground state, the edge of a semicircle.
    assert threshold_energy(2) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: semicircle(0.0, 0.0), "scale must be a finite number > 0"),
        (lambda: index_fraction(np.nan), "mu must be finite"),
        (lambda: positive_definite_probability(0), "n must be an integer in"),
        (lambda: positive_definite_probability(9), "n must be an integer in"),
        (lambda: index_variance_growth(5, 4), "larger must be an integer >= 5"),
        (lambda: marchenko_pastur_edges(0.0), "ratio must be a finite number > 0"),
        (lambda: marchenko_pastur([0.0], 0.5), "x must be > 0"),
        (lambda: threshold_energy(1), "order must be an integer >= 2"),
        (lambda: complexity_of_minima(-1.0, 3), "energy must be at most -eps_th = -1.63299"),
        (lambda: ground_state_energy(2), "order must be an integer >= 3"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
