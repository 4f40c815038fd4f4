"""Distortions: identities, exact shifts and turns, the elastic field's law, jit and determinism."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import Distortion, load_mnist_subset, pad


@pytest.fixture(scope="module")
def pictures() -> jax.Array:
    return jnp.asarray(pad(load_mnist_subset().images[::500], 32), jnp.float32)


def test_nothing_asked_for_changes_nothing(key, pictures):
    np.testing.assert_allclose(Distortion()(key, pictures), pictures, atol=1e-3)


def test_same_key_same_pictures_jit_as_eager(key, pictures):
    distort = Distortion(10, 0.1, 0.1, 1.5, 24.0)
    first = distort(key, pictures)
    np.testing.assert_allclose(jax.jit(distort)(key, pictures), first, atol=2e-2)
    assert np.abs(first - distort(jax.random.key(1), pictures)).max() > 50
    assert np.abs(first[0] - pictures[0]).max() > 50
    # Each picture has a distortion of its own.
    same = distort(key, jnp.broadcast_to(pictures[3], pictures.shape))
    assert np.abs(same[0] - same[1]).max() > 50


def test_affine_fields_are_affine_with_the_stated_ranges(key):
    field = np.asarray(Distortion(rotation=30.0, scaling=0.2, shear=0.3, shift=2.0).field(key, 400, 9, 9))
    second = np.diff(field, 2, axis=2), np.diff(field, 2, axis=3)
    assert max(np.abs(part).max() for part in second) < 1e-4
    centre = field[:, :, 4, 4] - 4
    assert 1.9 < np.abs(centre).max() <= 2.0
    turned = np.asarray(Distortion(rotation=30.0).field(key, 400, 9, 9))
    steps = turned[:, :, 5, 4] - turned[:, :, 4, 4]
    angles = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    np.testing.assert_allclose(np.hypot(steps[:, 0], steps[:, 1]), 1, rtol=1e-5)
    assert 29 < np.abs(angles).max() <= 30 + 1e-3


def test_elastic_field_has_the_standard_deviation_of_its_header(key):
    """In the middle of a large picture: alpha / (2 sqrt(3 pi) sigma), 400 fields, five standard errors."""
    alpha, sigma, n = 34.0, 4.0, 400
    field = np.asarray(Distortion(alpha=alpha, sigma=sigma).field(key, n, 41, 41))
    rest = np.asarray(Distortion().field(key, n, 41, 41))
    middle = (field - rest)[:, :, 20, 20].ravel()
    expected = alpha / (2 * math.sqrt(3 * math.pi) * sigma)
    # 2 n nearly Gaussian values: the standard deviation has relative error 1/sqrt(4 n).
    assert middle.std() == pytest.approx(expected, rel=5 / math.sqrt(4 * n))
    assert abs(middle.mean()) < 5 * expected / math.sqrt(2 * n)
    # A Gaussian of sigma sqrt(2), a formula one might write by mistake, would be seen.
    assert middle.std() != pytest.approx(expected / math.sqrt(2), rel=5 / math.sqrt(4 * n))


def test_outside_is_background(key):
    out = Distortion(shift=40.0, background=-1.0)(key, jnp.ones((50, 8, 8)))
    gone = np.asarray(out).reshape(50, -1).max(1) == -1
    assert gone.any()


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": -1.0},
        {"rotation": 181.0},
        {"scaling": 1.0},
        {"shear": -0.1},
        {"shift": math.nan},
        {"alpha": -1.0},
        {"sigma": 0.0},
        {"background": math.inf},
    ],
)
def test_bad_values_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Distortion(**options)
