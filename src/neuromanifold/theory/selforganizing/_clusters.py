"""Which sets of clusters one Hebbian neuron can stand for, and how many of its states are stable.

Clusters are points V_i with probabilities p_i. With a step for its response the neuron fires for a set S, and
its weights go to

    plain       w_S = c sum_{i in S} p_i V_i                       threshold tau
    gated       w_S = c sum_{i in S} p_i V_i / sum_{i in S} p_i    threshold tau
    inhibited   w_S = c sum_{i in S} p_i V_i                       threshold c lambda sum_{i in S} p_i

S is an equilibrium if it is consistent, {i : V_i . w_S > threshold} = S, and then it is stable: nearby the
right-hand side is plain decay to w_S. Two unit vectors of cosine gamma, |V_A - V_B|^2 = 2(1 - gamma), are
told apart only beyond the merging distance

    plain       sqrt(2(1 - 2 tau/c))      for equal probabilities
    gated       sqrt(2(1 - tau/c))
    inhibited   sqrt(2(1 - lambda))       whatever the probabilities

Both kinds of states may exist together; which one is reached depends on the start (hysteresis).

Symbols: c gain, tau threshold, lambda ratio of the learning rates, gamma cosine of the clusters.

Source: Amari and Takeuchi 1978, Biol. Cybern. 29:127.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import comb

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require

VARIANTS = ("plain", "gated", "inhibited")
_MOST_CLUSTERS = 20
# Sets that are looked at together.
_CHUNK = 2**15


class TwoClusters(NamedTuple):
    """Which states two clusters have.

    Args:
        single_a: the neuron may stand for A alone.
        single_b: for B alone.
        merged: for both.
    """

    single_a: bool
    single_b: bool
    merged: bool


def two_cluster_phase(
    gamma: float, probability_a: float, level: float, variant: str = "plain"
) -> TwoClusters:
    """The states of a neuron that sees two unit vectors.

    Args:
        gamma: their cosine, in [-1, 1].
        probability_a: of A, in (0, 1); B has the rest.
        level: tau/c for "plain" and "gated", > 0; lambda for "inhibited", >= 0.
        variant: "plain", "gated" or "inhibited".

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import two_cluster_phase
    >>> two_cluster_phase(0.3, 0.5, 0.2)
    TwoClusters(single_a=True, single_b=True, merged=True)
    """
    gamma = check_real("gamma", gamma, -1.0, 1.0)
    a = check_real("probability_a", probability_a, 0.0, 1.0, open_low=True, open_high=True)
    b = 1.0 - a
    check_choice("variant", variant, VARIANTS)
    x = check_real("level", level, 0.0, open_low=variant != "inhibited")
    if variant == "plain":
        return TwoClusters(
            a > x and a * gamma <= x, b > x and b * gamma <= x, min(a + b * gamma, b + a * gamma) > x
        )
    single = gamma <= x < 1
    if variant == "gated":
        return TwoClusters(single, single, min(a + b * gamma, b + a * gamma) > x)
    merged = min(a * (1 - x) + b * (gamma - x), a * (gamma - x) + b * (1 - x)) > 0
    return TwoClusters(single, single, merged)


def merging_distance(level: float, variant: str = "plain") -> float:
    """The distance of two unit vectors of equal probability below which one neuron takes them for one.

    Args:
        level: tau/c in (0, 1/2) for "plain", in (0, 1) for "gated"; lambda in [0, 1) for "inhibited".
        variant: "plain", "gated" or "inhibited".

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import merging_distance
    >>> round(merging_distance(0.2), 4)
    1.0954
    """
    check_choice("variant", variant, VARIANTS)
    high = 0.5 if variant == "plain" else 1.0
    x = check_real("level", level, 0.0, high, open_low=variant != "inhibited", open_high=True)
    return math.sqrt(2 * (1 - x / high))


def consistent_sets(
    points: Any, probabilities: Any, level: float, variant: str = "plain", gain: float = 1.0
) -> np.ndarray:
    """All non-empty sets of clusters for which the neuron fires at a stable equilibrium, by enumeration.

    Args:
        points: V, shape (n_clusters, n_synapses), at most 20 clusters; of any lengths.
        probabilities: p, shape (n_clusters,), >= 0, of sum 1.
        level: tau for "plain" and "gated", > 0; lambda for "inhibited", >= 0.
        variant: "plain", "gated" or "inhibited".
        gain: c > 0; it does not matter for "inhibited".

    Returns:
        Booleans of shape (n_sets, n_clusters); sets in the order of their binary numbers, cluster 0 first.

    Raises:
        ValueError: an argument outside its range.

    >>> import numpy as np
    >>> from neuromanifold.theory.selforganizing import consistent_sets
    >>> len(consistent_sets(np.eye(5), np.full(5, 0.2), 0.4, "inhibited"))
    15
    """
    check_choice("variant", variant, VARIANTS)
    vectors = check_finite("points", points).astype(np.float64)
    require(vectors.ndim == 2, "points", "have shape (n_clusters, n_synapses)", vectors.shape)
    n = check_integer("n_clusters", len(vectors), 1, _MOST_CLUSTERS)
    p = check_finite("probabilities", probabilities).astype(np.float64)
    require(p.shape == (n,), "probabilities", f"have shape ({n},)", p.shape)
    require(p.min() >= 0, "probabilities", "be >= 0", float(p.min()))
    require(abs(p.sum() - 1) < 1e-6, "probabilities", "have sum 1", float(p.sum()))
    level = check_real("level", level, 0.0, open_low=variant != "inhibited")
    gain = check_real("gain", gain, 0.0, open_low=True)
    overlaps = vectors @ vectors.T
    found = []
    for start in range(1, 2**n, _CHUNK):
        numbers = np.arange(start, min(start + _CHUNK, 2**n))
        sets = (numbers[:, None] >> np.arange(n)) & 1
        mass = (sets * p).sum(1, keepdims=True)
        fields = gain * (sets * p) @ overlaps
        if variant == "gated":
            # A set without probability is never seen, and its centre is nowhere.
            fields = np.divide(fields, mass, out=np.zeros_like(fields), where=mass > 0)
        threshold = gain * level * mass if variant == "inhibited" else level
        fires = fields > threshold
        found.append(sets[(fires == sets.astype(bool)).all(1)].astype(bool))
    return np.concatenate(found)


def orthogonal_set_count(n_clusters: int, ratio: float) -> int:
    """How many sets of equally likely orthonormal clusters are stable under learned inhibition.

    Those of k clusters with k < 1/lambda: sum_{1 <= k < 1/lambda} C(m, k).

    Args:
        n_clusters: m >= 1.
        ratio: lambda >= 0; 0 allows all sets.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.selforganizing import orthogonal_set_count
    >>> [orthogonal_set_count(5, 0.7), orthogonal_set_count(5, 0.4), orthogonal_set_count(6, 0.3)]
    [5, 15, 41]
    """
    m = check_integer("n_clusters", n_clusters, 1)
    ratio = check_real("ratio", ratio, 0.0)
    return sum(int(comb(m, k, exact=True)) for k in range(1, m + 1) if k * ratio < 1)
