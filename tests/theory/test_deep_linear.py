"""Critical points of deep linear networks: by enumeration, by perturbation, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from neuromanifold.theory.landscape import critical_point_type, critical_points, global_optimum_low_rank

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((4, 20)), RANDOM.standard_normal((3, 20))


def test_the_best_map_of_full_rank_is_least_squares():
    best = global_optimum_low_rank(X, Y, 3)
    solution = np.linalg.lstsq(X.T, Y.T, rcond=None)[0].T
    np.testing.assert_allclose(best.matrix, solution, rtol=1e-10)
    assert best.loss == pytest.approx(0.5 * np.sum((solution @ X - Y) ** 2), rel=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_no_map_of_the_rank_is_better(rank):
    best = global_optimum_low_rank(X, Y, rank)
    assert np.linalg.matrix_rank(best.matrix) == rank
    assert best.loss == pytest.approx(0.5 * (np.sum(Y**2) - np.sum(best.singular[:rank] ** 2)), rel=1e-12)
    u, s, vt = np.linalg.svd(best.matrix)
    for _ in range(200):
        shake = 1e-3 * RANDOM.standard_normal((2, 4, max(rank, 1)))
        left, right = u[:, :rank] * s[:rank] + shake[0, :3, :rank], vt[:rank] + shake[1, :, :rank].T
        assert 0.5 * np.sum((left @ right @ X - Y) ** 2) >= best.loss
    # The best of the wrong metric, without whitening, is worse.
    v, t, wt = np.linalg.svd(Y @ X.T @ np.linalg.inv(X @ X.T))
    plain = (v[:, :rank] * t[:rank]) @ wt[:rank]
    assert rank == 0 or 0.5 * np.sum((plain @ X - Y) ** 2) > best.loss + 1e-6


def test_critical_points_are_all_subsets_and_one_is_the_minimum():
    points = critical_points(X, Y, 2)
    assert {p.directions for p in points} == {
        held for k in range(3) for held in itertools.combinations(range(3), k)
    }
    assert [p.kind for p in points] == ["minimum"] + ["saddle"] * 6
    assert points[0].loss == pytest.approx(global_optimum_low_rank(X, Y, 2).loss, rel=1e-12)
    assert points[-1].loss == pytest.approx(0.5 * np.sum(Y**2), rel=1e-12)


def test_each_critical_point_has_no_slope_and_each_saddle_a_way_down():
    """W_2 = U_I, W_1 = U_I^T Y X^T (X X^T)^{-1}, and the second derivative along random directions."""
    inverse = np.linalg.inv(X @ X.T)
    values, vectors = np.linalg.eigh(X @ X.T)
    u = np.linalg.svd(Y @ X.T @ (vectors / np.sqrt(values)) @ vectors.T)[0]

    def loss(a, b):
        return 0.5 * np.sum((b @ a @ X - Y) ** 2)

    for point in critical_points(X, Y, 2):
        b = np.zeros((3, 2))
        b[:, : len(point.directions)] = u[:, list(point.directions)]
        a = b.T @ Y @ X.T @ inverse
        assert loss(a, b) == pytest.approx(point.loss, rel=1e-10)
        missing = (b @ a @ X - Y) @ X.T
        assert np.abs(b.T @ missing).max() < 1e-9
        assert np.abs(missing @ a.T).max() < 1e-9
        # Second derivatives in all directions, by polarisation of the exact quartic.
        n = a.size + b.size
        hessian = np.zeros((n, n))
        step = 1e-3
        for i, j in itertools.product(range(n), repeat=2):
            total = 0.0
            for si, sj in itertools.product((1, -1), repeat=2):
                shift = np.zeros(n)
                shift[i] += si * step
                shift[j] += sj * step
                total += (
                    si * sj * loss(a + shift[: a.size].reshape(a.shape), b + shift[a.size :].reshape(b.shape))
                )
            hessian[i, j] = total / (4 * step**2)
        least = np.linalg.eigvalsh(hessian)[0]
        assert (least < -1e-3) == (point.kind == "saddle")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: global_optimum_low_rank(np.ones((2, 5)), np.ones((1, 5)), 1), "x must give X X.T full rank"),
        (lambda: global_optimum_low_rank(X, Y[:, :3], 1), "y must have shape"),
        (lambda: global_optimum_low_rank(X, Y, -1), "rank must be"),
        (lambda: critical_points(X, 0 * Y, 1), "y must give singular values"),
        (lambda: critical_point_type((0, 0), 3, 2), "directions must name none twice"),
        (lambda: critical_point_type((0, 1), 3, 1), "directions must be no more"),
        (lambda: critical_point_type((3,), 3, 1), r"directions\[0\] must be"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
