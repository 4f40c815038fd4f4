"""Curves and surfaces carried through any function: metric, length, curvature."""

from neuromanifold.geometry.pullback._curve import CurvePoint as CurvePoint
from neuromanifold.geometry.pullback._curve import curve_geometry as curve_geometry
from neuromanifold.geometry.pullback._curve import curve_length as curve_length
from neuromanifold.geometry.pullback._curve import gauss_map_length as gauss_map_length
from neuromanifold.geometry.pullback._jets import push_curve as push_curve
from neuromanifold.geometry.pullback._jets import push_surface as push_surface
from neuromanifold.geometry.pullback._surface import Conformal as Conformal
from neuromanifold.geometry.pullback._surface import Surface as Surface
from neuromanifold.geometry.pullback._surface import conformal_factor as conformal_factor
from neuromanifold.geometry.pullback._surface import extrinsic_curvature as extrinsic_curvature
from neuromanifold.geometry.pullback._surface import normal_part as normal_part
from neuromanifold.geometry.pullback._surface import pullback_metric as pullback_metric
from neuromanifold.geometry.pullback._surface import second_fundamental_form as second_fundamental_form
from neuromanifold.geometry.pullback._surface import sectional_curvature as sectional_curvature
