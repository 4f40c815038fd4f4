"""Bad input refused in one sentence that names the parameter, the rule and the value."""

from __future__ import annotations

import numpy as np
import pytest

from neuromanifold._base import (
    check_choice,
    check_finite,
    check_integer,
    check_real,
    check_signs,
    require,
)


def test_good_values_pass_unchanged():
    assert check_integer("n", np.int64(3), 1, 5) == 3
    assert check_real("x", np.float32(0.5), 0, 1) == 0.5
    assert check_real("x", np.asarray(2), 0) == 2.0
    assert check_choice("kind", "a", ("a", "b")) == "a"
    assert check_finite("x", [1.0, 2.0]).tolist() == [1.0, 2.0]
    assert check_signs("x", np.array([1, -1])).tolist() == [1, -1]


@pytest.mark.parametrize(
    "check, sentence",
    [
        (lambda: check_integer("n_units", 0, 1), "n_units must be an integer >= 1, got 0."),
        (lambda: check_integer("n_units", 2.0, 1), "n_units must be an integer >= 1, got 2.0."),
        (lambda: check_integer("n_units", True), "n_units must be an integer, got True."),
        (lambda: check_integer("n_units", 9, 1, 5), "n_units must be an integer in [1, 5], got 9."),
        (lambda: check_integer("n_units", 9, None, 5), "n_units must be an integer <= 5, got 9."),
        (lambda: check_real("alpha", -0.1, 0, 1), "alpha must be a finite number in [0, 1], got -0.1."),
        (lambda: check_real("alpha", 0, 0, open_low=True), "alpha must be a finite number > 0, got 0."),
        (lambda: check_real("b", 1, 0, 1, open_high=True), "b must be a finite number in [0, 1), got 1."),
        (lambda: check_real("b", 3, None, 1, open_high=True), "b must be a finite number < 1, got 3."),
        (lambda: check_real("b", float("nan")), "b must be a finite number, got nan."),
        (lambda: check_real("b", "1"), "b must be a finite number, got '1'."),
        (lambda: check_real("b", [1.0]), "b must be a finite number, got [1.0]."),
        (lambda: check_real("b", None), "b must be a finite number, got None."),
        (lambda: check_choice("kind", "c", ("a", "b")), "kind must be one of 'a', 'b', got 'c'."),
        (
            lambda: check_finite("x", [[1.0, np.nan]]),
            "x must be finite, got nan at index (0, 1).",
        ),
        (lambda: check_signs("x", [1, 0]), "x must hold only -1 and +1, got 0 at index (1,)."),
        (lambda: require(False, "x", "be good", 7), "x must be good, got 7."),
    ],
)
def test_bad_values_get_one_sentence(check, sentence):
    with pytest.raises(ValueError) as caught:
        check()
    assert str(caught.value) == sentence
