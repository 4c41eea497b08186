"""Logins in addresses: sent to the server that they are for, and told to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_server import TEXT, web_server
from wxops.agent.debian.deb_files import _download
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import Web


@pytest.fixture
def server() -> Iterator[str]:
    with web_server() as address:
        yield address


@pytest.mark.parametrize("url", ["ftp://bob:s3cretpw@127.0.0.1:1/x", "//bob:s3cretpw@host/x", "ftp://bob:s3cretpw@/x"])
def test_the_login_of_an_address_is_in_no_error(url: str) -> None:
    with pytest.raises(ModuleFailure, match=r"^Request failed: ") as error:
        Web(timeout=2).get(url)
    assert "s3cretpw" not in f"{error.value} {error.value.result}"


def test_a_package_behind_a_login_is_downloaded(server: str, tmp_path: Path) -> None:
    _download(server.replace("://", "://me:secret@") + "/locked", str(tmp_path / "x.deb"))
    assert (tmp_path / "x.deb").read_bytes() == TEXT


@pytest.mark.parametrize("place", ["/none?token=s3cretpw", "/locked_silently?token=s3cretpw"])
def test_a_package_that_is_not_to_be_had_is_named_without_its_secrets(server: str, place: str, tmp_path: Path) -> None:
    with pytest.raises(ModuleFailure, match=r"cannot fetch http://\*\*\*\*:\*\*\*\*@.*: HTTP Error 40") as error:
        _download(server.replace("://", "://bob:s3cretpw@") + place, str(tmp_path / "x.deb"))
    assert "s3cretpw" not in f"{error.value} {error.value.result}" and not (tmp_path / "x.deb").exists()
