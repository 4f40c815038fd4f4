"""The plane of a memory and its siblings: points of the whole map, a border that runs into saddles."""

import numpy as np
import pytest

from neuromanifold.theory.memory import FamilyPlane, family_fixed_points


@pytest.mark.parametrize(
    ("setting", "elsewhere"), [((0.03, 0.4, 3), 0), ((0.05, 0.6, 3), 0), ((0.02, 0.4, 5), 1)]
)
def test_points_and_eigenvalues_are_those_of_the_whole_map(setting, elsewhere):
    """The whole map finds attractors on every sheet of the noise, the plane those of the least noise."""
    whole = [point for point in family_fixed_points(*setting) if point.overlaps[0] > 0]
    found = FamilyPlane(*setting).fixed_points()
    assert {point.kind for point in found} == {"attractor", "saddle"}
    for point in found:
        twin = min(whole, key=lambda other: abs(other.overlaps[:2] - point.overlaps).max())
        np.testing.assert_allclose(point.overlaps, twin.overlaps[:2], atol=1e-6)
        for eigenvalue in point.eigenvalues:
            assert np.abs(twin.eigenvalues - eigenvalue).min() < 1e-4
    attracting = [point for point in whole if point.attractor]
    assert len([point for point in found if point.kind == "attractor"]) == len(attracting) - elsewhere


def test_the_separatrix_runs_through_the_saddle_and_parts_the_basins():
    plane = FamilyPlane(0.03, 0.4, 3)
    (saddle,) = [point for point in plane.fixed_points() if point.kind == "saddle"]
    border = plane.separatrix([0.1, saddle.overlaps[1], 0.9])
    assert border[1] == pytest.approx(saddle.overlaps[0], abs=2e-4)
    assert np.isnan(border[2])
    for side, end in ((0.01, 1.0), (-0.01, 0.0)):
        point = np.array([border[0] + side, 0.1])
        for _ in range(80):
            point = plane.move(*point)
        assert abs(point[0] - end) < 0.02


def test_without_correlation_siblings_are_strangers():
    plane = FamilyPlane(0.05, 0.0, 3)
    np.testing.assert_allclose(plane.move(0.7, 0.0)[1], 0.0, atol=1e-12)
    memory = plane.fixed_points()[0]
    # Amit, Gutfreund and Sompolinsky at load .05.
    assert memory.overlaps[0] == pytest.approx(0.99999, abs=1e-5)


def test_points_of_a_batch_move_as_alone():
    plane = FamilyPlane(0.03, 0.4, 3)
    first, second = np.meshgrid([0.1, 0.6, 0.9], [0.2, 0.5])
    together = plane.move(first, second)
    alone = [[plane.move(a, b) for a, b in zip(*row, strict=True)] for row in zip(first, second, strict=True)]
    np.testing.assert_allclose(together, np.moveaxis(np.array(alone), -1, 0), atol=1e-12)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: FamilyPlane(0.0, 0.4, 3), "alpha must be"),
        (lambda: FamilyPlane(0.03, 1.4, 3), "b must be"),
        (lambda: FamilyPlane(0.03, 0.4, 4), "s must be odd"),
        (lambda: FamilyPlane(0.03, 0.4, 3).move(1.2, 0.0), "overlap must lie in"),
        (lambda: FamilyPlane(0.03, 0.4, 3).separatrix([1.2]), "without must hold points"),
        (lambda: FamilyPlane(0.045, 0.55, 3).separatrix([0.2]), "alpha must be a load at which the memory"),
    ],
)
def test_bad_values_are_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act()
