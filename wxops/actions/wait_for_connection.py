"""Waits until a host can be reached and an agent answers there."""

from __future__ import annotations

import time

from wxops.actions import Call, Result
from wxops.errors import HostUnreachable, TaskFailed


def wait_for_connection(
    call: Call, delay: float = 0, timeout: float = 600, sleep: float = 1, connect_timeout: float = 5
) -> Result:
    """Wait for a host that comes up: the connection is opened anew, and an agent must answer on it.

    delay: seconds to wait before the first try.
    timeout: seconds to go on trying.
    sleep: seconds between two tries.
    connect_timeout: taken for Ansible's sake: how long one try may take says the connection's own timeout
        (ansible_timeout, --timeout).
    """
    if call.check:
        return {"changed": False, "skipped": True}
    started = time.monotonic()
    call.sleep(delay)
    last = "no try"
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            call.reconnect(0)
        except HostUnreachable as error:
            last = error.what
            call.sleep(sleep)
        else:
            return {"changed": False, "elapsed": int(time.monotonic() - started)}
    elapsed = int(time.monotonic() - started)
    raise TaskFailed(f"timed out waiting for the connection: {last}", {"elapsed": elapsed, "changed": False})
