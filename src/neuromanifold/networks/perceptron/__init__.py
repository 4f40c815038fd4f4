"""Perceptrons: wide ones in the parametrisation of the tangent kernel, and deep linear ones."""

from neuromanifold.networks.perceptron._deep_linear import DeepLinear as DeepLinear
from neuromanifold.networks.perceptron._deep_linear import deep_linear as deep_linear
from neuromanifold.networks.perceptron._deep_linear import linear_loss as linear_loss
from neuromanifold.networks.perceptron._wide import NearestSolution as NearestSolution
from neuromanifold.networks.perceptron._wide import WidePerceptron as WidePerceptron
from neuromanifold.networks.perceptron._wide import nearest_solution as nearest_solution
from neuromanifold.networks.perceptron._wide import wide_perceptron as wide_perceptron
