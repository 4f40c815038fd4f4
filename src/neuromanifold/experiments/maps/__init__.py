"""Self-organising maps, columns and retinotopy."""

from neuromanifold.experiments.maps._columns import OrientationColumns as OrientationColumns
from neuromanifold.experiments.maps._magnification import MapMagnification as MapMagnification
from neuromanifold.experiments.maps._retinotopy import Retinotopy as Retinotopy
from neuromanifold.experiments.maps._unfolding import MapUnfolding as MapUnfolding
