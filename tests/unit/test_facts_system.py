"""Facts about the running system that are read from single files: each is what the file says, whatever it says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.facts_host import host_of
from wxops.agent.facts import system
from wxops.agent.facts.cmdline import cmdline
from wxops.agent.facts.date_time import date_time
from wxops.agent.facts.dns import dns
from wxops.agent.facts.initiators import fibre_channel, iscsi, nvme
from wxops.agent.facts.local import local
from wxops.agent.facts.security import capabilities, selinux
from wxops.agent.facts.service_mgr import service_manager, systemd
from wxops.agent.facts.ssh_keys import host_keys
from wxops.agent.facts.virtual import virtualization


@pytest.mark.parametrize(
    ("text", "last", "every"),
    [
        ("quiet root=/dev/sda1", {"quiet": True, "root": "/dev/sda1"}, {"quiet": True, "root": "/dev/sda1"}),
        ("console=tty0 console=ttyS0 console=hvc0", {"console": "hvc0"}, {"console": ["tty0", "ttyS0", "hvc0"]}),
        ("opt=a=b flag=", {"opt": "a=b", "flag": ""}, {"opt": "a=b", "flag": ""}),
        ('"two words" x', {'"two words"': True, "x": True}, {'"two words"': True, "x": True}),
        ('"never closed', {}, {}),
    ],
)
def test_kernel_options(text: str, last: dict[str, Any], every: dict[str, Any], tmp_path: Path) -> None:
    assert cmdline(host_of(tmp_path, {"/proc/cmdline": text + "\n"})) == {"cmdline": last, "proc_cmdline": every}


def test_dns_settings(tmp_path: Path) -> None:
    text = """# made by hand
; another comment
nameserver 10.0.0.1
nameserver 10.0.0.2
domain example.org
search example.org corp.example.org
options timeout:2 rotate
"""
    assert dns(host_of(tmp_path, {"/etc/resolv.conf": text})) == {
        "dns": {
            "nameservers": ["10.0.0.1", "10.0.0.2"],
            "domain": "example.org",
            "search": ["example.org", "corp.example.org"],
            "options": {"timeout": "2", "rotate": True},
        }
    }


def test_date_and_time_agree_with_the_clock() -> None:
    facts = date_time(host_of(Path("/"), {}))["date_time"]
    assert abs(int(facts["epoch"]) - time.time()) < 2 and facts["epoch_int"] == facts["epoch"]
    assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(facts["epoch"]))) == facts["iso8601"]
    assert re.fullmatch(r"\d{8}T\d{12}", facts["iso8601_basic"]) and facts["iso8601_micro"].startswith(
        facts["iso8601"][:-1]
    )


@pytest.mark.parametrize(
    ("files", "links", "expected"),
    [
        ({"/proc/1/comm": "systemd\n"}, {}, "systemd"),
        ({"/proc/1/comm": "runit-init\n"}, {}, "runit"),
        ({"/proc/1/comm": "init\n", "/usr/bin/systemctl": "", "/run/systemd/system/x": ""}, {}, "systemd"),
        ({"/proc/1/comm": "bash\n", "/usr/bin/systemctl": ""}, {"/sbin/init": "/lib/systemd/systemd"}, "systemd"),
        ({"/proc/1/comm": "sh\n", "/etc/init.d/ssh": ""}, {}, "sysvinit"),
        ({"/proc/1/comm": "sh\n"}, {}, "service"),
    ],
)
def test_the_service_manager(files: dict[str, str], links: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert service_manager(host_of(tmp_path, files, links)) == {"service_mgr": expected}


def test_systemd_tells_its_version_where_it_runs(tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'systemd 252 (252.38-1~deb12u1)'; echo '+PAM +AUDIT -XKBCOMMON'\n"
    host = host_of(tmp_path, {"/usr/bin/systemctl": script, "/run/systemd/system/x": ""})
    assert systemd(host) == {"systemd": {"version": 252, "features": "+PAM +AUDIT -XKBCOMMON"}}
    (tmp_path / "run/systemd/system/x").unlink()
    (tmp_path / "run/systemd/system").rmdir()
    assert systemd(host) == {}


def test_selinux_is_read_from_the_kernel_and_its_configuration(tmp_path: Path) -> None:
    files = {
        "/sys/fs/selinux/enforce": "0", "/sys/fs/selinux/policyvers": "33", "/usr/lib64/libselinux.so.1": "",
        "/etc/selinux/config": "# SELINUX= can be one of\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
    }  # fmt: skip
    assert selinux(host_of(tmp_path, files)) == {
        "selinux": {"status": "enabled", "policyvers": 33, "config_mode": "enforcing", "mode": "permissive",
                    "type": "targeted"},
        "selinux_python_present": True,
    }  # fmt: skip


def test_selinux_without_its_file_system_is_disabled(tmp_path: Path) -> None:
    facts = selinux(host_of(tmp_path, {"/etc/selinux/config": "SELINUX=enforcing\n"}))
    assert facts == {"selinux": {"status": "disabled"}, "selinux_python_present": False}


def status(permitted: str, inherited: str = "0") -> dict[str, str]:
    text = f"Name:\tpython3\nCapInh:\t{inherited}\nCapPrm:\t{permitted}\nCapEff:\t{permitted}\n"
    return {"/proc/self/status": text, "/proc/sys/kernel/cap_last_cap": "40\n"}


def test_all_capabilities_are_known_without_asking(tmp_path: Path) -> None:
    host = host_of(tmp_path, dict(status("000001ffffffffff"), **{"/sbin/capsh": "#!/bin/sh\nexit 1\n"}))
    assert capabilities(host) == {"system_capabilities_enforced": "False", "system_capabilities": []}


def test_some_capabilities_are_named_by_capsh(tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'Current: = cap_chown,cap_kill+ep'; echo 'Bounding set =cap_chown'\n"
    host = host_of(tmp_path, dict(status("21"), **{"/sbin/capsh": script}))
    assert capabilities(host) == {
        "system_capabilities_enforced": "True",
        "system_capabilities": ["cap_chown", "cap_kill+ep"],
    }


def test_host_keys_are_those_of_the_first_directory_that_has_any(tmp_path: Path) -> None:
    files = {
        "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAAC3 root@lab1\n",
        "/etc/ssh_host_rsa_key.pub": "ssh-rsa AAAAB3 old\n",
    }
    assert host_keys(host_of(tmp_path, files)) == {
        "ssh_host_key_ed25519_public": "AAAAC3",
        "ssh_host_key_ed25519_public_keytype": "ssh-ed25519",
    }


def test_names_in_storage_networks(tmp_path: Path) -> None:
    host = host_of(tmp_path, {
        "/etc/iscsi/initiatorname.iscsi": "## comment\nInitiatorName=iqn.1993-08.org.debian:01:44a4\n",
        "/etc/nvme/hostnqn": "nqn.2014-08.org.nvmexpress:uuid:2cd6\n",
        "/sys/class/fc_host/host3/port_name": "0x21000014ff52a9bb\n",
    })  # fmt: skip
    facts = {**iscsi(host), **nvme(host), **fibre_channel(host)}
    assert facts == {
        "iscsi_iqn": "iqn.1993-08.org.debian:01:44a4",
        "hostnqn": "nqn.2014-08.org.nvmexpress:uuid:2cd6",
        "fibre_channel_wwn": ["21000014ff52a9bb"],
    }


@pytest.mark.parametrize(
    ("files", "kind", "role", "guest", "of"),
    [
        ({}, "NA", "NA", [], []),
        ({"/sys/devices/virtual/dmi/id/sys_vendor": "QEMU\n"}, "kvm", "guest", ["kvm"], []),
        ({"/sys/devices/virtual/dmi/id/product_name": "VMware7,1\n"}, "VMware", "guest", ["VMware"], []),
        ({"/proc/1/environ": "PATH=/bin\0container=systemd-nspawn\0", "/run/systemd/container": "systemd-nspawn\n"},
         "container", "guest", ["container", "systemd-nspawn"], []),
        ({"/proc/1/cgroup": "0::/system.slice/docker-0123abcd.scope\n"},
         "docker", "guest", ["container", "docker"], []),
        ({"/.dockerenv": "", "/sys/devices/virtual/dmi/id/sys_vendor": "QEMU\n", "/proc/modules": "kvm 1 0 -\n"},
         "docker", "guest", ["container", "docker", "kvm"], ["kvm"]),
        ({"/proc/modules": "kvm_intel 1 0 - Live 0x0\nkvm 1 1 kvm_intel, Live 0x0\n"}, "kvm", "host", [], ["kvm"]),
        ({"/proc/xen/capabilities": "control_d\n"}, "xen", "host", [], ["xen"]),
    ],
)  # fmt: skip
def test_virtualization(
    files: dict[str, str], kind: str, role: str, guest: list[str], of: list[str], tmp_path: Path
) -> None:
    assert virtualization(host_of(tmp_path, files)) == {
        "virtualization_type": kind, "virtualization_role": role,
        "virtualization_tech_guest": guest, "virtualization_tech_host": of,
    }  # fmt: skip


def test_local_facts_are_json_ini_or_what_a_program_prints(tmp_path: Path) -> None:
    host = host_of(tmp_path, {
        "/facts/json.fact": '{"rack": "b7", "gpus": 8}',
        "/facts/ini.fact": "[site]\nName = edge\n",
        "/facts/bin/program.fact": "#!/bin/sh\necho '[1, 2]'\n",
        "/facts/ignored.txt": "not a fact",
    })  # fmt: skip
    (tmp_path / "facts/bin/program.fact").rename(tmp_path / "facts/program.fact")
    host.fact_path = "/facts"
    assert local(host) == {
        "local": {"json": {"rack": "b7", "gpus": 8}, "ini": {"site": {"name": "edge"}}, "program": [1, 2]}
    }


def test_a_local_fact_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    host = host_of(
        tmp_path, {"/facts/bin/fails.fact": "#!/bin/sh\necho no disk >&2\nexit 3\n", "/facts/odd.fact": "{odd"}
    )
    (tmp_path / "facts/bin/fails.fact").rename(tmp_path / "facts/fails.fact")
    host.fact_path = "/facts"
    facts = local(host)["local"]
    assert facts["fails"].startswith("Failure executing fact script (")
    assert facts["fails"].endswith("fails.fact), rc: 3, err: no disk\n")
    assert facts["odd"].startswith("error loading facts as JSON or ini: ")
    assert facts["odd"].endswith("odd.fact: File contains no section headers.")
    assert [warning.split(": ", 1)[1] for warning in host.warnings] == [facts["fails"], facts["odd"]]


def test_a_resolver_that_does_not_answer_costs_the_fqdn_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: time.sleep(2))
    host = host_of(Path("/"), {})
    host.timeout = 0.05
    started = time.monotonic()
    facts = system.platform(host)
    assert time.monotonic() - started < 1
    assert facts["fqdn"] == facts["nodename"]
    assert "the resolver gave no answer" in host.warnings[0]


def test_uptime_is_in_whole_seconds(tmp_path: Path) -> None:
    assert system.uptime(host_of(tmp_path, {"/proc/uptime": "918.77 1800.12\n"})) == {"uptime_seconds": 918}
