"""debconf's answers: given, changed, and taken back."""

from __future__ import annotations

from tests.lab.module_case import ManagedHost

KNOWN = "cd /var/cache/debconf && cat config.dat passwords.dat templates.dat"


def answers(managed: ManagedHost) -> set[str]:
    """All that debconf knows, whatever the order."""
    return set(managed.host.ssh(KNOWN).stdout.split("\n\n"))


def test_answers_come_back(managed: ManagedHost) -> None:
    managed.host.ssh("echo 'wxown wxown/old string before' | debconf-set-selections -u")
    before = answers(managed)
    run = managed.play([
        {"debconf": {"name": "wxown", "question": "wxown/old", "vtype": "string", "value": "two words"}},
        {"debconf": {"name": "wxown", "question": "wxown/new", "vtype": "boolean", "value": "yes"}},
        {"debconf": {"name": "wxown", "question": "wxown/secret", "vtype": "password", "value": "geheim"}},
        {"debconf": {"name": "wxown", "question": "wxown/old", "vtype": "seen", "value": False}},
    ])  # fmt: skip
    assert run.statuses == ["changed"] * 4, run.told()
    assert "two words" in managed.host.ssh("debconf-show wxown").stdout
    assert "geheim" not in str(run.diffs)
    assert managed.rollback(run.run).exit_code == 0
    assert answers(managed) == before


def test_all_or_none_of_an_answer_is_given(managed: ManagedHost) -> None:
    run = managed.play([{"debconf": {"name": "wxown", "question": "wxown/old"}}])
    assert run.statuses == ["failed"] and "missing: vtype, value" in run.results[0].result["msg"]
