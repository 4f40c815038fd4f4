"""Evidence: measured and predicted numbers with their errors, verdicts, and the records that hold them."""

from neuromanifold.evidence._compare import at_least as at_least
from neuromanifold.evidence._compare import at_most as at_most
from neuromanifold.evidence._compare import compare as compare
from neuromanifold.evidence._compare import fit_exponent as fit_exponent
from neuromanifold.evidence._compare import never as never
from neuromanifold.evidence._compare import scales as scales
from neuromanifold.evidence._estimate import estimate as estimate
from neuromanifold.evidence._estimate import proportion as proportion
from neuromanifold.evidence._record import measured_variables as measured_variables
from neuromanifold.evidence._record import predicted_variable as predicted_variable
from neuromanifold.evidence._record import read_measured as read_measured
from neuromanifold.evidence._record import read_predicted as read_predicted
from neuromanifold.evidence._record import read_record as read_record
from neuromanifold.evidence._record import write_record as write_record
from neuromanifold.evidence._series import Mixing as Mixing
from neuromanifold.evidence._series import autocorrelation as autocorrelation
from neuromanifold.evidence._series import correlation_time as correlation_time
from neuromanifold.evidence._series import estimate_series as estimate_series
from neuromanifold.evidence._series import mixing as mixing
from neuromanifold.evidence._types import Claim as Claim
from neuromanifold.evidence._types import Estimate as Estimate
from neuromanifold.evidence._types import EvidenceError as EvidenceError
from neuromanifold.evidence._types import Prediction as Prediction
from neuromanifold.evidence._types import UndecidedError as UndecidedError
from neuromanifold.evidence._types import format_with_error as format_with_error
