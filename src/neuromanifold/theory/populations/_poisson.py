"""Information in the Poisson count of a cell about a class of stimuli, and about the group of the class.

Given class d the count n is Poisson with mean Lambda_d, and counts from n_levels - 1 up are one response r:

    P(r | d) = Lambda_d^r exp(-Lambda_d) / r!,  r < n_levels - 1;   P(r | g) = sum_{d in g} p_d P(r | d) / p_g
    I(group; r) = H(r) - sum_g p_g H(r | g)
    I(class; r | group) = sum_g p_g H(r | g) - sum_d p_d H(r | d)

From N samples the plug-in estimate is too large by (sum_l (R_l - 1) - (R - 1)) / (2 N ln 2), R_l the
responses that occur with label l. Labels that are shuffled have more of them, for each label then has the
responses of all. What the correction by shuffling takes off too much follows with the expected numbers of
responses,

    R_l = sum_r [1 - (1 - P(r | l))^(N_l)],      shuffled: P(r | l) replaced by P(r).

Source of the bias: Panzeri and Treves 1996, Network 7:87.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from neuromanifold._base import check_finite, check_integer, require


class CountInformation(NamedTuple):
    """Bits in a count, arrays of the leading shape of the means.

    Args:
        group: I(group; r).
        detail: I(class; r | group).
        group_residual: what a correction by shuffling adds to the estimate of `group`, <= 0 mostly.
        detail_residual: the same for `detail`, with shuffles within groups.
    """

    group: NDArray[np.float64]
    detail: NDArray[np.float64]
    group_residual: NDArray[np.float64]
    detail_residual: NDArray[np.float64]


def count_information(
    means: ArrayLike, n_samples: ArrayLike, groups: ArrayLike, n_levels: int
) -> CountInformation:
    """Exact information of Poisson counts, and what shuffling leaves of its estimate's bias.

    Args:
        means: Lambda >= 0, shape (..., n_classes).
        n_samples: samples of each class, > 0, shape (n_classes,); the p_d are proportional to them.
        groups: group of each class, shape (n_classes,).
        n_levels: responses told apart, >= 2.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.populations import count_information
    >>> found = count_information([0.0, 0.0, 50.0, 50.0], [10, 10, 10, 10], [0, 0, 1, 1], 5)
    >>> float(found.group.round(6)), float(found.detail.round(6))
    (1.0, 0.0)
    """
    mean = check_finite("means", means).astype(np.float64)
    require((mean >= 0).all(), "means", "be >= 0", float(mean.min(initial=0)))
    number = check_finite("n_samples", n_samples).astype(np.float64)
    owner = np.asarray(groups)
    shape = mean.shape[-1:]
    require(number.shape == shape, "n_samples", f"have shape {shape}", number.shape)
    require(owner.shape == shape, "groups", f"have shape {shape}", owner.shape)
    require((number > 0).all(), "n_samples", "be > 0", number.tolist())
    n_levels = check_integer("n_levels", n_levels, 2)

    law = _laws(mean, n_levels)
    share = number / number.sum()
    known = np.unique(owner)
    of_group = np.stack([share[owner == g] @ law[..., owner == g, :] for g in known], -2)
    share_of_group = np.array([share[owner == g].sum() for g in known])
    of_group = of_group / share_of_group[:, None]
    everything = np.einsum("g,...gr->...r", share_of_group, of_group)
    noise, middle, full = _bits(law) @ share, _bits(of_group) @ share_of_group, _bits(everything)

    total = number.sum()
    group_shuffled = np.broadcast_to(everything[..., None, :], of_group.shape)
    group_residual = _spread(of_group, share_of_group * total) - _spread(
        group_shuffled, share_of_group * total
    )
    place = np.searchsorted(known, owner)
    detail_residual = _spread(law, number) - _spread(of_group[..., place, :], number)
    scale = 2 * total * np.log(2)
    found = (full - middle, middle - noise, group_residual / scale, detail_residual / scale)
    return CountInformation(*(np.asarray(values) for values in found))


def _laws(mean: NDArray[np.float64], n_levels: int) -> NDArray[np.float64]:
    """P(r | d), shape (..., n_classes, n_levels)."""
    law = np.empty((*mean.shape, n_levels))
    law[..., 0] = np.exp(-mean)
    for count in range(1, n_levels - 1):
        law[..., count] = law[..., count - 1] * mean / count
    law[..., -1] = np.maximum(1.0 - law[..., :-1].sum(-1), 0.0)
    return law


def _bits(law: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-xlogy(law, law).sum(-1) / np.log(2))


def _spread(law: Any, number: NDArray[np.float64]) -> NDArray[np.float64]:
    """Responses expected to occur, summed over labels."""
    return np.asarray((1.0 - np.power(np.clip(1.0 - law, 0.0, 1.0), number[:, None])).sum((-2, -1)))
