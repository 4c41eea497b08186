"""`apt` against a repository of our own: versions, holds, configuration, services, faults, and the way back."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.module_case import ManagedHost, differences, keep_promises
from tests.lab.stand_in_packages import Package, build_repository, served
from tests.lab.test_kill import agent_pid
from wxops.lab import Lab
from wxops.lab.host import Host

# What a service's package does: an account, a unit that starts, and a purge that takes the unit's state along.
POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
getent passwd wxfoo >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent wxfoo
deb-systemd-helper unmask wxfoo.service >/dev/null
if deb-systemd-helper --quiet was-enabled wxfoo.service; then deb-systemd-helper enable wxfoo.service >/dev/null; fi
systemctl daemon-reload
if [ -n "$2" ]; then action=restart; else action=start; fi
deb-systemd-invoke $action wxfoo.service
"""
PRERM = '#!/bin/sh\n[ "$1" = remove ] && deb-systemd-invoke stop wxfoo.service\nexit 0\n'
POSTRM = """#!/bin/sh
systemctl daemon-reload
[ "$1" = purge ] || exit 0
deb-systemd-helper purge wxfoo.service >/dev/null
deb-systemd-helper unmask wxfoo.service >/dev/null
userdel wxfoo
"""
UNIT = "[Service]\nExecStart=/bin/sleep {seconds}\n[Install]\nWantedBy=multi-user.target\n"
KILLS = int(os.environ.get("WXOPS_KILLS", "12")) // 4  # each costs seconds
LONGEST_RUN_S = 2.0
IGNORED = ("/var/lib/ucf", "/usr/share/mime", "/var/lib/systemd")


def foo(version: str, seconds: int) -> Package:
    files = {
        "DEBIAN/postinst": POSTINST, "DEBIAN/prerm": PRERM, "DEBIAN/postrm": POSTRM,
        "DEBIAN/conffiles": "/etc/wxfoo.conf\n", "etc/wxfoo.conf": f"setting = {version}\n",
        "usr/bin/wxfoo": f"#!/bin/sh\necho {version}\n",
        "lib/systemd/system/wxfoo.service": UNIT.format(seconds=seconds),
    }  # fmt: skip
    return Package("wxfoo", version, files=files)


PACKAGES = (
    foo("1.0-1", 1001), foo("1.1-1", 1002), foo("2:2.0-1", 1003),
    Package("wxbar", "1.0", "wxfoo (>= 1.0)"), Package("wxbar", "2.0", "wxfoo (>= 2:2.0)"),
    Package("wxlib", "1"), Package("wxlib", "2"), Package("wxapp", "1", "wxlib"),
    Package("wxbroken", "1", files={"DEBIAN/postinst": "#!/bin/sh\necho no luck >&2; exit 1\n"}),
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The lines that a source list needs."""
    folder = tmp_path_factory.mktemp("repository")
    build_repository(folder, PACKAGES)
    with served(folder, lab.network.gateway) as url:
        yield url


@pytest.fixture
def apt(repository: str, host: Host, managed: ManagedHost) -> ManagedHost:
    """A pristine host that knows the repository, and no other: apt is quicker then."""
    host.ssh(
        f"rm /etc/apt/sources.list && curl -fsS {repository}/key.asc -o /etc/apt/keyrings/wx.asc && "
        f"echo 'deb [signed-by=/etc/apt/keyrings/wx.asc] {repository} ./' >/etc/apt/sources.list.d/wx.list && "
        "apt-get update -q"
    )
    return managed


def facts(host: Host) -> dict[str, str]:
    """Everything of wxfoo that a rollback owes."""
    questions = {
        "packages": "dpkg-query -W -f '${Package} ${Version} ${Status}\\n' 'wx*'; true",
        "marks": "apt-mark showmanual | grep wx; apt-mark showhold",
        "configuration": "cat /etc/wxfoo.conf; ls /etc/wxfoo.conf*",
        "account": "getent passwd wxfoo; getent group wxfoo",
        "running": "systemctl is-active wxfoo; systemctl show wxfoo -p ExecStart | grep -o 'argv[^;]*'",
        "enabled": "systemctl is-enabled wxfoo 2>&1",
    }
    return {name: host.ssh(command, check=False).stdout for name, command in questions.items()}


def test_a_package_and_what_it_needs_come_and_go(apt: ManagedHost) -> None:
    keep_promises(
        apt,
        {
            "tasks": [{"apt": {"name": ["wxbar=1.*", "wxfoo=1.0*"]}},
                      {"dpkg_selections": {"name": "wxfoo", "selection": "hold"}},
                      {"systemd_service": {"name": "wxfoo", "state": "started", "enabled": True}}],
            "diff": ["wxfoo 1.0-1", "wxbar 1.0"],
            "leaves": ["systemctl is-active wxfoo", "id wxfoo", "apt-mark showhold | grep wxfoo"],
            "ignore": IGNORED,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    "task",
    [
        {"name": "wxfoo", "state": "latest", "allow_change_held_packages": True},
        {"name": "wxfoo=1.0-1", "allow_downgrade": True, "allow_change_held_packages": True},
        {"name": "wxfoo", "state": "absent", "allow_change_held_packages": True},
        {"name": "wxfoo", "state": "absent", "purge": True, "allow_change_held_packages": True},
    ],
    ids=["upgrade", "downgrade", "remove", "purge"],
)
def test_version_hold_configuration_and_service_come_back(task: dict[str, object], apt: ManagedHost) -> None:
    apt.host.ssh(
        "apt-get install -qy wxbar=1.0 wxfoo=1.1-1 wxlib=1 && apt-mark hold wxfoo && echo edited >>/etc/wxfoo.conf"
    )
    apt.host.ssh("systemctl disable --now wxfoo")
    before, tree = facts(apt.host), apt.tree(IGNORED)

    run = apt.play([{"apt": task}])
    assert run.statuses == ["changed"], run.told()
    assert facts(apt.host) != before

    back = apt.rollback(run.run)
    assert back.exit_code == 0, back.told()
    assert facts(apt.host) == before
    assert differences(tree, apt.tree(IGNORED)) == []


def test_an_upgrade_of_everything_comes_back(apt: ManagedHost) -> None:
    apt.host.ssh("apt-get install -qy wxbar=1.0 wxfoo=1.1-1 wxlib=1")
    keep_promises(apt, {"tasks": [{"apt": {"upgrade": "dist"}}], "diff": ["wxfoo 2:2.0-1"], "ignore": IGNORED})


def test_what_a_run_did_to_a_package_before_it_removed_it_comes_back_too(apt: ManagedHost) -> None:
    apt.host.ssh("apt-get install -qy wxfoo=1.0-1")
    keep_promises(
        apt,
        {
            "tasks": [{"lineinfile": {"path": "/etc/wxfoo.conf", "line": "x = 1", "create": True}},
                      {"systemd_service": {"name": "wxfoo", "state": "stopped", "enabled": False}},
                      {"apt": {"name": "wxfoo", "state": "absent", "purge": True}},
                      {"file": {"path": "/etc/wxfoo.conf", "state": "absent"}}],
            "second": ["changed", "failed"],
            "ignore": IGNORED,
        },
    )  # fmt: skip


def test_a_version_that_no_source_has_any_more_was_kept(apt: ManagedHost) -> None:
    apt.host.ssh("apt-get install -qy wxfoo=1.0-1")
    run = apt.play([{"apt": {"name": "wxfoo", "state": "latest"}}])
    apt.host.ssh("rm -f /var/cache/apt/archives/wx* /etc/apt/sources.list.d/wx.list")
    assert apt.rollback(run.run).exit_code == 0
    assert "wxfoo 1.0-1 install ok installed" in facts(apt.host)["packages"]


def test_a_version_that_cannot_be_had_is_named_before_anything_is_taken_back(apt: ManagedHost) -> None:
    apt.host.ssh(
        "apt-get install -qy wxfoo=1.0-1 && rm -f /var/cache/apt/archives/wx* && rm /etc/apt/sources.list.d/wx.list"
    )
    run = apt.play([{"apt": {"name": "wxfoo", "state": "absent"}}])
    assert "there will be no way back" in str([result.result.get("warnings") for result in run.results])
    told = apt.rollback(run.run, check=True)
    assert "wxfoo 1.0-1" in str([result.result for result in told.results])


def test_a_package_that_fails_to_install_can_be_taken_back(apt: ManagedHost) -> None:
    before, tree = facts(apt.host), apt.tree(IGNORED)
    run = apt.play([{"apt": {"name": ["wxbroken", "wxbar"]}}])
    assert run.statuses == ["failed"]
    assert apt.rollback(run.run).exit_code == 0
    assert facts(apt.host) == before
    assert differences(tree, apt.tree(IGNORED)) == []


def test_packages_that_others_built_on_are_not_torn_away(apt: ManagedHost) -> None:
    run = apt.play([{"apt": {"name": "wxlib"}}])
    apt.host.ssh("apt-get install -qy wxapp")
    back = apt.rollback(run.run)
    assert back.exit_code == 2
    assert "remove wxapp" in back.told()
    apt.host.ssh("dpkg -s wxlib wxapp")


def test_whoever_holds_the_lock_is_named(apt: ManagedHost) -> None:
    apt.host.ssh(
        'echo \'import fcntl, time; f = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(f, fcntl.LOCK_EX); '
        "time.sleep(30)' >/tmp/holder.py; setsid python3 /tmp/holder.py >/dev/null 2>&1 & sleep 0.5"
    )
    before = apt.tree(IGNORED)
    run = apt.play([{"apt": {"name": "wxlib", "lock_timeout": 1}}])
    assert run.statuses == ["failed"]
    assert "python3 /tmp/holder.py" in run.told() and "held by process" in run.told()
    assert differences(before, apt.tree(IGNORED)) == []


def test_a_check_composes(apt: ManagedHost) -> None:
    """What earlier tasks would have installed or removed counts as done, also for apt's own reasoning."""
    tasks = [
        {"apt": {"name": "wxapp"}}, {"apt": {"name": "wxlib"}}, {"apt": {"name": "wxapp", "state": "absent"}},
        {"apt": {"autoremove": True}}, {"apt": {"name": "wxfoo=1.0-1"}}, {"apt": {"name": "wxbar=2.0"}},
        {"apt": {"name": "wxfoo=2:2.0-1"}},
    ]  # fmt: skip
    check, run = apt.play(tasks, check=True), apt.play(tasks)
    assert run.exit_code == 0, run.told()
    assert check.statuses == run.statuses
    assert check.diffs == run.diffs


def test_a_check_foresees_packages_of_a_source_that_it_would_add(
    repository: str, host: Host, managed: ManagedHost
) -> None:
    tasks = [
        {"get_url": {"url": f"{repository}/key.asc", "dest": "/etc/apt/keyrings/wx.asc"}},
        {"copy": {"dest": "/etc/apt/sources.list.d/wx.list",
                  "content": f"deb [signed-by=/etc/apt/keyrings/wx.asc] {repository} ./\n"}},
        {"apt": {"name": ["wxfoo=1.0*", "hello"], "update_cache": True}},
        {"systemd_service": {"name": "wxfoo", "state": "started", "enabled": True}},
        {"file": {"path": "/srv/wxfoo", "state": "directory", "owner": "wxfoo"}},
    ]  # fmt: skip
    check, run = managed.play(tasks, check=True), managed.play(tasks)
    assert run.exit_code == 0, run.told()
    assert check.statuses == run.statuses, check.told()


def test_an_unknown_package_is_told_with_the_nearest_one(apt: ManagedHost) -> None:
    told = apt.play([{"apt": {"name": "wxfo"}}]).told()
    assert "no package 'wxfo' is available; did you mean wxfoo?" in told
    assert "there is 2:2.0-1, 1.1-1, 1.0-1" in apt.play([{"apt": {"name": "wxfoo=9"}}]).told()


def test_services_are_kept_from_starting(apt: ManagedHost) -> None:
    run = apt.play([{"apt": {"name": "wxfoo", "policy_rc_d": 101}}])
    assert run.exit_code == 0, run.told()
    assert facts(apt.host)["running"].startswith("inactive")
    apt.host.ssh("test ! -e /usr/sbin/policy-rc.d")


def test_deb_files_from_the_host_and_from_a_url(repository: str, apt: ManagedHost) -> None:
    apt.host.ssh(f"curl -fsS {repository}/wxlib_1_amd64.deb -o /root/wxlib.deb")
    keep_promises(
        apt,
        {
            "tasks": [{"apt": {"deb": "/root/wxlib.deb"}}, {"apt": {"deb": f"{repository}/wxapp_1_amd64.deb"}}],
            "leaves": ["dpkg -s wxapp"],
            "ignore": IGNORED,
        },
    )


@pytest.mark.parametrize("with_apt", [False, True], ids=["agent", "agent and apt-get"])
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_in_a_transaction_can_be_taken_back(seed: int, with_apt: bool, apt: ManagedHost) -> None:
    delay = random.Random(seed).uniform(0, LONGEST_RUN_S)
    apt.host.ssh("apt-get install -qy wxfoo=1.0-1")
    before, tree = facts(apt.host), apt.tree(IGNORED)
    thread = threading.Thread(target=_kill, args=(apt.host, delay, with_apt))
    thread.start()
    run = apt.play([{"apt": {"name": ["wxfoo", "wxbar", "wxapp"], "state": "latest"}}])
    thread.join()

    back = apt.rollback(run.run)
    assert back.exit_code == 0, back.told()
    assert facts(apt.host) == before
    assert differences(tree, apt.tree(IGNORED)) == [], f"after a kill at {delay:.3f} s"

    again = apt.play([{"apt": {"name": ["wxfoo", "wxbar", "wxapp"], "state": "latest"}}])
    assert again.exit_code == 0, again.told()


def _kill(host: Host, delay: float, with_apt: bool) -> None:
    """Kill the agent, and with it what it started, as a power cut would."""
    deadline = time.monotonic() + 10
    while (pid := agent_pid(Path(host.root))) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    if pid is None:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    if with_apt:
        for victim in sorted(host.cgroup.pids()):
            try:
                name = Path(f"/proc/{victim}/comm").read_text().strip()
                if name in ("apt-get", "dpkg"):
                    os.kill(victim, signal.SIGKILL)
            except OSError:
                continue
