"""What energy machines learn: equilibria of their learning, how stable, and how good."""

from neuromanifold.theory.energy._gaussian_machine import GaussianEquilibrium as GaussianEquilibrium
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibria as gaussian_equilibria
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibrium as gaussian_equilibrium
from neuromanifold.theory.energy._gaussian_machine import relaxation as relaxation
