"""Networks that organise themselves: Hebbian neurons and fields, maps, columns."""

from neuromanifold.networks.selforganizing._field import NeuralField as NeuralField
from neuromanifold.networks.selforganizing._hebb import HebbNeuron as HebbNeuron
from neuromanifold.networks.selforganizing._hebb import mean_shift_step as mean_shift_step
from neuromanifold.networks.selforganizing._inhibition import InhibitedNeuron as InhibitedNeuron
from neuromanifold.networks.selforganizing._inhibition import InhibitedWeights as InhibitedWeights
from neuromanifold.networks.selforganizing._inputs import Inputs as Inputs
from neuromanifold.networks.selforganizing._inputs import circle as circle
from neuromanifold.networks.selforganizing._population import HebbPopulation as HebbPopulation
from neuromanifold.networks.selforganizing._receptive_field import Learned as Learned
from neuromanifold.networks.selforganizing._receptive_field import ReceptiveField as ReceptiveField
from neuromanifold.networks.selforganizing._response import Response as Response
from neuromanifold.networks.selforganizing._response import linear as linear
from neuromanifold.networks.selforganizing._response import sigmoid as sigmoid
from neuromanifold.networks.selforganizing._response import step as step
