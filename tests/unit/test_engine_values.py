"""Keywords whose value comes out of a template."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.engine.values import number, percentage, truth
from wxops.errors import InputError, Origin

WHERE = Origin("site.yml", 4, 7)


@pytest.mark.parametrize(("value", "wanted"), [(3, 3), ("3", 3), ("0.5", 0.5), (0, 0)])
def test_a_number_may_be_text(value: Any, wanted: float) -> None:
    assert number(value, "retries") == wanted


@pytest.mark.parametrize("value", ["x", None, [], -1, "-3", "inf", "nan"])
def test_what_is_no_number_is_named_with_its_place(value: Any) -> None:
    with pytest.raises(InputError, match=r"site.yml:4:7: retries should be a number"):
        number(value, "retries", WHERE)


@pytest.mark.parametrize("value", [30, "30", "30%", " 30 % "])
def test_percent_may_say_so(value: Any) -> None:
    assert percentage(value, "max_fail_percentage") == 30


def test_a_truth_names_its_keyword() -> None:
    assert truth("yes") and not truth(None) and not truth("")
    with pytest.raises(InputError, match=r"site.yml:4:7: run_once should be true or false, not 'maybe'"):
        truth("maybe", "run_once", WHERE)
