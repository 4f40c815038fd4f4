"""Magnification and quantisation: the formula against the exact equilibrium, limits, and refusals."""

import numpy as np
import pytest
from scipy.integrate import quad

from neuromanifold.theory.selforganizing import (
    fitted_exponent,
    gaussian_kernel,
    gaussian_moment,
    gaussian_radius,
    least_distortion,
    magnification_exponent,
    second_moment,
    settled_map,
    square_distortion,
)


def test_exponents_of_the_paper():
    np.testing.assert_allclose(
        magnification_exponent([0.0, 0.5, 1.0, 2.0]), [1 / 3, 7 / 12, 13 / 21, 25 / 39], rtol=1e-14
    )
    np.testing.assert_allclose(magnification_exponent(1e9), 2 / 3, atol=1e-9)
    # Ritter's formula for a neighbourhood of s units to each side.
    for s in range(5):
        ritter = 2 / 3 - 1 / (3 * s**2 + 3 * (s + 1) ** 2)
        np.testing.assert_allclose(magnification_exponent(second_moment(np.ones(s + 1))), ritter, rtol=1e-14)


@pytest.mark.parametrize("convention", ["standard", "lecture"])
def test_radius_and_moment_are_inverse(convention):
    for moment in (0.1, 0.5, 2.0, 9.0):
        radius = gaussian_radius(moment, convention)
        np.testing.assert_allclose(gaussian_moment(radius, convention), moment, rtol=1e-9)
    # A wide Gaussian's sum is its integral.
    wide = {"standard": 25.0, "lecture": 12.5}[convention]
    np.testing.assert_allclose(gaussian_moment(5.0, convention), wide, rtol=1e-9)


@pytest.mark.parametrize("steepness", [0.0, 1.5])
def test_settled_weights_solve_the_equation_by_quadrature(steepness):
    kernel = np.array([1.0, 0.6, 0.1])
    w = settled_map(8, kernel, steepness)
    edges = np.concatenate([[0], (w[1:] + w[:-1]) / 2, [1]])
    drawn = [
        [quad(lambda x, i=i: (x - w[i]) * np.exp(steepness * x), *edges[c : c + 2])[0] for c in range(8)]
        for i in range(8)
    ]
    reach = np.array([[kernel[abs(i - c)] if abs(i - c) < 3 else 0.0 for c in range(8)] for i in range(8)])
    np.testing.assert_allclose((reach * drawn).sum(1), 0, atol=1e-9)


@pytest.mark.parametrize("moment", [0.0, 0.5, 2.0])
def test_the_exact_equilibrium_has_the_exponent_of_the_formula(moment):
    kernel = gaussian_kernel(gaussian_radius(moment)) if moment else [1.0]
    exact = fitted_exponent(settled_map(40, kernel, 2.0), 2.0, margin=8)
    assert abs(exact - magnification_exponent(moment)) < 2e-4
    # Forgetting the factor 2 in R, or its normalisation, would be seen.
    assert abs(exact - magnification_exponent(2 * moment + 0.1)) > 5e-3


def test_least_distortion_is_that_of_hexagons():
    # Second moment of a regular hexagon of area 1 about its centre, from one of twelve triangles.
    height = np.sqrt(1 / (2 * np.sqrt(3)))
    triangle = quad(lambda x: (x**2 * x / np.sqrt(3)) + (x / np.sqrt(3)) ** 3 / 3, 0, height)[0]
    np.testing.assert_allclose(least_distortion(1), 12 * triangle, rtol=1e-12)
    assert least_distortion(50, 3.0) == pytest.approx(3 / 50 * least_distortion(1))
    assert square_distortion(1) == pytest.approx(2 * quad(lambda x: x**2, -0.5, 0.5)[0])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: magnification_exponent(-0.1), "moment must be >= 0"),
        (lambda: second_moment([0.0, 1.0]), "neighbourhood must be >= 0, and > 0 at 0"),
        (lambda: second_moment([[1.0]]), r"neighbourhood must have shape \(n,\)"),
        (lambda: gaussian_radius(0.0), "moment must be a finite number > 0"),
        (lambda: gaussian_kernel(1.0, "other"), "convention must be one of"),
        (lambda: settled_map(1, [1.0], 1.0), "n_units must be an integer >= 2"),
        (lambda: settled_map(3, np.ones(4), 1.0), "neighbourhood must have at most n_units = 3"),
        (lambda: fitted_exponent([0.1, 0.3, 0.2, 0.5], 1.0, 0), "weights must ascend or descend"),
        (lambda: fitted_exponent(np.arange(5.0), 0.0, 0), "steepness must not be zero"),
        (lambda: fitted_exponent(np.arange(5.0), 1.0, 1), "margin must leave four units"),
        (lambda: least_distortion(0), "n_units must be an integer >= 1"),
        (lambda: square_distortion(3, 0.0), "area must be a finite number > 0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
