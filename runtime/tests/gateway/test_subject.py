"""A subject means one certificate holder, however it is written, and no name in it can pretend to be two."""

from __future__ import annotations

import pytest

from wxruntime.gateway.subject import spelled, written

CN, O = "commonName", "organizationName"  # noqa: E741
SAME = [
    ("CN=shop,O=Example", [[(O, "Example")], [(CN, "shop")]]),
    (" CN = shop , O = Example ", [[(O, "Example")], [(CN, "shop")]]),
    (r"CN=acme,O=Example\, Inc.", [[(O, "Example, Inc.")], [(CN, "acme")]]),
    (r"CN=acme,O=Example\2C Inc.", [[(O, "Example, Inc.")], [(CN, "acme")]]),
    (r"CN=a\\,O=b", [[(O, "b")], [(CN, "a\\")]]),
    ("CN=a=b", [[(CN, "a=b")]]),
    ("CN=文心", [[(CN, "文心")]]),
    (r"CN=\E6\96\87", [[(CN, "文")]]),
    (r"CN=\ a\ ", [[(CN, " a ")]]),
    ("CN=a+UID=7,O=b", [[(O, "b")], [(CN, "a"), ("userId", "7")]]),
]


@pytest.mark.parametrize(("text", "subject"), SAME)
def test_a_subject_in_the_file_is_that_of_the_certificate(text: str, subject: list[list[tuple[str, str]]]) -> None:
    assert spelled(text) == written(subject)
    assert spelled(spelled(text)) == spelled(text)


PRETENDERS = [
    [[(CN, "shop,O=Example")]],
    [[(CN, "shop+O=Example")]],
    [[(O, "Example"), (CN, "shop")]],
    [[(CN, "shop")]],
]


@pytest.mark.parametrize("subject", PRETENDERS)
def test_no_name_pretends_to_be_two(subject: list[list[tuple[str, str]]]) -> None:
    assert written(subject) != spelled("CN=shop,O=Example")


@pytest.mark.parametrize("text", ["", " ", "shop", "CN=", "=x", "CN=a,", ",CN=a", "CN=a,,O=b"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no subject"):
        spelled(text)
