"""The basement: what every floor needs and no user imports (checks of input, atomic files)."""

from neuromanifold._base._checks import check_choice as check_choice
from neuromanifold._base._checks import check_finite as check_finite
from neuromanifold._base._checks import check_integer as check_integer
from neuromanifold._base._checks import check_real as check_real
from neuromanifold._base._checks import check_rows as check_rows
from neuromanifold._base._checks import check_signs as check_signs
from neuromanifold._base._checks import require as require
from neuromanifold._base._files import FileError as FileError
from neuromanifold._base._files import atomic as atomic
