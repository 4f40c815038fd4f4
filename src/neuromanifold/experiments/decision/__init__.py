"""Decision, prediction and postdiction: an interpretation of words in a lecture."""

from neuromanifold.experiments.decision._diffusion import DecisionDiffusion as DecisionDiffusion
from neuromanifold.experiments.decision._postdiction import Postdiction as Postdiction
from neuromanifold.experiments.decision._symbols import DecisionSymbols as DecisionSymbols
