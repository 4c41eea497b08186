"""`modprobe` on a host whose kernel is pretended: lab hosts share the machine's own, which no test may change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.module_case import ManagedHost, keep_promises
from wxops.lab.host import Host

# Keeps its modules in the list of those that are parts of the kernel; it is the first modprobe in root's PATH.
LIST = "/lib/modules/$(uname -r)/modules.builtin"
PRETENDED = f"""
mkdir -p /lib/modules/$(uname -r); echo kernel/other.ko > {LIST}
cat > /usr/local/sbin/modprobe <<'END'
#!/bin/sh
echo "$@" >> /tmp/modprobe.log
case "$1" in
  -R) exit 1;;
  -n) case "$*" in *nosuch*) echo "modprobe: FATAL: Module nosuch not found." >&2; exit 1;; esac;;
  -r) sed -i "/$2.ko/d" {LIST};;
  *) echo kernel/$1.ko >> {LIST};;
esac
END
chmod 755 /usr/local/sbin/modprobe
"""


@pytest.fixture
def pretended(managed: ManagedHost, shared_host: Host) -> Iterator[ManagedHost]:
    shared_host.ssh(PRETENDED)
    yield managed
    shared_host.ssh("rm -rf /lib/modules /usr/local/sbin/modprobe /tmp/modprobe.log")


def test_a_module_is_loaded_now_and_at_every_boot(pretended: ManagedHost, shared_host: Host) -> None:
    keep_promises(
        pretended,
        {
            "tasks": "- modprobe: {name: dummy, params: 'a=1 b=2', persistent: present}",
            "diff": ["loaded: True", "options dummy a=1"],
            "ignore": ["/usr/lib/modules"],
            "leaves": [
                f"grep -q dummy.ko {LIST}",
                "grep -qx 'dummy a=1 b=2' /tmp/modprobe.log",
                "grep -qx dummy /etc/modules-load.d/dummy.conf",
                "grep -qx 'options dummy b=2' /etc/modprobe.d/dummy.conf",
            ],
        },
    )


def test_a_module_is_unloaded_and_never_loaded_again(pretended: ManagedHost, shared_host: Host) -> None:
    shared_host.ssh("mkdir -p /etc/modprobe.d; printf '# a\\nother ; x\\n' > /etc/modules-load.d/site.conf;"
                    "printf 'options other x=1\\ninstall other /bin/true\\n' > /etc/modprobe.d/site.conf")  # fmt: skip
    keep_promises(
        pretended,
        {
            "tasks": "- community.general.modprobe: {name: other, state: absent, persistent: absent}",
            "ignore": ["/usr/lib/modules"],
            "leaves": [
                f"! grep -q other.ko {LIST}",
                "grep -qx '#other ; x' /etc/modules-load.d/site.conf",
                "grep -qx '#options other x=1' /etc/modprobe.d/site.conf",
                "grep -qx 'install other /bin/true' /etc/modprobe.d/site.conf",
            ],
        },
    )
    shared_host.ssh("rm /etc/modules-load.d/site.conf /etc/modprobe.d/site.conf")


def test_a_check_fails_where_the_run_would(pretended: ManagedHost, shared_host: Host) -> None:
    played = pretended.play("- modprobe: {name: nosuch}", check=True)
    assert played.statuses == ["failed"]
    assert "Module nosuch not found" in played.told()
