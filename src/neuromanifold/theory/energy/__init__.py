"""What energy machines learn: equilibria of their learning, how stable, and how good."""

from neuromanifold.theory.energy._autoencoder import LinearAutoencoder as LinearAutoencoder
from neuromanifold.theory.energy._autoencoder import StepAutoencoder as StepAutoencoder
from neuromanifold.theory.energy._autoencoder import linear_autoencoder as linear_autoencoder
from neuromanifold.theory.energy._autoencoder import step_autoencoder as step_autoencoder
from neuromanifold.theory.energy._boltzmann import boltzmann_law as boltzmann_law
from neuromanifold.theory.energy._boltzmann import shared_code_levels as shared_code_levels
from neuromanifold.theory.energy._gaussian_machine import GaussianEquilibrium as GaussianEquilibrium
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibria as gaussian_equilibria
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibrium as gaussian_equilibrium
from neuromanifold.theory.energy._gaussian_machine import relaxation as relaxation
from neuromanifold.theory.energy._ica_machine import Separation as Separation
from neuromanifold.theory.energy._ica_machine import Source as Source
from neuromanifold.theory.energy._ica_machine import TwoGaussians as TwoGaussians
from neuromanifold.theory.energy._ica_machine import mixed_amplitude as mixed_amplitude
from neuromanifold.theory.energy._ica_machine import separation as separation
from neuromanifold.theory.energy._ica_machine import source as source
from neuromanifold.theory.energy._ica_machine import two_gaussians as two_gaussians
