"""How well M points can stand for a uniform density in the plane.

For any M points w_i in a convex polygon of area A with at most six sides,

    E min_i |x - w_i|^2  >=  5/(18 sqrt 3)  A/M  =  0.16038 A/M,

with equality where the cells are regular hexagons; square cells give A/(6 M).

Source: Fejes Toth 1953, Lagerungen in der Ebene, auf der Kugel und im Raum, chapter III; Gersho 1979, IEEE
Trans. Inform. Theory 25:373.
"""

from __future__ import annotations

import math

from neuromanifold._base import check_integer, check_real

_HEXAGON = 5.0 / (18.0 * math.sqrt(3.0))


def least_distortion(n_units: int, area: float = 1.0) -> float:
    """The mean squared distance to the nearest of M points that no M points can fall below.

    Args:
        n_units: points M, >= 1.
        area: of a convex polygon with at most six sides, > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> round(least_distortion(100), 6)
    0.001604
    """
    return _HEXAGON * check_real("area", area, 0, open_low=True) / check_integer("n_units", n_units, 1)


def square_distortion(n_units: int, area: float = 1.0) -> float:
    """The mean squared distance to the nearest of M points with square cells, A/(6 M); arguments as above.

    Raises:
        ValueError: an argument outside its range.
    """
    return check_real("area", area, 0, open_low=True) / (6.0 * check_integer("n_units", n_units, 1))
