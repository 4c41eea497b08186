"""Waiting for a port, a file or a text in one of them."""

from __future__ import annotations

import mmap
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from wxops.agent.attributes import describe
from wxops.agent.failure import ModuleFailure
from wxops.agent.tcp_connections import STATES, active_connections

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Match, Optional, Pattern

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

ACTIVE = ["ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "SYN_RECV", "SYN_SENT", "TIME_WAIT"]


def wait_for(
    change: Change,
    host: str = "127.0.0.1",
    port: Optional[int] = None,
    path: Optional[Path] = None,
    search_regex: Optional[str] = None,
    state: Literal["absent", "drained", "present", "started", "stopped"] = "started",
    timeout: int = 300,
    connect_timeout: int = 5,
    delay: int = 0,
    sleep: int = 1,
    active_connection_states: Optional[List[str]] = None,
    exclude_hosts: Optional[List[str]] = None,
    msg: Optional[str] = None,
) -> Dict[str, Any]:
    """Wait until a port or a file is as it should be, seen from the host. In check mode nothing is waited for.

    Without a port and a path it just waits for `timeout` seconds.

    host: whose port.
    port: a TCP port.
    path: a file; present or started: it is there; absent: it is not.
    search_regex: a text that the file has, or that the port says.
    state: started or present (it accepts connections), stopped or absent (it does not), drained (no connection to
        it is active).
    timeout: seconds after which it fails.
    connect_timeout: seconds for one connection.
    delay: seconds before it looks first.
    sleep: seconds between two looks.
    active_connection_states: the states of TCP in which a connection is active.
    exclude_hosts: hosts whose connections do not count.
    msg: what to say when it fails.
    """
    if change.check:
        return {
            "skipped": True,
            "msg": "what is waited for may be what this run would bring, so check mode waits for nothing",
        }
    counted = active_connection_states or ACTIVE
    _refuse(port, path, state, exclude_hosts, counted)
    pattern = _compiled(search_regex)
    wait = Wait(change, timeout, delay, sleep)
    if port is None and path is None and state != "drained":
        wait.rest(timeout)  # after the delay, not within it
    elif state in ("absent", "stopped"):
        gone = (lambda: not os.path.exists(path)) if path else (lambda: not _accepts(host, port or 0, connect_timeout))
        if not wait.until(gone):
            what = "%s to be absent." % path if path else "%s:%s to stop." % (host, port)
            wait.fail(msg or "Timeout when waiting for " + what)
    elif state == "drained":
        if not wait.until(lambda: active_connections(host, port or 0, counted, exclude_hosts or []) == 0):
            wait.fail(msg or "Timeout when waiting for %s:%s to drain" % (host, port))
    else:
        _come(wait, host, port, path, pattern, connect_timeout, msg)
    told = {"state": state, "port": port, "search_regex": search_regex, "path": path, "elapsed": wait.elapsed,
            "match_groups": wait.groups, "match_groupdict": wait.named_groups}  # fmt: skip
    return dict(told, **describe(change, path)) if path else told


def _refuse(port: Any, path: Any, state: str, exclude_hosts: Any, counted: List[str]) -> None:
    wrong = None
    if port and path:
        wrong = "port and path parameter can not both be passed to wait_for"
    elif path and state in ("stopped", "drained"):
        wrong = "state=%s should only be used for checking a port in the wait_for module" % state
    elif exclude_hosts is not None and state != "drained":
        wrong = "exclude_hosts should only be with state=drained"
    elif state == "drained" and not port:
        wrong = "state=drained needs a port"
    unknown = [name for name in counted if name not in STATES]
    if unknown:
        wrong = "unknown active_connection_state (%s) defined" % unknown[0]
    if wrong:
        raise ModuleFailure(wrong, elapsed=0)


def _compiled(regex: Optional[str]) -> Optional[Pattern[bytes]]:
    try:
        return None if regex is None else re.compile(regex.encode("utf-8"), re.MULTILINE)
    except re.error as error:
        raise ModuleFailure("Invalid regular expression: %s" % error) from None


class Wait:
    """Looks again and again until its time is over or the controller wants to stop."""

    def __init__(self, change: Change, timeout: int, delay: int, sleep: int) -> None:
        self._change, self._sleep = change, sleep
        self._start = time.monotonic()
        self._end = self._start + timeout
        self.groups: List[Optional[str]] = []
        self.named_groups: Dict[str, Optional[str]] = {}
        self.rest(delay)

    @property
    def elapsed(self) -> int:
        return int(time.monotonic() - self._start)

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def until(self, condition: Any) -> bool:
        """Did it come about in time?"""
        while self.left > 0:
            if condition():
                return True
            self.rest(min(self._sleep, self.left))
        return False

    def found(self, match: Optional[Match[bytes]]) -> bool:
        """Keep what a pattern matched; did it?"""
        if match is not None:
            self.groups = [_text(group) for group in match.groups()]
            self.named_groups = {name: _text(group) for name, group in match.groupdict().items()}
        return match is not None

    def fail(self, message: str) -> None:
        raise ModuleFailure(message, elapsed=self.elapsed)

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, unless the controller wants to stop."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._change.stop_if_asked()
            time.sleep(max(0.0, min(0.5, end - time.monotonic())))


def _come(
    wait: Wait, host: str, port: Optional[int], path: Optional[str], pattern: Optional[Pattern[bytes]],
    connect_timeout: int, msg: Optional[str],
) -> None:  # fmt: skip
    """Wait for a file to be there or a port to be open, and for the text in it."""

    def has_come() -> bool:
        if path:
            return _file_is_there(path) if pattern is None else _file_says(wait, path, pattern)
        timeout = max(0.01, min(connect_timeout, wait.left))
        return (
            _accepts(host, port or 0, timeout)
            if pattern is None
            else _port_says(wait, host, port or 0, pattern, timeout)
        )

    if wait.until(has_come):
        return
    place = path or "%s:%s" % (host, port)
    if pattern is not None:
        what = "search string %s in %s" % (pattern.pattern.decode("utf-8"), place)
    else:
        what = "file %s" % path if path else place
    wait.fail(msg or "Timeout when waiting for " + what)


def _file_is_there(path: str) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ModuleFailure("Failed to stat %s, %s" % (path, error.strerror)) from None
    return True


def _file_says(wait: Wait, path: str, pattern: Pattern[bytes]) -> bool:
    try:
        with open(path, "rb") as file:
            try:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # a log may be larger than memory
                    return wait.found(pattern.search(content))
            except (ValueError, OSError):  # an empty file, or one of /proc
                return wait.found(pattern.search(file.read()))
    except OSError:
        return False


def _accepts(host: str, port: int, timeout: float) -> bool:
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return False
    return True


def _port_says(wait: Wait, host: str, port: int, pattern: Pattern[bytes], timeout: float) -> bool:
    said = b""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(max(0.01, wait.left))
            for heard in iter(lambda: connection.recv(65536), b""):
                said += heard
                if pattern.search(said):
                    break
    except OSError:
        pass  # not there yet, or silent for too long
    return wait.found(pattern.search(said))


def _text(group: Optional[bytes]) -> Optional[str]:
    return None if group is None else group.decode("utf-8", "replace")
