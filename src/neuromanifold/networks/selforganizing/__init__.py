"""Networks that organise themselves: Hebbian neurons and fields, maps, columns."""

from neuromanifold.networks.selforganizing._afferents import rough_afferents as rough_afferents
from neuromanifold.networks.selforganizing._afferents import rough_order as rough_order
from neuromanifold.networks.selforganizing._columns import ColumnSheet as ColumnSheet
from neuromanifold.networks.selforganizing._columns import bars as bars
from neuromanifold.networks.selforganizing._columns import hexagonal_patch as hexagonal_patch
from neuromanifold.networks.selforganizing._columns import random_afferents as random_afferents
from neuromanifold.networks.selforganizing._columns import random_sheet as random_sheet
from neuromanifold.networks.selforganizing._field import NeuralField as NeuralField
from neuromanifold.networks.selforganizing._hebb import HebbNeuron as HebbNeuron
from neuromanifold.networks.selforganizing._hebb import mean_shift_step as mean_shift_step
from neuromanifold.networks.selforganizing._inhibition import InhibitedNeuron as InhibitedNeuron
from neuromanifold.networks.selforganizing._inhibition import InhibitedWeights as InhibitedWeights
from neuromanifold.networks.selforganizing._inputs import Inputs as Inputs
from neuromanifold.networks.selforganizing._inputs import circle as circle
from neuromanifold.networks.selforganizing._lattice import Lattice as Lattice
from neuromanifold.networks.selforganizing._map import SelfOrganizingMap as SelfOrganizingMap
from neuromanifold.networks.selforganizing._map import check_memory as check_memory
from neuromanifold.networks.selforganizing._map import random_map as random_map
from neuromanifold.networks.selforganizing._map_measures import MapErrors as MapErrors
from neuromanifold.networks.selforganizing._map_measures import folded_cells as folded_cells
from neuromanifold.networks.selforganizing._map_measures import hit_map as hit_map
from neuromanifold.networks.selforganizing._map_measures import map_errors as map_errors
from neuromanifold.networks.selforganizing._map_measures import quantisation_error as quantisation_error
from neuromanifold.networks.selforganizing._map_measures import topographic_error as topographic_error
from neuromanifold.networks.selforganizing._map_measures import u_matrix as u_matrix
from neuromanifold.networks.selforganizing._neighbourhood import Neighbourhood as Neighbourhood
from neuromanifold.networks.selforganizing._orientation import OrientationMap as OrientationMap
from neuromanifold.networks.selforganizing._orientation import Pinwheels as Pinwheels
from neuromanifold.networks.selforganizing._orientation import chance_correlation as chance_correlation
from neuromanifold.networks.selforganizing._orientation import chance_selectivity as chance_selectivity
from neuromanifold.networks.selforganizing._orientation import orientation_map as orientation_map
from neuromanifold.networks.selforganizing._orientation import pinwheels as pinwheels
from neuromanifold.networks.selforganizing._orientation import (
    preference_correlation as preference_correlation,
)
from neuromanifold.networks.selforganizing._population import HebbPopulation as HebbPopulation
from neuromanifold.networks.selforganizing._receptive_field import Learned as Learned
from neuromanifold.networks.selforganizing._receptive_field import ReceptiveField as ReceptiveField
from neuromanifold.networks.selforganizing._response import Response as Response
from neuromanifold.networks.selforganizing._response import linear as linear
from neuromanifold.networks.selforganizing._response import sigmoid as sigmoid
from neuromanifold.networks.selforganizing._response import step as step
from neuromanifold.networks.selforganizing._retinotopy import ReceptiveFields as ReceptiveFields
from neuromanifold.networks.selforganizing._retinotopy import TopographicRing as TopographicRing
from neuromanifold.networks.selforganizing._retinotopy import random_ring as random_ring
from neuromanifold.networks.selforganizing._retinotopy import receptive_fields as receptive_fields
from neuromanifold.networks.selforganizing._retinotopy import ring_couplings as ring_couplings
from neuromanifold.networks.selforganizing._sheet import SheetOrder as SheetOrder
from neuromanifold.networks.selforganizing._sheet import TopographicSheet as TopographicSheet
from neuromanifold.networks.selforganizing._sheet import random_topographic_sheet as random_topographic_sheet
from neuromanifold.networks.selforganizing._sheet import sheet_centres as sheet_centres
from neuromanifold.networks.selforganizing._sheet import sheet_order as sheet_order
from neuromanifold.networks.selforganizing._sheet import sheet_places as sheet_places
