"""Proof that the work was done: what hosts hold afterwards, as text that must be the same whichever tool did it."""

from __future__ import annotations

import difflib

from bench.measure import BenchError
from wxops.lab.host import Host

# What is left out: comments, for each tool marks its lines in motd and crontab in its own way; the numbers of users;
# and the mode of /srv/models itself, which ansible-core and wxops set with that of what they make below it.
LOOK = r"""
find /srv/* -mindepth 1 -printf '%p %y %m %u %g %l\n' | sort
readlink /srv/current
for file in /srv/models/releases/* /etc/default/wx-* /etc/systemd/system/wx-*.service; do
    stat -c '%n %a %U %G' "$file"
    awk 1 "$file"
done
for user in wxops wxserve wxbackup; do
    getent passwd $user | cut -d: -f1,7
    id -gn $user
    test -e "$(getent passwd $user | cut -d: -f6)" || echo no home
done
grep -E '^(X11Forwarding|MaxAuthTries|LoginGraceTime|ClientAliveInterval) ' /etc/ssh/sshd_config
grep -vE '^(#|$)' /etc/motd | tail -2
crontab -l | grep -vE '^(#|$)' | sort
systemctl show --property=LoadState,NeedDaemonReload wx-8080.service
"""
# A line of each part, so that a work which did nothing anywhere does not pass as the same everywhere.
MUST_HOLD = (
    "/srv/models/releases/note-9.txt 640 root wxrun", "release 4.5 note 9", "PEER_5=8084", "wxbackup:/usr/sbin/nologin",
    "/srv/models/weights d 750 root root ", "/srv/models/releases", "MaxAuthTries 4", "Release 4.5",
    "50 * * * * /usr/bin/true --slot 50", "LoadState=loaded", "NeedDaemonReload=no",
)  # fmt: skip


def state(hosts: list[Host]) -> dict[str, str]:
    """What each host holds. BenchError when a part of the work is missing."""
    found = {host.name: host.ssh(LOOK).stdout for host in hosts}
    for name, text in found.items():
        if missing := [line for line in MUST_HOLD if line not in text.splitlines()]:
            raise BenchError(f"{name} lacks {missing}; it holds:\n{text}")
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> str:
    """What differs between two states, as a diff for each host."""
    lines = (line for name in one for line in difflib.unified_diff(
        one[name].splitlines(), other[name].splitlines(), name, name, n=0, lineterm=""))  # fmt: skip
    return "\n".join(lines)
