"""Estimators: models of the library with scikit-learn's interface (needs the extra `estimators`)."""

try:
    import sklearn as sklearn
except ImportError as error:
    raise ImportError(
        "neuromanifold.estimators needs scikit-learn: pip install 'neuromanifold[estimators]'."
    ) from error

from neuromanifold.estimators._map import SelfOrganizingMap as SelfOrganizingMap
from neuromanifold.estimators._memory import AssociativeMemory as AssociativeMemory
from neuromanifold.estimators._mixture import VariationalGaussianMixture as VariationalGaussianMixture
from neuromanifold.estimators._rbm import BernoulliRBM as BernoulliRBM
from neuromanifold.estimators._rbm import GaussianRBM as GaussianRBM
from neuromanifold.estimators._sparse_coder import SparseCoder as SparseCoder
