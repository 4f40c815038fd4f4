"""Data: patterns drawn at random, real digits, and recordings of populations (`populations`)."""

from neuromanifold.data._digits import DATA_VARIABLE as DATA_VARIABLE
from neuromanifold.data._digits import Digits as Digits
from neuromanifold.data._digits import load_fashion_mnist as load_fashion_mnist
from neuromanifold.data._digits import load_mnist as load_mnist
from neuromanifold.data._digits import load_mnist_subset as load_mnist_subset
from neuromanifold.data._digits import load_usps as load_usps
from neuromanifold.data._digits import pad as pad
from neuromanifold.data._digits import resize as resize
from neuromanifold.data._digits import split as split
from neuromanifold.data._digits import standardise as standardise
from neuromanifold.data._distortions import Distortion as Distortion
from neuromanifold.data._faces import load_faces as load_faces
from neuromanifold.data._hierarchy import Hierarchy as Hierarchy
from neuromanifold.data._hierarchy import hierarchical_patterns as hierarchical_patterns
from neuromanifold.data._hierarchy import mixed_state as mixed_state
from neuromanifold.data._hierarchy import whole_families as whole_families
from neuromanifold.data._idx import read_idx as read_idx
from neuromanifold.data._ising_instances import sherrington_kirkpatrick as sherrington_kirkpatrick
from neuromanifold.data._patterns import flip_cue as flip_cue
from neuromanifold.data._patterns import overlap_cue as overlap_cue
from neuromanifold.data._patterns import random_patterns as random_patterns
from neuromanifold.data._sparse_patterns import biased_patterns as biased_patterns
from neuromanifold.data._sparse_patterns import mixture_cue as mixture_cue
from neuromanifold.data._sparse_patterns import sparse_cue as sparse_cue
from neuromanifold.data._sparse_patterns import sparse_patterns as sparse_patterns
