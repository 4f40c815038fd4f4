"""Learning of sparse codes: dictionaries."""

from neuromanifold.learning.sparse._dictionary import Coder as Coder
from neuromanifold.learning.sparse._dictionary import DictionaryInfo as DictionaryInfo
from neuromanifold.learning.sparse._dictionary import DictionaryMeans as DictionaryMeans
from neuromanifold.learning.sparse._dictionary import DictionarySignal as DictionarySignal
from neuromanifold.learning.sparse._dictionary import bounded_atoms as bounded_atoms
from neuromanifold.learning.sparse._dictionary import dictionary_learning as dictionary_learning
from neuromanifold.learning.sparse._dictionary import sweep_atoms as sweep_atoms
from neuromanifold.learning.sparse._independent import independent_components as independent_components
