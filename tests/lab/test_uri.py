"""uri and wait_for through the engine: the host asks, with files of the controller's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.module_case import ManagedHost

SERVER = Path(__file__).parents[1] / "web_server.py"
START = """
cat >/root/web_server.py
systemd-run --quiet --unit=web-server python3 -c '
import sys; sys.path.insert(0, "/root")
from http.server import ThreadingHTTPServer
from web_server import _Answers
ThreadingHTTPServer(("127.0.0.1", 8099), _Answers).serve_forever()'
"""


@pytest.fixture
def served(managed: ManagedHost) -> Iterator[ManagedHost]:
    """A host on which the tests' web server runs, at port 8099."""
    managed.host.ssh(START, text=SERVER.read_text())
    yield managed
    managed.host.ssh("systemctl stop web-server; rm -r /root/web_server.py /root/__pycache__", check=False)


def test_the_host_asks_and_the_controller_sends_files(served: ManagedHost) -> None:
    (served.folder / "files" / "body.txt").write_text("from the controller")
    (served.folder / "files" / "large.bin").write_bytes(b"x" * 300_000)
    played = served.play("""
      - wait_for: {port: 8099, timeout: 10}
      - uri: {url: "http://127.0.0.1:8099/echo", method: POST, src: body.txt}
        register: sent
      - uri:
          url: http://127.0.0.1:8099/echo
          method: POST
          body_format: form-multipart
          body: {file: {filename: large.bin, multipart_encoding: 7or8bit}}
        register: form
      - uri: {url: "http://127.0.0.1:8099/text", dest: /root/fetched, mode: "0600"}
      - assert:
          that:
            - sent.json.body == "from the controller"
            - form.json.body | length > 300000
            - not sent.changed
      - uri: {url: "http://docker/_ping", unix_socket: /var/run/docker.sock, return_content: true}
        register: ping
        failed_when: ping.content != "OK"
    """)
    assert played.exit_code == 0, played.told()
    assert played.statuses == ["ok", "ok", "ok", "changed", "ok", "ok"]
    served.rollback(played.run)
    assert served.host.ssh("ls /root/fetched", check=False).returncode != 0


def test_check_mode_asks_nothing_and_says_so(managed: ManagedHost) -> None:
    played = managed.play(
        """
      - uri: {url: "http://127.0.0.1:1/"}
      - wait_for: {port: 1, timeout: 60}
    """,
        check=True,
    )
    assert played.statuses == ["skipped", "skipped"]
