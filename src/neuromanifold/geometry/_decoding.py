"""What a population tells about a label, read out by the nearest class mean.

The samples are dealt into folds. Each fold is decoded with the class means of the others: a sample gets the
label whose mean is nearest. The table of true against decoded labels is a lower bound on the information of
the population (no processing adds any), and it needs no law in as many dimensions as there are cells.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from neuromanifold._base import check_finite, check_integer, require
from neuromanifold.geometry._information import panzeri_treves


class Decoding(NamedTuple):
    """What decoding found.

    Args:
        table: samples of each label (rows) decoded as each label (columns), shape (n_labels, n_labels).
        accuracy: fraction decoded right, the mean over labels.
        bits: information in the table, less the bias of Panzeri and Treves.
    """

    table: Int[np.ndarray, "n_labels n_labels"]
    accuracy: float
    bits: float


def nearest_mean_decoding(points: Any, labels: Any, folds: Any) -> Decoding:
    """Labels decoded by the nearest class mean, cross-validated.

    Args:
        points: shape (n_samples, n_cells); scale cells alike first, for the distance is Euclidean.
        labels: one a sample, shape (n_samples,).
        folds: the fold of each sample, integers, at least two; the number of the trial is a good one.

    Raises:
        ValueError: an argument outside its range, or a label that occurs in one fold alone.

    >>> import numpy as np
    >>> from neuromanifold.geometry import nearest_mean_decoding
    >>> labels = np.arange(60) % 3
    >>> found = nearest_mean_decoding(np.eye(3)[labels], labels, np.arange(60) // 30)
    >>> found.accuracy, found.table.diagonal().tolist()
    (1.0, [20, 20, 20])
    """
    values = check_finite("points", points).astype(np.float64)
    require(values.ndim == 2 and len(values) >= 2, "points", "have shape (n_samples, n_cells)", values.shape)
    known, code = np.unique(np.asarray(labels), return_inverse=True)
    require(code.shape == (len(values),), "labels", f"have shape ({len(values)},)", code.shape)
    parts, part = np.unique(np.asarray(folds), return_inverse=True)
    require(part.shape == (len(values),), "folds", f"have shape ({len(values)},)", part.shape)
    check_integer("the number of folds", len(parts), 2)
    one_hot = np.eye(len(known))[code]
    sums, counts = one_hot.T @ values, one_hot.sum(0)
    table = np.zeros((len(known), len(known)), int)
    for fold in range(len(parts)):
        here = part == fold
        left = counts - one_hot[here].sum(0)
        require((left > 0).all(), "labels", "each occur in two folds", known[np.argmin(left)].item())
        means = (sums - one_hot[here].T @ values[here]) / left[:, None]
        distance = (means**2).sum(1)[None] - 2 * values[here] @ means.T
        np.add.at(table, (code[here], distance.argmin(1)), 1)
    right = np.diagonal(table) / table.sum(1)
    return Decoding(table, float(right.mean()), panzeri_treves(table, len(known)))
