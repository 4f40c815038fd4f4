"""Clusters by enumeration, phases and merging distances; bumps of fields by the width equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.theory.selforganizing import (
    bump_widths,
    consistent_sets,
    merging_distance,
    orthogonal_set_count,
    two_cluster_phase,
    width_velocity,
)


def hat(x):
    return 3 * math.exp(-(x**2) / 2) - 1.5 * math.exp(-(x**2) / 8)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-0.99, 0.99),
    st.floats(0.05, 0.95),
    st.floats(0.02, 0.98),
    st.sampled_from(["plain", "gated", "inhibited"]),
)
def test_phases_of_two_clusters_are_those_of_enumeration(gamma, share, level, variant):
    points = np.array([[1.0, 0.0], [gamma, math.sqrt(1 - gamma**2)]])
    phase = two_cluster_phase(gamma, share, level, variant)
    sets = {tuple(row) for row in consistent_sets(points, [share, 1 - share], level, variant).tolist()}
    # Round-off decides on the boundaries alone.
    edges = [share - level, 1 - share - level, share * gamma - level, (1 - share) * gamma - level]
    edges += [share + (1 - share) * gamma - level, 1 - share + share * gamma - level, gamma - level]
    edges += [
        share * (1 - level) + (1 - share) * (gamma - level),
        share * (gamma - level) + (1 - share) * (1 - level),
    ]
    if min(abs(e) for e in edges) < 1e-9:
        return
    assert ((True, False) in sets, (False, True) in sets, (True, True) in sets) == phase


@pytest.mark.parametrize("variant, level", [("plain", 0.2), ("gated", 0.35), ("inhibited", 0.7)])
def test_merging_distance_is_where_singles_end(variant, level):
    distance = merging_distance(level, variant)
    for factor, apart in ((0.999, False), (1.001, True)):
        gamma = 1 - (factor * distance) ** 2 / 2
        assert two_cluster_phase(gamma, 0.5, level, variant).single_a is apart
    assert merging_distance(0.2) == pytest.approx(1.0954, abs=1e-4)


def test_boundaries_of_the_specification():
    """A4.1 to A4.3."""
    assert two_cluster_phase(0.39, 0.5, 0.2).single_a
    assert not two_cluster_phase(0.41, 0.5, 0.2).single_a
    assert [two_cluster_phase(g, 0.5, 0.35)[::2] for g in (0.69, 0.71, -0.29, -0.31)] == [
        (True, True),
        (False, True),
        (True, True),
        (True, False),
    ]
    for share in (0.5, 0.3):
        assert two_cluster_phase(0.69, share, 0.7, "inhibited").single_a
        assert not two_cluster_phase(0.71, share, 0.7, "inhibited").single_a
    assert [two_cluster_phase(g, 0.5, 0.7, "inhibited").merged for g in (0.39, 0.41)] == [False, True]
    assert [two_cluster_phase(g, 0.3, 0.7, "inhibited").merged for g in (0.41, 0.69)] == [False, True]


@pytest.mark.parametrize("m, ratio, count", [(5, 0.7, 5), (5, 0.4, 15), (6, 0.3, 41), (4, 0.0, 15)])
def test_numbers_of_states_under_learned_inhibition(m, ratio, count):
    """A2.3."""
    found = consistent_sets(np.eye(m), np.full(m, 1 / m), ratio, "inhibited", gain=3.0)
    assert len(found) == orthogonal_set_count(m, ratio) == count
    assert ratio == 0 or found.sum(1).max() < 1 / ratio


def test_fixed_thresholds_allow_every_set_of_orthonormal_clusters():
    """A4.4."""
    assert len(consistent_sets(np.eye(5), np.full(5, 0.2), 0.1)) == 31
    assert len(consistent_sets(np.eye(5), np.full(5, 0.2), 0.21)) == 0


def test_a_cluster_that_never_occurs_is_no_state_of_its_own():
    found = consistent_sets(np.eye(2), [1.0, 0.0], 0.3, "gated")
    assert found.tolist() == [[True, False]]


def test_many_clusters_are_enumerated_in_parts():
    assert len(consistent_sets(np.eye(16), np.full(16, 1 / 16), 0.45, "inhibited")) == 16 + 120


def test_bump_widths_of_the_specification():
    """A5.1, and the numbers of the kernel at another level."""
    unstable, stable = bump_widths(hat, -0.5, 10.0)
    assert unstable.width == pytest.approx(0.34509, abs=1e-5)
    assert stable.width == pytest.approx(2.98296, abs=1e-5)
    assert (hat(unstable.width), hat(stable.width)) == pytest.approx((1.349, -0.458), abs=1e-3)
    assert (unstable.stable, stable.stable, stable.consistent) == (False, True, True)
    assert [bump.width for bump in bump_widths(hat, -0.6, 10.0)] == pytest.approx([0.4212, 2.7764], abs=1e-4)
    assert bump_widths(hat, -1.5, 10.0) == []
    # A resting level above zero excites everything: what solves the equation is no bump.
    assert not any(bump.consistent for bump in bump_widths(hat, 0.05, 10.0))


def test_the_rate_is_the_slope_of_the_width():
    for bump in bump_widths(hat, -0.5, 10.0):
        step = 1e-5
        slope = width_velocity(hat, -0.5, bump.width + step) - width_velocity(hat, -0.5, bump.width - step)
        assert slope / (2 * step) == pytest.approx(bump.rate, rel=1e-4)
        assert abs(width_velocity(hat, -0.5, bump.width)) < 1e-9


SQUARE = {"points": np.eye(2), "probabilities": [0.5, 0.5], "level": 0.3}
BAD = [
    (two_cluster_phase, {"gamma": 1.1, "probability_a": 0.5, "level": 0.2}, "gamma"),
    (two_cluster_phase, {"gamma": 0.1, "probability_a": 1.0, "level": 0.2}, "probability_a"),
    (two_cluster_phase, {"gamma": 0.1, "probability_a": 0.5, "level": 0.0}, "level"),
    (two_cluster_phase, {"gamma": 0.1, "probability_a": 0.5, "level": -0.1, "variant": "inhibited"}, "level"),
    (two_cluster_phase, {"gamma": 0.1, "probability_a": 0.5, "level": 0.2, "variant": "shift"}, "variant"),
    (merging_distance, {"level": 0.5}, "level"),
    (merging_distance, {"level": 0.0}, "level"),
    (merging_distance, {"level": 1.0, "variant": "inhibited"}, "level"),
    (consistent_sets, SQUARE | {"level": 0.0}, "level"),
    (consistent_sets, SQUARE | {"level": -0.1, "variant": "inhibited"}, "level"),
    (consistent_sets, SQUARE | {"probabilities": [0.5, 0.6]}, "probabilities"),
    (consistent_sets, SQUARE | {"probabilities": [1.5, -0.5]}, "probabilities"),
    (consistent_sets, SQUARE | {"probabilities": [1.0]}, "probabilities"),
    (consistent_sets, SQUARE | {"points": np.ones(2)}, "points"),
    (consistent_sets, SQUARE | {"points": np.eye(21), "probabilities": np.full(21, 1 / 21)}, "n_clusters"),
    (consistent_sets, SQUARE | {"gain": 0.0}, "gain"),
    (orthogonal_set_count, {"n_clusters": 0, "ratio": 0.5}, "n_clusters"),
    (orthogonal_set_count, {"n_clusters": 2, "ratio": -0.5}, "ratio"),
    (bump_widths, {"kernel": lambda x: math.exp(-x), "resting": -0.5, "longest": 5.0}, "kernel"),
    (bump_widths, {"kernel": hat, "resting": math.nan, "longest": 5.0}, "resting"),
    (bump_widths, {"kernel": hat, "resting": -0.5, "longest": 0.0}, "longest"),
    (bump_widths, {"kernel": hat, "resting": -0.5, "longest": 5.0, "n_grid": 5}, "n_grid"),
    (width_velocity, {"kernel": hat, "resting": -0.5, "width": 0.0}, "width"),
]


@pytest.mark.parametrize("function, arguments, name", BAD)
def test_bad_values_are_refused(function, arguments, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        function(**arguments)
