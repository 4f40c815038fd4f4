"""Averages in a transverse field: one spin in closed form, matrix exponentials, the order of the slices."""

import numpy as np
import pytest
from scipy.linalg import expm

from neuromanifold.theory.energy import spin_energies, transverse_averages

FIELD, TEMPERATURE = 0.8, 0.6
RANDOM = np.random.default_rng(0)
UPPER = np.triu(RANDOM.normal(size=(3, 3)), 1)
LEVELS = spin_energies(UPPER + UPPER.T, RANDOM.normal(size=3))
X = np.array([[0.0, 1.0], [1.0, 0.0]])
TURN = sum(np.kron(np.kron(np.eye(2**i), X), np.eye(2 ** (2 - i))) for i in range(3))


def test_one_spin_is_that_of_its_two_levels():
    bias = 0.4
    size = np.hypot(bias, FIELD)
    found = transverse_averages([bias, -bias], FIELD, TEMPERATURE)
    assert found.turned == pytest.approx(FIELD / size * np.tanh(size / TEMPERATURE), abs=1e-14)
    assert found.energy == pytest.approx(-(bias**2) / size * np.tanh(size / TEMPERATURE), abs=1e-14)
    # Without a bias all factors commute: any number of slices is exact.
    for n_slices in (1, 3, None):
        free = transverse_averages([0.0, 0.0], FIELD, TEMPERATURE, n_slices)
        assert free.turned == pytest.approx(np.tanh(FIELD / TEMPERATURE), abs=1e-14)


def test_three_spins_are_those_of_matrix_exponentials():
    rho = expm(-(np.diag(LEVELS) - FIELD * TURN) / TEMPERATURE)
    half = expm(-np.diag(LEVELS) / (2 * 5 * TEMPERATURE))
    path = np.linalg.matrix_power(half @ expm(FIELD * TURN / (5 * TEMPERATURE)) @ half, 5)
    for n_slices, matrix in ((None, rho), (5, path)):
        found = transverse_averages(LEVELS, FIELD, TEMPERATURE, n_slices)
        np.testing.assert_allclose(found.law, np.diagonal(matrix) / np.trace(matrix), atol=1e-13)
        assert found.energy == pytest.approx(found.law @ LEVELS, abs=1e-13)
    exact = transverse_averages(LEVELS, FIELD, TEMPERATURE)
    assert exact.turned == pytest.approx(np.trace(TURN @ rho) / np.trace(rho) / 3, abs=1e-13)


@pytest.mark.parametrize("n_slices", [None, 6])
def test_the_mean_of_x_is_the_slope_of_log_z(n_slices):
    """T d(log Z)/d(Gamma) by differences of traces written out."""

    def log_z(field):
        if n_slices is None:
            return np.log(np.trace(expm(-(np.diag(LEVELS) - field * TURN) / TEMPERATURE)))
        half = expm(-np.diag(LEVELS) / (2 * n_slices * TEMPERATURE))
        step = half @ expm(field * TURN / (n_slices * TEMPERATURE)) @ half
        return np.log(np.trace(np.linalg.matrix_power(step, n_slices)))

    slope = TEMPERATURE * (log_z(FIELD + 1e-5) - log_z(FIELD - 1e-5)) / 2e-5
    assert transverse_averages(LEVELS, FIELD, TEMPERATURE, n_slices).turned == pytest.approx(
        slope / 3, abs=1e-8
    )


def test_slices_err_by_the_square_of_their_width():
    exact = transverse_averages(LEVELS, FIELD, TEMPERATURE)
    errors = []
    for n_slices in (16, 32, 64):
        found = transverse_averages(LEVELS, FIELD, TEMPERATURE, n_slices)
        errors.append([found.energy - exact.energy, found.turned - exact.turned])
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    # 4 + O(1/P^2): what is left falls by four as well.
    assert abs(ratios[1] - 4).max() < 0.3 * abs(ratios[0] - 4).max() < 0.05


def test_extremes():
    # No field: Boltzmann's law, with any number of slices. A cold system: its ground state.
    law = np.exp(-LEVELS / TEMPERATURE)
    for n_slices in (None, 2):
        found = transverse_averages(LEVELS, 0.0, TEMPERATURE, n_slices)
        np.testing.assert_allclose(found.law, law / law.sum(), atol=1e-13)
        assert found.turned == pytest.approx(0.0, abs=1e-13)
    vector = np.linalg.eigh(np.diag(LEVELS) - FIELD * TURN)[1][:, 0]
    np.testing.assert_allclose(transverse_averages(LEVELS, FIELD, 1e-3).law, vector**2, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.0, 1.0, 2.0], 1.0, 1.0), "energies must have shape"),
        ((np.zeros(2**11), 1.0, 1.0), "n_spins must be at most 10, got 11"),
        (([0.0, np.nan], 1.0, 1.0), "energies must be finite"),
        (([0.0, 1.0], -1.0, 1.0), "field must be a finite number >= 0"),
        (([0.0, 1.0], 1.0, 0.0), "temperature must be a finite number > 0"),
        (([0.0, 1.0], 1.0, 1.0, 0), "n_slices must be an integer >= 1"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        transverse_averages(*arguments)
