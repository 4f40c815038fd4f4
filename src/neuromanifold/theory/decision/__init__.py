"""Decision, prediction and postdiction: closed forms. An interpretation of words in a lecture."""

from neuromanifold.theory.decision._diffusion import choice_probability as choice_probability
from neuromanifold.theory.decision._diffusion import decision_density as decision_density
from neuromanifold.theory.decision._diffusion import mean_decision_time as mean_decision_time
from neuromanifold.theory.decision._estimation import SteadyState as SteadyState
from neuromanifold.theory.decision._estimation import lag_covariances as lag_covariances
from neuromanifold.theory.decision._estimation import steady_state as steady_state
from neuromanifold.theory.decision._estimation import wiener_covariance as wiener_covariance
from neuromanifold.theory.decision._patterns import commitment_time as commitment_time
from neuromanifold.theory.decision._patterns import critical_intervention as critical_intervention
from neuromanifold.theory.decision._patterns import overlap_flow as overlap_flow
from neuromanifold.theory.decision._patterns import settled_overlap as settled_overlap
