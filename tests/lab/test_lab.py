"""The lab's hosts are real machines in all that tests rely on, and a lab leaves nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from wxops.errors import LabError
from wxops.lab import OPS_PASSWORD, Lab
from wxops.lab.cgroup import groups_below
from wxops.lab.host import Host
from wxops.lab.machine import require_lab
from wxops.lab.mounts import mounts_below
from wxops.lab.rootfs import rootfs

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def output(host: Host, line: str) -> str:
    return host.ssh(line).stdout.strip()


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


# A host is a Debian machine


def test_every_unit_of_a_host_comes_up(lab: Lab) -> None:
    for host in lab.hosts:
        assert output(host, "systemctl is-system-running") == "running"
        assert output(host, "systemctl is-active cron ssh docker.socket").split() == ["active"] * 3


def test_cron_runs_a_job(host: Host) -> None:
    host.ssh("echo '@reboot root touch /cron-was-here' >/etc/cron.d/job; rm /run/crond.reboot; systemctl restart cron")
    host.ssh("timeout 10 sh -c 'until test -e /cron-was-here; do sleep 0.1; done'")


def test_apt_installs_at_once(host: Host) -> None:
    host.ssh("apt-get install --yes --quiet tree")
    assert output(host, "tree --version").startswith("tree v")


def test_a_reboot_keeps_files_and_ends_processes(host: Host) -> None:
    before = output(host, BOOT_ID)
    host.ssh("touch /tmp/kept /var/kept; reboot", check=False)
    deadline = time.monotonic() + 30
    while (now := host.ssh(BOOT_ID, check=False).stdout.strip()) in ("", before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now not in ("", before)
    assert host.wait() == "running"
    assert output(host, "ls /var/kept") == "/var/kept"


def test_power_off_then_boot_keeps_files(host: Host) -> None:
    host.ssh("touch /kept")
    host.poweroff()
    assert host.state() == "off"
    host.boot()
    assert host.wait() == "running"
    assert output(host, "ls /kept") == "/kept"


def test_its_file_system_is_seen_from_here(host: Host) -> None:
    host.ssh("install -m 640 -o ops -g ops /dev/null /srv/seen")
    seen = (host.root / "srv/seen").stat()
    assert (seen.st_mode & 0o777, seen.st_uid, seen.st_gid) == (0o640, 1000, 1000)


def test_hard_links_and_renamed_folders_work_as_on_one_disk(shared_host: Host) -> None:
    shared_host.ssh("ln /etc/adduser.conf /etc/linked && test /etc/adduser.conf -ef /etc/linked && rm /etc/linked")
    rename = "import os; os.rename('/etc/skel', '/etc/moved'); os.rename('/etc/moved', '/etc/skel')"
    shared_host.ssh("python3", "-c", rename)


# Docker inside a host


# Enough of the lab's root file system for a shell and Python; the engine itself is most of the rest.
SMALL = ["bin", "lib", "lib64", "usr/bin", "usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/python3.11"]
LEFT_OUT = ["--exclude=containerd*", "--exclude=docker*", "--exclude=ctr", "--exclude=perl*", "--exclude=libperl*"]


def import_base_image(host: Host, name: str) -> None:
    """An image from the lab's root file system: no public registry is needed."""
    with subprocess.Popen(["tar", "-C", str(rootfs()), "-c", *LEFT_OUT, *SMALL], stdout=subprocess.PIPE) as tar:
        subprocess.run([*host.ssh_argv(), f"docker import - {name}"], stdin=tar.stdout, capture_output=True, check=True)


def test_docker_publishes_ports_limits_memory_and_shares_images(lab: Lab, host: Host) -> None:
    import_base_image(host, "base")
    host.ssh("docker run --detach --name web --memory 64m --publish 8080:80 base python3 -m http.server 80")
    host.ssh("timeout 20 sh -c 'until curl --silent --output /dev/null localhost:8080; do sleep 0.2; done'")
    assert urlopen(f"http://{host.address}:8080/", timeout=5).status == 200
    greedy = host.ssh("docker run --rm --memory 64m base python3 -c 'bytearray(300 * 2**20)'", check=False)
    assert greedy.returncode == 128 + signal.SIGKILL

    image = f"{lab.registry.address}/base"
    host.ssh(f"docker tag base {image} && docker push {image}")
    by_digest = output(host, f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {image}")
    other = lab.hosts[1]
    assert output(other, f"docker run --rm {by_digest} echo pulled").endswith("pulled")


# Access


def ssh_as_the_inventory_says(inventory: Path, host: str, line: str) -> subprocess.CompletedProcess[str]:
    """ssh with nothing but what the inventory holds, as Ansible would call it."""
    group = yaml.safe_load(inventory.read_text())["all"]
    assert set(group["children"]) == {"gpu"}
    said = group["vars"] | group["children"]["gpu"]["hosts"][host]
    options = shlex.split(said["ansible_ssh_common_args"])
    access = ["-o", "BatchMode=yes", "-i", said["ansible_ssh_private_key_file"], "-p", str(said["ansible_port"])]
    return run("ssh", "-F", "none", *options, *access, f"{said['ansible_user']}@{said['ansible_host']}", line)


def test_the_inventory_is_all_that_ssh_needs(lab: Lab) -> None:
    for host in lab.hosts:
        assert ssh_as_the_inventory_says(lab.inventory, host.name, "hostname").stdout.strip() == host.name


def test_a_host_with_another_key_is_refused(lab: Lab, shared_host: Host, tmp_path: Path) -> None:
    mixed_up = tmp_path / "known_hosts"
    keys = [line.split(" ", 1)[1] for line in lab.known_hosts.read_text().splitlines()]
    mixed_up.write_text(f"{shared_host.address} {keys[1]}\n")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(lab.inventory.read_text().replace(str(lab.known_hosts), str(mixed_up)))
    refused = ssh_as_the_inventory_says(inventory, shared_host.name, "hostname")
    assert refused.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr


def test_ops_logs_in_with_its_password_which_sudo_asks_for(shared_host: Host) -> None:
    options = ["-o", f"UserKnownHostsFile={shared_host.known_hosts}", "-o", "PubkeyAuthentication=no"]
    assert run("sshpass", "-p", OPS_PASSWORD, "ssh", *options, f"ops@{shared_host.address}", "id -un").stdout == "ops\n"
    assert "password is required" in shared_host.ssh("sudo -n id -u", user="ops", check=False).stderr
    assert shared_host.ssh("sudo -S -p '' id -u", user="ops", text=f"{OPS_PASSWORD}\n").stdout == "0\n"


def test_deploy_needs_no_password_for_sudo(shared_host: Host) -> None:
    assert shared_host.ssh("sudo -n id -u", user="deploy").stdout == "0\n"


# What a host cannot do to this machine


@pytest.mark.parametrize("name", ["vm.swappiness", "vm.max_map_count", "kernel.pid_max", "fs.file-max"])
def test_a_sysctl_of_this_machine_is_written_to_a_copy(shared_host: Host, name: str) -> None:
    real = Path("/proc/sys", name.replace(".", "/"))
    before = real.read_text()
    other = int(before) // 2
    assert output(shared_host, f"sysctl --quiet --write {name}={other} && sysctl --values {name}") == str(other)
    assert real.read_text() == before


def test_a_net_sysctl_is_the_hosts_own(shared_host: Host) -> None:
    real = Path("/proc/sys/net/core/somaxconn")
    before = real.read_text()
    assert output(shared_host, "sysctl --values --write net.core.somaxconn=1234") == "1234"
    assert real.read_text() == before
    assert "1234" in output(shared_host, "cat /proc/sys/net/core/somaxconn")


def test_what_the_kernel_makes_anew_is_no_copy(shared_host: Host) -> None:
    first, second = output(shared_host, "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/uuid").split()
    assert first != second
    assert output(shared_host, "cat /proc/sys/kernel/hostname") == shared_host.name


def test_the_clock_cannot_be_set(shared_host: Host) -> None:
    assert "not permitted" in shared_host.ssh("date --set=@$(date +%s)", check=False).stderr


# Scenarios and faults


def test_files_bound_into_a_host_survive_a_reset(lab: Lab, tmp_path: Path) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    library.write_text("simulated")
    name = lab.hosts[1].name
    lab.reset(name, binds={"/usr/lib/libnvidia-ml.so.1": library})
    lab.reset(name)
    assert lab.ssh(name, "cat /usr/lib/libnvidia-ml.so.1").stdout == "simulated"
    lab.reset(name, binds={})
    assert lab.ssh(name, "test -e /usr/lib/libnvidia-ml.so.1", check=False).returncode == 1


def test_a_pulled_cable_cuts_a_host_off_until_it_is_back(lab: Lab, shared_host: Host) -> None:
    lab.link(shared_host.name, up=False)
    try:
        assert shared_host.state() == "unreachable"
    finally:
        lab.link(shared_host.name, up=True)
    assert shared_host.wait() == "running"


def test_reset_takes_every_change_back_and_leaves_the_others_alone(lab: Lab) -> None:
    broken, other = lab.hosts[0], lab.hosts[1]
    before, key = output(other, BOOT_ID), broken.host_key.read_bytes()
    broken.ssh("rm -r /etc/ssh /var/lib/dpkg; touch /etc/extra; iptables -P INPUT DROP")
    lab.reset(broken.name)
    assert output(broken, "dpkg --verify openssh-server") == ""
    assert not (broken.root / "etc/extra").exists()
    assert broken.host_key.read_bytes() == key
    assert output(other, BOOT_ID) == before


# A lab's life


def test_up_again_changes_nothing_and_more_hosts_disturb_none(lab: Lab) -> None:
    before = [output(host, BOOT_ID) for host in lab.hosts[:2]]
    lab.up(2)
    assert [output(host, BOOT_ID) for host in lab.hosts[:2]] == before
    assert len(lab.up(3)) == 3
    assert [output(host, BOOT_ID) for host in lab.hosts[:2]] == before
    assert ssh_as_the_inventory_says(lab.inventory, lab.hosts[2].name, "true").returncode == 0


def test_a_host_that_died_starts_anew(lab: Lab) -> None:
    host = lab.hosts[0]
    host.ssh("touch /old")
    host.kill()
    lab.up(1)
    assert host.state() == "running"
    assert not (host.root / "old").exists()


def traces(lab: Lab) -> list[str]:
    """Whatever of a lab is still on this machine."""
    links = [link["ifname"] for link in json.loads(run("ip", "-json", "link").stdout)]
    namespaces = [name.name for name in Path("/run/netns").glob(f"{lab.name}*")]
    rules = [line for table in ("nat", "filter") for line in run("iptables", "-t", table, "-S").stdout.splitlines()]
    return [
        *(name for name in links if name.startswith((lab.name, f"wx-{lab.name}"))),
        *namespaces,
        *(rule for rule in rules if f"wxops lab {lab.name}" in rule),
        *(group.path for group in groups_below("wxops-lab") if group == lab.cgroup),
        *(str(mount) for mount in mounts_below(lab.folder)),
        *([str(lab.folder)] if lab.folder.exists() else []),
    ]


def test_down_leaves_nothing(spare_lab: Lab) -> None:
    spare_lab.up(2)
    spare_lab.up_light(2)
    assert traces(spare_lab)
    spare_lab.down()
    assert traces(spare_lab) == []


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2])
def test_what_a_crashed_run_left_is_cleaned_up(spare_lab: Lab, seconds: float) -> None:
    program = f"from wxops.lab import Lab; Lab({spare_lab.name!r}, {str(spare_lab.network.subnet)!r}).up(2)"
    crashing = subprocess.Popen([sys.executable, "-c", program])
    time.sleep(seconds)
    crashing.kill()
    crashing.wait()
    assert [host.state() for host in spare_lab.up(2)] == ["running", "running"]
    spare_lab.down()
    assert traces(spare_lab) == []


def test_light_hosts_answer_with_file_systems_of_their_own(spare_lab: Lab) -> None:
    first, second = spare_lab.up_light(2)
    for light in (first, second):
        made = ssh_as_the_inventory_says(spare_lab.light_inventory, light.name, "ls /srv; touch /srv/mine; hostname")
        assert made.stdout.split() == [light.name]
        assert (light.root / "srv/mine").exists()
    assert [light.name for light in spare_lab.up_light(1)] == [first.name]
    with pytest.raises(OSError):
        socket.create_connection((second.address, 22), timeout=0.5)


def test_five_hundred_light_hosts_have_places_of_their_own(spare_lab: Lab) -> None:
    """A /24 has fewer addresses than that: the rest are at other ports."""
    places = [spare_lab.network.light_place(number) for number in range(1, 501)]
    assert len(set(places)) == 500 and {port for _, port in places[:200]} == {22}


def test_a_light_host_beyond_the_addresses_is_reached_at_its_port(
    spare_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wxops.lab.network.LIGHT_ADDRESSES", 1)
    first, second = spare_lab.up_light(2)
    assert first.address == second.address and first.port != second.port
    assert ssh_as_the_inventory_says(spare_lab.light_inventory, second.name, "hostname").stdout.split() == [second.name]


# Errors


def test_without_root_the_error_says_so() -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(LabError, match="needs root") as refusal:
            require_lab()
    finally:
        os.seteuid(0)
    assert refusal.value.fix == "Use sudo."


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError, match=r"debootstrap.*systemd-container") as refusal:
        require_lab()
    assert "apt-get install" in str(refusal.value)


def test_a_subnet_in_use_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match=f"overlaps {lab.network.subnet} of {lab.network.bridge}"):
        Lab("clash", str(lab.network.subnet)).up(1)
    Lab("clash", str(lab.network.subnet)).down()


@pytest.mark.parametrize(
    ("name", "subnet", "complaint"),
    [
        ("Bad name", "10.78.99.0/24", "cannot name a lab"),
        ("fine", "10.78.99.0/16", "is not an IPv4 network"),
        ("fine", "10.0.0.0/8", "is a /24"),
    ],
)
def test_an_impossible_lab_is_refused(name: str, subnet: str, complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        Lab(name, subnet)
