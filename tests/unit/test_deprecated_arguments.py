"""Arguments that Ansible has deprecated are refused, with what to use instead."""

from __future__ import annotations

import pytest

from wxops.actions.catalog import module
from wxops.errors import InputError


@pytest.mark.parametrize(
    ("name", "argument", "instead"),
    [
        ("git", "gpg_whitelist", "say gpg_allowlist"),
        ("dnf", "install_repoquery", "leave it out"),
        ("yum", "install_repoquery", "leave it out"),
        ("yum_repository", "keepcache", "dnf.conf"),
        ("yum_repository", "async", "leave it out"),
    ],
)
def test_a_deprecated_argument_says_what_to_use(name: str, argument: str, instead: str) -> None:
    with pytest.raises(InputError, match="deprecated") as caught:
        module(name).signature.check({argument: "x"}, None, lambda _: False)
    assert instead in str(caught.value.fix)
