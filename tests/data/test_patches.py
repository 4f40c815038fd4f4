"""Natural pictures and patches: where they come from, how they are cut, and what whitening leaves."""

from __future__ import annotations

import importlib.util

import jax
import numpy as np
import pytest

from neuromanifold._base import FileError
from neuromanifold.data import (
    cut_patches,
    natural_pictures,
    scramble_phases,
    whiten_patches,
    whiten_picture,
)

SHAPES = {"grace_hopper": (600, 512), "china": (427, 640), "flower": (427, 640)}


@pytest.fixture(scope="module")
def pictures():
    return natural_pictures()


@pytest.fixture(scope="module")
def patches(pictures):
    return cut_patches(jax.random.key(1), list(pictures.values()), 4000, 8)


def test_pictures_are_grey_values_of_three_scenes(pictures):
    assert {name: picture.shape for name, picture in pictures.items()} == SHAPES
    for picture in pictures.values():
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert 0.8 < picture.max() <= 1
        # Neighbours are alike in a natural picture; those of shuffled pixels would have correlation 0.
        centred = picture - picture.mean()
        assert np.mean(centred[:, 1:] * centred[:, :-1]) / centred.var() > 0.9
    # The sky above the temple is brighter than what lies under it.
    assert pictures["china"][:100].mean() > pictures["china"][-100:].mean()


def test_without_scikit_learn_the_portrait_is_left(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "neuromanifold.data._patches.importlib.util.find_spec",
        lambda name: None if name == "sklearn" else real(name),
    )
    assert list(natural_pictures()) == ["grace_hopper"]
    with pytest.raises(FileError, match="sklearn is not installed, whose wheel carries the picture china"):
        natural_pictures(["china"])


def test_damaged_pictures_are_refused(monkeypatch, tmp_path):
    found = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr("neuromanifold.data._patches.importlib.util.find_spec", lambda name: found)
    with pytest.raises(FileError, match=r"flower\.jpg is missing or no picture"):
        natural_pictures(["flower"])
    path = tmp_path / "datasets" / "images" / "flower.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no picture at all")
    with pytest.raises(FileError, match=r"flower\.jpg is missing or no picture"):
        natural_pictures(["flower"])
    from matplotlib.image import imsave

    imsave(path.with_suffix(".png"), np.zeros((4, 4, 4)))
    path.with_suffix(".png").rename(path)
    with pytest.raises(FileError, match="must hold three colours of 8 bits"):
        natural_pictures(["flower"])


def test_patches_are_windows_from_every_place_alike(key):
    # Every pixel carries its own number, so a patch tells where it was cut.
    small, large = np.arange(5 * 4.0).reshape(5, 4), 100 + np.arange(6 * 7.0).reshape(6, 7)
    cut = cut_patches(key, [small, large], 20_000, 3, remove_mean=False)
    assert cut.dtype == np.float32
    step = cut - cut[:, :1, :1]
    from_large = cut[:, 0, 0] >= 100
    assert np.all(step[~from_large] == np.arange(3)[:, None] * 4 + np.arange(3))
    assert np.all(step[from_large] == np.arange(3)[:, None] * 7 + np.arange(3))
    corners, counts = np.unique(cut[:, 0, 0], return_counts=True)
    assert len(corners) == 3 * 2 + 4 * 5
    # Chi-square of 25 degrees of freedom: mean 25, standard deviation sqrt(50).
    expected = 20_000 / 26
    assert abs(np.sum((counts - expected) ** 2 / expected) - 25) < 5 * np.sqrt(50)


def test_patches_lose_their_mean_only_if_asked(key, pictures):
    china = [pictures["china"]]
    with_mean = cut_patches(key, china, 50, 10, remove_mean=False)
    without = cut_patches(key, china, 50, 10)
    assert np.abs(without.mean((1, 2))).max() < 1e-6
    assert np.abs(with_mean.mean((1, 2))).min() > 0.01
    assert np.allclose(with_mean - with_mean.mean((1, 2), keepdims=True), without, atol=1e-6)
    whole = cut_patches(key, [np.ones((4, 4))], 2, 4, remove_mean=False)
    assert np.array_equal(whole, np.ones((2, 4, 4)))


def test_the_filter_flattens_the_spectrum_of_natural_pictures(pictures):
    """Amplitudes fall as 1/f before, and below the cutoff stay within a factor of two after it."""
    white = whiten_picture(pictures["china"])
    assert white.dtype == np.float32
    assert abs(white.mean()) < 1e-5
    assert white.std() == pytest.approx(1, abs=1e-5)
    height, width = white.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    bands = [(0.02, 0.04), (0.05, 0.1), (0.12, 0.2)]

    def amplitudes(picture):
        power = np.abs(np.fft.fft2(picture - picture.mean())) ** 2
        return np.sqrt([power[(frequency > low) & (frequency < high)].mean() for low, high in bands])

    before, after = amplitudes(pictures["china"]), amplitudes(white)
    assert before[0] / before[-1] > 4
    assert 0.5 < after[0] / after[-1] < 2


def test_the_filter_has_its_gain_at_one_frequency():
    """One sine comes out as itself; of two, the ratio is that of f exp(-(f/f0)^4)."""
    x = 2 * np.pi * np.arange(64)
    low, high = np.sin(x * 4 / 64), np.sin(x * 20 / 64)
    both = np.ones((32, 1)) * (low + high)
    filtered = whiten_picture(both, cutoff=0.3)
    gain = [float(2 * np.mean(filtered[0] * wave)) for wave in (low, high)]
    expected = [f / 64 * np.exp(-((f / 64 / 0.3) ** 4)) for f in (4, 20)]
    assert gain[1] / gain[0] == pytest.approx(expected[1] / expected[0], rel=1e-5)


def test_scrambled_phases_keep_the_spectrum_and_nothing_else(key, pictures):
    china = pictures["china"]
    other = scramble_phases(key, china)
    assert other.mean() == pytest.approx(china.mean(), abs=1e-5)
    before, after = (np.abs(np.fft.fft2(np.asarray(p, np.float64))) for p in (china, other))
    assert np.allclose(before, after, rtol=1e-2, atol=1e-4 * before.max())
    # Edges make the fourth moment of white natural pictures large; with random phases it is a Gaussian's.
    fourth = [float(np.mean(whiten_picture(p).astype(np.float64) ** 4)) for p in (china, other)]
    assert fourth[0] > 6
    assert abs(fourth[1] - 3) < 0.5


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_white_patches_have_unit_covariance(patches, kind):
    white = whiten_patches(patches, kind, n_components=30)
    values = white.values.astype(np.float64)
    assert np.allclose(values.mean(0), 0, atol=1e-4)
    covariance = values.T @ values / (len(values) - 1)
    eigenvalues = np.linalg.eigvalsh(covariance)[::-1]
    assert np.allclose(eigenvalues[:30], 1, atol=1e-3)
    assert np.allclose(eigenvalues[30:], 0, atol=1e-3)
    assert values.shape[1] == (30 if kind == "pca" else 64)
    # Backward undoes forward on what was kept, and a weight vector is drawn as forward^T w.
    flat = patches.reshape(len(patches), -1) - white.mean
    assert np.allclose(white.forward @ white.backward @ white.values.T, white.values.T, atol=1e-3)
    weights = np.random.default_rng(0).normal(size=values.shape[1]).astype(np.float32)
    assert np.allclose(flat @ (white.forward.T @ weights), white.values @ weights, atol=1e-2)


def test_zca_moves_patches_least(patches):
    """Of all whitenings the symmetric one is nearest: it is closer than the same sample turned at random."""
    flat = patches.reshape(len(patches), -1)
    white = whiten_patches(patches, "zca")
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(64, 64)))[0]
    centred = flat - flat.mean(0)
    near, far = (np.sum((centred - v) ** 2) for v in (white.values, white.values @ turn.T))
    assert near < far
    assert np.allclose(white.forward, white.forward.T, atol=1e-3)


def test_constant_directions_are_left_out(patches):
    assert whiten_patches(patches, "pca").values.shape[1] == 63
    assert whiten_patches(patches, "pca", floor=0.05).values.shape[1] < 20


BAD_CUTS = [
    ({"n_patches": 0}, "n_patches must be an integer >= 1, got 0"),
    ({"size": 0}, "size must be an integer >= 1, got 0"),
    ({"size": 6}, "size must be at most 5, the smallest side of the pictures, got 6"),
    ({"pictures": []}, "pictures must hold at least one picture"),
    ({"pictures": [np.ones(3)]}, r"pictures must have shape \(height, width\)"),
    ({"pictures": [np.full((5, 5), np.nan)]}, "pictures must be finite"),
]


@pytest.mark.parametrize("change, message", BAD_CUTS)
def test_bad_cuts_are_refused(key, change, message):
    call = {"pictures": [np.ones((5, 6))], "n_patches": 3, "size": 2} | change
    with pytest.raises(ValueError, match=message):
        cut_patches(key, **call)


BAD_SAMPLES = [
    ({"kind": "ica"}, "kind must be one of 'pca', 'zca'"),
    ({"n_components": 0}, r"n_components must be an integer in \[1, 4\], got 0"),
    ({"n_components": 5}, r"n_components must be an integer in \[1, 4\], got 5"),
    ({"floor": 1.0}, r"floor must be a finite number in \[0, 1\)"),
    ({"patches": np.ones((1, 4))}, "patches must have shape"),
    ({"patches": np.ones((5, 4))}, "patches must not be all the same"),
    ({"patches": np.full((5, 4), np.inf)}, "patches must be finite"),
]


@pytest.mark.parametrize("change, message", BAD_SAMPLES)
def test_bad_samples_are_refused(change, message):
    call = {"patches": np.random.default_rng(0).normal(size=(20, 2, 2))} | change
    with pytest.raises(ValueError, match=message):
        whiten_patches(**call)


def test_bad_names_and_pictures_are_refused(key):
    with pytest.raises(
        ValueError, match="names must be one of 'grace_hopper', 'china', 'flower', got 'lena'"
    ):
        natural_pictures(["lena"])
    with pytest.raises(ValueError, match="names must be a sequence of names, got 'china'"):
        natural_pictures("china")
    with pytest.raises(ValueError, match="cutoff must be a finite number > 0"):
        whiten_picture(np.eye(4), cutoff=0)
    with pytest.raises(ValueError, match="picture must have more than one grey value"):
        whiten_picture(np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"picture must have shape \(height, width\)"):
        scramble_phases(key, np.ones(4))
