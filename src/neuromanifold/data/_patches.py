"""Natural pictures that installed wheels carry, and patches cut from them, whitened or not.

Pictures: a portrait, grace_hopper.jpg, in the wheel of matplotlib, which is always installed; a temple and
a flower, china.jpg and flower.jpg, in that of scikit-learn (extra `estimators`). None is copied.

Neighbouring pixels are much alike, and a learning rule that sees pairs of pixels sees little else:

    whiten_picture   takes that out of a whole picture by the filter f exp(-(f/f0)^4) of Olshausen and Field
                     (1997): amplitudes of natural pictures fall as 1/f, f in cycles a pixel; the second
                     factor takes the corners of the spectrum off, where there is noise
    whiten_patches   takes it out of a sample of covariance C = E diag(l) E^T: "pca" gives
                     diag(l)^-1/2 E^T x, "zca" E diag(l)^-1/2 E^T x, the white sample nearest to x
    scramble_phases  takes all else out, as a control: the same spectrum, hence the same correlations of
                     pairs, with random phases
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import FileError, check_choice, check_finite, check_integer, check_real, require

_PLACES = {
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
# Luma of red, green and blue, as ITU-R BT.601 has it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def natural_pictures(names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Grey pictures of natural scenes, float32 in [0, 1], by name.

    Args:
        names: some of "grace_hopper" (600 x 512), "china" and "flower" (427 x 640 each, only where
            scikit-learn is installed); None: all that there are.

    Raises:
        ValueError: an unknown name.
        FileError: the package that carries a picture asked for is not installed, or its file is damaged.

    >>> from neuromanifold.data import natural_pictures
    >>> natural_pictures(["grace_hopper"])["grace_hopper"].shape
    (600, 512)
    """
    if names is None:
        names = [name for name, (package, _) in _PLACES.items() if importlib.util.find_spec(package)]
    require(not isinstance(names, str), "names", "be a sequence of names", names)
    return {check_choice("names", name, tuple(_PLACES)): _grey(name) for name in names}


def _grey(name: str) -> np.ndarray:
    # Imported late: it takes a third of a second.
    from matplotlib.image import imread

    package, file = _PLACES[name]
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileError(f"{package} is not installed, whose wheel carries the picture {name}.")
    path = Path(next(iter(found.submodule_search_locations))) / file
    try:
        colours = np.asarray(imread(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise FileError(f"{path} is missing or no picture: {error}.") from None
    if colours.ndim != 3 or colours.shape[2] != 3 or colours.dtype != np.uint8:
        raise FileError(f"{path} must hold three colours of 8 bits, got {colours.dtype} {colours.shape}.")
    return (colours.astype(np.float32) @ _LUMA) / np.float32(255)


def cut_patches(
    key: Key[Array, ""],
    pictures: Sequence[np.ndarray],
    n_patches: int,
    size: int,
    *,
    remove_mean: bool = True,
) -> Float[np.ndarray, "n_patches size size"]:
    """Square patches from random places, each place of all pictures as likely as any other; they may overlap.

    Args:
        key: a typed key.
        pictures: arrays of grey values, each (height, width).
        n_patches: number of patches, >= 1.
        size: side of a patch in pixels, >= 1, at most the smallest side of the pictures.
        remove_mean: take from each patch its mean grey value.

    Returns:
        float32.

    Raises:
        ValueError: no picture, one that is no finite matrix or too small, or a count below one.

    >>> import jax
    >>> from neuromanifold.data import cut_patches, natural_pictures
    >>> pictures = natural_pictures(["grace_hopper"])
    >>> cut_patches(jax.random.key(0), list(pictures.values()), 100, 12).shape
    (100, 12, 12)
    """
    n_patches = check_integer("n_patches", n_patches, 1)
    size = check_integer("size", size, 1)
    require(len(pictures) > 0, "pictures", "hold at least one picture", pictures)
    checked = [_check_picture("pictures", picture) for picture in pictures]
    smallest = min(min(picture.shape) for picture in checked)
    require(size <= smallest, "size", f"be at most {smallest}, the smallest side of the pictures", size)
    columns = np.array([picture.shape[1] - size + 1 for picture in checked])
    counts = np.array([picture.shape[0] - size + 1 for picture in checked]) * columns
    ends = np.cumsum(counts)
    draws = np.asarray(jax.random.randint(key, (n_patches,), 0, int(ends[-1])))
    which = np.searchsorted(ends, draws, side="right")
    row, column = np.divmod(draws - (ends - counts)[which], columns[which])
    patches = np.empty((n_patches, size, size), np.float32)
    for number, picture in enumerate(checked):
        windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size))
        mine = which == number
        patches[mine] = windows[row[mine], column[mine]]
    if remove_mean:
        patches -= patches.mean((1, 2), keepdims=True)
    return patches


def whiten_picture(picture: np.ndarray, cutoff: float = 0.4) -> Float[np.ndarray, "height width"]:
    """A picture through the filter f exp(-(f/f0)^4), with mean 0 and variance 1, float32.

    The spectrum is that of the picture as it is, taken to repeat itself beyond its borders.

    Args:
        picture: (height, width) grey values, not all the same.
        cutoff: f0 in cycles a pixel, > 0; Olshausen and Field have 200 cycles in 512 pixels, 0.4.

    Raises:
        ValueError: a picture that is no finite matrix or constant; a cutoff of zero or less.
    """
    values = _check_picture("picture", picture).astype(np.float64)
    cutoff = check_real("cutoff", cutoff, 0, open_low=True)
    require(np.ptp(values) > 0, "picture", "have more than one grey value", float(values.flat[0]))
    height, width = values.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(values) * frequency * np.exp(-((frequency / cutoff) ** 4))
    filtered = np.fft.irfft2(spectrum, values.shape)
    return (filtered / filtered.std()).astype(np.float32)


def scramble_phases(key: Key[Array, ""], picture: np.ndarray) -> Float[np.ndarray, "height width"]:
    """A picture with the same amplitude at every frequency and random phases, float32.

    The phases are those of white noise, so that the picture is real; the mean stays.

    Args:
        key: a typed key.
        picture: (height, width) grey values.

    Raises:
        ValueError: a picture that is no finite matrix.
    """
    values = _check_picture("picture", picture).astype(np.float64)
    noise = np.fft.rfft2(np.asarray(jax.random.normal(key, values.shape), np.float64))
    noise[0, 0] = 1.0
    phases = noise / np.abs(noise)
    mean = values.mean()
    spectrum = np.abs(np.fft.rfft2(values - mean)) * phases
    return (np.fft.irfft2(spectrum, values.shape) + mean).astype(np.float32)


class Whitened(NamedTuple):
    """What `whiten_patches` returns.

    Args:
        values: the white sample, (n, n_components) for "pca", (n, n_pixels) for "zca"; mean 0.
        forward: matrix from centred pixels to values, (n_values, n_pixels).
        backward: matrix from values to centred pixels, (n_pixels, n_values). A weight vector w on the white
            values is drawn as the picture `forward.T @ w`, which gives the same products with the pixels; the
            feature that it answers to is `backward @ w`.
        mean: what was taken from the pixels, (n_pixels,).
    """

    values: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    mean: np.ndarray


def whiten_patches(
    patches: np.ndarray,
    kind: str = "zca",
    *,
    n_components: int | None = None,
    floor: float = 1e-5,
) -> Whitened:
    """A sample made white: mean 0 and covariance 1 in the space of its leading components.

    Args:
        patches: (n, ...), flattened to (n, n_pixels).
        kind: "pca", values in the basis of the components, or "zca", turned back to pixels.
        n_components: leading components that are kept, >= 1; None: all above the floor. Patches without mean
            have one component fewer than pixels.
        floor: components of a smaller variance, relative to the largest, are left out; in [0, 1).

    Returns:
        A `Whitened` of float32 arrays.

    Raises:
        ValueError: fewer than two patches, values that are not finite or all the same, a kind that is
            neither, or more components asked for than there are above the floor.

    >>> import jax
    >>> import numpy as np
    >>> from neuromanifold.data import cut_patches, natural_pictures, whiten_patches
    >>> pictures = natural_pictures(["grace_hopper"])
    >>> white = whiten_patches(cut_patches(jax.random.key(0), list(pictures.values()), 2000, 8), "pca")
    >>> white.values.shape                                  # the mean is gone, and 63 directions are left
    (2000, 63)
    >>> bool(np.allclose(np.cov(white.values.T), np.eye(63), atol=1e-3))
    True
    """
    kind = check_choice("kind", kind, ("pca", "zca"))
    floor = check_real("floor", floor, 0, 1, open_high=True)
    values = check_finite("patches", patches).astype(np.float64)
    require(values.ndim >= 2 and len(values) >= 2, "patches", "have shape (n, ...) with n >= 2", values.shape)
    flat = values.reshape(len(values), -1)
    mean = flat.mean(0)
    centred = flat - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / (len(flat) - 1))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    require(variances[0] > 0, "patches", "not be all the same", float(variances[0]))
    # Round-off leaves variances of some 1e-16 where there are none.
    n_real = int(np.sum(variances > max(floor, 1e-12) * variances[0]))
    n_kept = n_real if n_components is None else check_integer("n_components", n_components, 1, n_real)
    variances, vectors = variances[:n_kept], vectors[:, :n_kept]
    forward = (vectors / np.sqrt(variances)).T
    backward = vectors * np.sqrt(variances)
    if kind == "zca":
        forward, backward = vectors @ forward, backward @ vectors.T
    whitened = centred @ forward.T
    return Whitened(*(array.astype(np.float32) for array in (whitened, forward, backward, mean)))


def _check_picture(name: str, picture: np.ndarray) -> np.ndarray:
    values = check_finite(name, picture)
    require(values.ndim == 2 and values.size > 0, name, "have shape (height, width)", values.shape)
    return values
