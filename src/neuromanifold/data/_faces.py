"""Faces: 400 pictures of 40 persons, ten of each, after the ORL database (Samaria and Harter 1994).

They are read from a folder and never copied into the package: 28 x 23 pixels, reduced from the 112 x 92 that
the Olivetti Research Laboratory took between 1992 and 1994, to whom credit is due wherever they are shown.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from neuromanifold._base import FileError
from neuromanifold.data._digits import DATA_VARIABLE, Digits, data_folder

_SIZE = (28, 23)
_N_PERSONS = 40


def load_faces(folder: Path | str | None = None) -> Digits:
    """The 400 faces of the ORL database, 28 x 23 uint8, labelled by person, 0 to 39.

    Args:
        folder: holds orl_faces_small.npz (x, y); None: the folder `faces` inside that named by
            NEUROMANIFOLD_DATA.

    Raises:
        FileError: the file is missing, damaged or foreign.
    """
    place = data_folder("faces", folder)
    if place is None:
        raise FileError(
            f"faces are read from a folder: set {DATA_VARIABLE} to one that holds faces/orl_faces_small.npz."
        )
    path = place / "orl_faces_small.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            images, labels = stored["x"], stored["y"]
    except FileNotFoundError:
        raise FileError(f"there is no file {path}.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is damaged or no archive of faces: {error}.") from None
    if images.shape[1:] != _SIZE:
        raise FileError(f"{path} must hold pictures of {_SIZE[0]} x {_SIZE[1]}, got shape {images.shape}.")
    try:
        return Digits(images, labels, _N_PERSONS)
    except ValueError as error:
        raise FileError(f"{path} and its labels do not fit: {error}") from None
