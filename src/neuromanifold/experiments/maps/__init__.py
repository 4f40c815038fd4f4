"""Self-organising maps, columns and retinotopy."""

from neuromanifold.experiments.maps._columns import OrientationColumns as OrientationColumns
from neuromanifold.experiments.maps._magnification import MapMagnification as MapMagnification
from neuromanifold.experiments.maps._retinotopy import Retinotopy as Retinotopy
from neuromanifold.experiments.maps._sheet import RetinotopicSheet as RetinotopicSheet
from neuromanifold.experiments.maps._topography import TopographicColumns as TopographicColumns
from neuromanifold.experiments.maps._unfolding import MapUnfolding as MapUnfolding
