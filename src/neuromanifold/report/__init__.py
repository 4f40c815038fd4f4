"""Report: records and verdicts become words, tables and a static site."""

from neuromanifold.report._csv import record_csv as record_csv
from neuromanifold.report._entries import Entry as Entry
from neuromanifold.report._entries import read_entries as read_entries
from neuromanifold.report._entries import read_entry as read_entry
from neuromanifold.report._mathml import EquationError as EquationError
from neuromanifold.report._mathml import mathml as mathml
from neuromanifold.report._rows import VERDICTS as VERDICTS
from neuromanifold.report._rows import Row as Row
from neuromanifold.report._rows import claim_row as claim_row
from neuromanifold.report._rows import tally as tally
from neuromanifold.report._rows import undecided_row as undecided_row
from neuromanifold.report._site import build_site as build_site
from neuromanifold.report._sources import citation as citation
from neuromanifold.report._sources import citation_text as citation_text
from neuromanifold.report._terminal import print_card as print_card
from neuromanifold.report._terminal import print_claim as print_claim
from neuromanifold.report._terminal import print_claim_head as print_claim_head
from neuromanifold.report._terminal import print_experiments as print_experiments
from neuromanifold.report._terminal import terminal as terminal
