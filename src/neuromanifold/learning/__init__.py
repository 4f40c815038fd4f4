"""Learning: signals that say what a rule wants to change, and the process that lets parameters follow."""

from neuromanifold.learning._backprop import Backpropagation as Backpropagation
from neuromanifold.learning._backprop import BackpropagationInfo as BackpropagationInfo
from neuromanifold.learning._backprop import backpropagation as backpropagation
from neuromanifold.learning._criteria import MaximumPosterior as MaximumPosterior
from neuromanifold.learning._criteria import Supervised as Supervised
from neuromanifold.learning._criteria import cross_entropy as cross_entropy
from neuromanifold.learning._criteria import n_wrong as n_wrong
from neuromanifold.learning._criteria import squared_error as squared_error
from neuromanifold.learning._gradient_check import GradientCheck as GradientCheck
from neuromanifold.learning._gradient_check import gradient_check as gradient_check
from neuromanifold.learning._learner import Learner as Learner
from neuromanifold.learning._learner import LearnerState as LearnerState
from neuromanifold.learning._learner import learner as learner
from neuromanifold.learning._minibatches import Batch as Batch
from neuromanifold.learning._minibatches import Minibatches as Minibatches
from neuromanifold.learning._minibatches import permuted as permuted
from neuromanifold.learning._signal import Signal as Signal
