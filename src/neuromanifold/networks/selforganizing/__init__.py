"""Networks that organise themselves: Hebbian neurons and fields, maps, columns."""

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
