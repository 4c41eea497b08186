"""Facts as a whole: which are gathered, under which names, how fast, and what happens when some cannot be had."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from wxops.agent.facts.collectors import COLLECTORS, WORDS, chosen
from wxops.agent.facts.gathering import gather
from wxops.agent.facts.host import Host
from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.setup import setup

ALL = {collector.name for collector in COLLECTORS}
MINIMUM = {
    "apparmor", "caps", "cmdline", "date_time", "distribution", "dns", "env", "fips", "local", "lsb", "pkg_mgr",
    "platform", "python", "selinux", "service_mgr", "ssh_pub_keys", "user",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["all"], ALL),
        (["min"], MINIMUM),
        (["!all"], MINIMUM),
        (["!all", "!min"], set()),
        (["!min"], set()),
        (["!hardware"], MINIMUM),
        (["all", "!hardware", "!virtual"], ALL - {"hardware", "virtual"}),
        (["network"], MINIMUM | {"network"}),
        (["!all", "!min", "dns"], {"dns"}),
        (["!all", "!min", "network"], {"network", "platform", "distribution"}),
        (["!all", "!min", "mounts"], {"hardware", "platform"}),
        (["all", "!mounts"], ALL),
        (["!all", "!min", "kernel"], {"platform"}),
        (["!dns", "!all", "dns"], MINIMUM),
        (["all", "!nonesuch"], ALL),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_gather_subset_chooses_as_ansible_does(words: list[str], expected: set[str]) -> None:
    assert {collector.name for collector in chosen(words)} == expected


def test_every_collector_runs_after_those_it_needs() -> None:
    names = [collector.name for collector in COLLECTORS]
    assert all(names.index(need) < names.index(c.name) for c in COLLECTORS for need in c.needs)


def test_an_unknown_subset_is_refused_by_name() -> None:
    with pytest.raises(ModuleFailure, match="'netwrok' is not a subset; known: all, min, all_ipv4_addresses"):
        gather(["!all", "netwrok"])


def test_the_usual_names_are_there() -> None:
    facts, _ = gather()
    usual = """distribution distribution_version distribution_major_version distribution_release os_family kernel
    architecture hostname fqdn domain nodename machine_id default_ipv4 interfaces all_ipv4_addresses memtotal_mb
    memory_mb processor processor_vcpus processor_nproc mounts devices date_time env python python_version user_id
    user_uid user_dir service_mgr pkg_mgr virtualization_type virtualization_role lsb selinux apparmor fips
    system_capabilities dns uptime_seconds loadavg local is_chroot hostnqn iscsi_iqn product_name bios_version cmdline
    swaptotal_mb lvm lo"""
    assert not {"ansible_" + name for name in usual.split()} - set(facts)
    assert facts["module_setup"] is True and facts["gather_subset"] == ["all"]


def test_facts_travel_as_json() -> None:
    facts, _ = gather()
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("pattern", ["distribution*", "ansible_distribution*"])
def test_filter_takes_names_with_and_without_the_prefix(pattern: str) -> None:
    facts, _ = gather(["min"], filter=[pattern, "kernel"])
    assert "ansible_kernel" in facts and "ansible_distribution_version" in facts
    assert all(name == "ansible_kernel" or name.startswith("ansible_distribution") for name in facts)


@pytest.mark.parametrize("patterns", [[], ["*"], [""]])
def test_an_open_filter_keeps_everything(patterns: list[str]) -> None:
    assert "module_setup" in gather(["!all", "!min", "dns"], filter=patterns)[0]


def test_a_collector_that_fails_costs_its_facts_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Host.read
    monkeypatch.setattr(Host, "read", lambda host, path: "not a number" if path == "/proc/uptime" else read(host, path))
    facts, warnings = gather(["!all", "!min", "hardware"])
    assert "ansible_uptime_seconds" not in facts and facts["ansible_memtotal_mb"] > 0
    assert warnings == ["no facts from system.uptime: ValueError: could not convert string to float: 'not'"]


def test_setup_returns_what_a_play_reads() -> None:
    result = setup(None, gather_subset=["!all", "!min", "platform"], filter=["kernel"])  # type: ignore[arg-type]
    assert result == {"ansible_facts": {"ansible_kernel": os.uname().release}}


def test_setup_passes_warnings_on(tmp_path: Path) -> None:
    (tmp_path / "broken.fact").write_text("neither { JSON nor INI")
    result = setup(None, gather_subset=["!all", "!min", "local"], fact_path=str(tmp_path))  # type: ignore[arg-type]
    assert result["warnings"] and "broken.fact" in result["warnings"][0]


def test_environment_that_is_not_utf_8_still_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"ODD", b"caf\xe9")
    facts, _ = gather(["!all", "!min", "env"])
    assert facts["ansible_env"]["ODD"].encode() == "caf\N{REPLACEMENT CHARACTER}".encode()


def test_all_facts_cost_less_than_30_ms_of_processor_time() -> None:
    """Of this process and its children, loaded; the least of five, since other work runs beside the tests."""

    def spent() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    costs = []
    for _ in range(5):
        before = spent()
        gather()
        costs.append(spent() - before)
    assert min(costs) < 0.030


def test_facts_do_not_load_slow_libraries() -> None:
    """Each of these takes longer to import than all facts take to gather."""
    slow = "asyncio ctypes dataclasses datetime email inspect logging ssl tempfile urllib.request"
    program = "import sys; from wxops.agent.facts.gathering import gather; gather(); "
    program += f"print(*set(sys.modules) & set('{slow}'.split()))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_the_words_are_those_of_ansible() -> None:
    """The list that ansible-core 2.19.14 prints for a word it does not know."""
    words = """all_ipv4_addresses all_ipv6_addresses apparmor architecture caps chroot cmdline date_time default_ipv4
    default_ipv6 devices distribution distribution_major_version distribution_release distribution_version dns
    effective_group_ids effective_user_id env facter fibre_channel_wwn fips hardware interfaces is_chroot iscsi kernel
    kernel_version loadavg local lsb machine machine_id mounts network nvme ohai os_family pkg_mgr platform processor
    processor_cores processor_count python python_version real_user_id selinux service_mgr ssh_host_key_dsa_public
    ssh_host_key_ecdsa_public ssh_host_key_ed25519_public ssh_host_key_rsa_public ssh_host_pub_keys ssh_pub_keys
    system system_capabilities system_capabilities_enforced systemd user user_dir user_gecos user_gid user_id
    user_shell user_uid virtual virtualization_role virtualization_tech_guest virtualization_tech_host
    virtualization_type"""
    assert set(words.split()) == WORDS
