"""apt's sources and keys against a signed repository of our own: what is added can be installed from, at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.lab.module_case import ManagedHost, differences, keep_promises
from tests.lab.stand_in_packages import Package, build_repository, served
from wxops.agent.debian.openpgp import dearmored, keys_in
from wxops.lab import Lab
from wxops.lab.host import Host

LISTS = ("/var/lib/apt",)


class Repository(NamedTuple):
    """Where it is served, and its key."""

    url: str
    key: str

    @property
    def line(self) -> str:
        return f"deb {self.url} ./"

    @property
    def key_id(self) -> str:
        return keys_in(dearmored(self.key.encode()))[0].fingerprint


@pytest.fixture(scope="module")
def repository(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    folder = tmp_path_factory.mktemp("repository")
    key = build_repository(folder, (Package("wxlib", "1"),))
    with served(folder, lab.network.gateway) as url:
        yield Repository(url, key.read_text())


@pytest.fixture
def bare(host: Host, managed: ManagedHost) -> ManagedHost:
    """A pristine host without any source: apt is quicker then."""
    host.ssh("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; apt-get update -q")
    return managed


def test_a_repository_in_the_new_format_can_be_installed_from(bare: ManagedHost, repository: Repository) -> None:
    source = {"name": "ours", "uris": repository.url, "suites": "./", "signed_by": f"{repository.url}/key.asc"}
    tasks = [{"deb822_repository": source}, {"apt": {"name": "wxlib", "update_cache": True}}]
    first = keep_promises(bare, {"tasks": tasks, "diff": ["Signed-By: /etc/apt/keyrings/ours.asc"],
                                 "leaves": ["dpkg -s wxlib"], "same_diff": False})  # fmt: skip
    assert first.results[0].result["key_filename"] == "/etc/apt/keyrings/ours.asc"


def test_a_line_and_its_key_can_be_installed_from(bare: ManagedHost, repository: Repository) -> None:
    tasks = [
        {"apt_key": {"url": f"{repository.url}/key.asc", "id": repository.key_id}},
        {"apt_repository": {"repo": repository.line, "filename": "ours"}},
        {"apt": {"name": "wxlib"}},
    ]
    first = keep_promises(bare, {"tasks": tasks, "leaves": ["dpkg -s wxlib", "test -s /etc/apt/trusted.gpg"],
                                 "same_diff": False})  # fmt: skip
    key, source, _ = (result.result for result in first.results)
    assert key["fp"] == repository.key_id[-16:] and key["fp"] not in key["before"] and key["fp"] in key["after"]
    assert source["sources_added"] == ["/etc/apt/sources.list.d/ours.list"]


def test_a_key_in_the_playbook_comes_and_goes(bare: ManagedHost, repository: Repository) -> None:
    keep_promises(bare, {"tasks": [{"apt_key": {"data": repository.key, "keyring": "/etc/apt/trusted.gpg.d/our.gpg"}}]})
    bare.play([{"apt_key": {"data": repository.key, "keyring": "/etc/apt/trusted.gpg.d/our.gpg"}}])
    keep_promises(bare, {"tasks": [{"apt_key": {"id": repository.key_id[-8:], "state": "absent"}}],
                         "leaves": ["! test -e /etc/apt/trusted.gpg.d/our.gpg"]})  # fmt: skip


def test_a_key_that_is_not_the_one_asked_for_is_refused(bare: ManagedHost, repository: Repository) -> None:
    run = bare.play([{"apt_key": {"url": f"{repository.url}/key.asc", "id": "0123456789ABCDEF"}}])
    assert run.statuses == ["failed"] and "is not 0123456789ABCDEF" in run.results[0].result["msg"]


def test_a_source_that_cannot_be_fetched_does_not_stay(bare: ManagedHost, repository: Repository) -> None:
    before = bare.tree(LISTS)
    run = bare.play([{"apt_repository": {"repo": f"deb {repository.url}/nothing ./", "update_cache_retries": 1}}])
    assert run.statuses == ["failed"] and "Failed to update apt cache" in run.results[0].result["msg"]
    assert differences(before, bare.tree(LISTS)) == []
