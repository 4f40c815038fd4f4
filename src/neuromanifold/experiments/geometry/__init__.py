"""The geometry of random deep networks: metric, curvature, Jacobians and Fisher information."""

from neuromanifold.experiments.geometry._curvature import CarriedCurvature as CarriedCurvature
from neuromanifold.experiments.geometry._domino import JacobianDomino as JacobianDomino
from neuromanifold.experiments.geometry._field import RandomNeuralField as RandomNeuralField
from neuromanifold.experiments.geometry._fisher import FisherEigenvalues as FisherEigenvalues
from neuromanifold.experiments.geometry._isometry import DynamicalIsometry as DynamicalIsometry
from neuromanifold.experiments.geometry._trainable import TrainableDepth as TrainableDepth
