"""The Fisher information of any network f(params, x): exact, sampled, without its matrix, by units."""

from neuromanifold.geometry.fisher._blocks import unit_blocks as unit_blocks
from neuromanifold.geometry.fisher._family import FAMILIES as FAMILIES
from neuromanifold.geometry.fisher._information import FisherInformation as FisherInformation
from neuromanifold.geometry.fisher._spectrum import FisherStatistics as FisherStatistics
from neuromanifold.geometry.fisher._spectrum import TraceEstimate as TraceEstimate
from neuromanifold.geometry.fisher._spectrum import fisher_statistics as fisher_statistics
from neuromanifold.geometry.fisher._spectrum import hutchinson_trace as hutchinson_trace
from neuromanifold.geometry.fisher._spectrum import largest_eigenvalues as largest_eigenvalues
from neuromanifold.geometry.fisher._spectrum import matrix_statistics as matrix_statistics
