"""Learning the law of data by contrast with the law of the model: exact, by divergence, by chains."""

from neuromanifold.learning.contrastive._divergence import ContrastiveDivergence as ContrastiveDivergence
from neuromanifold.learning.contrastive._divergence import PersistentDivergence as PersistentDivergence
from neuromanifold.learning.contrastive._divergence import contrastive_divergence as contrastive_divergence
from neuromanifold.learning.contrastive._divergence import persistent_divergence as persistent_divergence
from neuromanifold.learning.contrastive._likelihood import likelihood as likelihood
from neuromanifold.learning.contrastive._model import ContrastiveInfo as ContrastiveInfo
from neuromanifold.learning.contrastive._model import EnergyModel as EnergyModel
from neuromanifold.learning.contrastive._model import contrast as contrast
from neuromanifold.learning.contrastive._phases import PhaseDifference as PhaseDifference
from neuromanifold.learning.contrastive._phases import phase_difference as phase_difference
