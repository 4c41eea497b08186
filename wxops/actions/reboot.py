"""Restarts a host and proves that it came back: its kernel says another boot id."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Literal

from wxops.actions import Call, Result
from wxops.errors import HostUnreachable, TaskFailed

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PAUSE_S = 1.0  # between two looks at a host that still shuts down, or at a test command that still fails


def reboot(
    call: Call,
    reboot_timeout: float = 600,
    pre_reboot_delay: float = 0,
    post_reboot_delay: float = 0,
    test_command: str = "whoami",
    reboot_command: str = "systemctl reboot",
    msg: str = "Reboot initiated by wxops",
    connect_timeout: float | None = None,
    search_paths: list[str] | None = None,
    boot_time_command: Literal["cat /proc/sys/kernel/random/boot_id"] = "cat /proc/sys/kernel/random/boot_id",
) -> Result:
    """Reboot the host, and wait until it answers again and runs a command. There is nothing in it to roll back.

    reboot_timeout: seconds within which it must be back, and as many again for the test command.
    pre_reboot_delay: seconds to wait before.
    post_reboot_delay: seconds to wait after it is back, before the test command.
    test_command: the command that must succeed then.
    reboot_command: what reboots it; quotes work as in a shell, but no pipe or redirection does.
    msg: what users who are logged in are told.
    connect_timeout: taken for Ansible's sake: how long one try to connect may take says the connection's own timeout.
    search_paths: directories in which reboot_command is looked for before those of the login's PATH.
    boot_time_command: the boot id is the proof, always: two boots never have the same one.
    """
    if call.check:
        return {"changed": True, "rebooted": True, "elapsed": 0}
    started = time.monotonic()
    before = call.boot_id()
    if before == BOOT_ID.read_text().strip():
        raise TaskFailed("this is the machine that wxops runs on; it is not rebooted from here", {"rebooted": False})
    call.sleep(pre_reboot_delay)
    with contextlib.suppress(HostUnreachable):  # it may be down before its answer is out
        call.run("reboot", {"reboot_command": reboot_command, "msg": msg, "search_paths": search_paths})
    after = _new_boot(call, before, reboot_timeout)
    call.sleep(post_reboot_delay)
    _wait_until_it_works(call, test_command, reboot_timeout)
    elapsed = int(time.monotonic() - started)
    return {"changed": True, "rebooted": True, "elapsed": elapsed, "boot_id": after, "boot_id_before": before}


ALIASES = {"reboot_timeout_sec": "reboot_timeout", "pre_reboot_delay_sec": "pre_reboot_delay",
           "post_reboot_delay_sec": "post_reboot_delay", "connect_timeout_sec": "connect_timeout"}  # fmt: skip


def _new_boot(call: Call, before: str, timeout: float) -> str:
    """Connect again and again until the kernel is another one; its boot id."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            call.reconnect(deadline - time.monotonic())
            if (now := call.boot_id()) != before:
                return now
            last = "it still runs as it was booted before"
        except HostUnreachable as error:
            last = error.what
        if time.monotonic() > deadline:
            raise TaskFailed(f"the host did not come back within {timeout:g} s: {last}", {"rebooted": False})
        call.sleep(PAUSE_S)


def _wait_until_it_works(call: Call, command: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            call.run("reboot", {"test_command": command})
            return
        except (TaskFailed, HostUnreachable) as error:
            if time.monotonic() > deadline:
                raise TaskFailed(
                    f"the host rebooted, but `{command}` fails: {error.what}", {"rebooted": True}
                ) from None
        call.sleep(PAUSE_S)
