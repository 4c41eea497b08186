"""Host keys on a real SSH connection over a socketpair: what is known, revoked, recorded."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import paramiko
import pytest

from wxops.errors import HostUnreachable
from wxops.transport import host_keys


class Server(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL


KEY = paramiko.ECDSAKey.generate()


def connect(known: Path, accept_new: bool = False, key: paramiko.PKey = KEY) -> None:
    """Log in to a server that shows `key`, as SSHSession does."""
    ours, theirs = socket.socketpair()
    transport = paramiko.Transport(theirs)
    transport.add_server_key(key)

    def serve() -> None:
        with contextlib.suppress(paramiko.SSHException, EOFError):  # a client that refuses our key hangs up
            transport.start_server(server=Server())

    threading.Thread(target=serve, daemon=True).start()
    client = paramiko.SSHClient()
    try:
        revoked = host_keys.load(client, [known], "gpu1", 22)
        client.set_missing_host_key_policy(host_keys.HostKeyPolicy(known, accept_new, revoked))
        client.connect("gpu1", username="root", password="x", sock=ours, allow_agent=False, look_for_keys=False)
    finally:
        client.close()
        transport.close()


def line(names: str = "gpu1", key: paramiko.PKey = KEY) -> str:
    return f"{names} {key.get_name()} {key.get_base64()}\n"


def test_a_known_key_is_taken_also_when_its_name_is_hashed(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(line(paramiko.HostKeys.hash_host("gpu1")))
    connect(known)


def test_an_unknown_key_is_refused_and_recorded_only_when_asked(tmp_path: Path) -> None:
    known = tmp_path / "ssh" / "known_hosts"
    with pytest.raises(HostUnreachable, match="is not known"):
        connect(known)
    assert not known.exists()
    connect(known, accept_new=True)
    assert known.read_text() == line() and known.stat().st_mode & 0o777 == 0o600
    connect(known)


def test_a_record_does_not_run_into_a_line_without_an_end(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(line("other").strip())
    connect(known, accept_new=True)
    assert known.read_text() == line("other") + line()


@pytest.mark.parametrize("accept_new", [False, True])
@pytest.mark.parametrize("name", ["*", "gpu1", "another"])
def test_a_revoked_key_is_refused_even_if_it_is_known_too(tmp_path: Path, name: str, accept_new: bool) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(line() + "@revoked " + line(name))
    before = known.read_text()
    with pytest.raises(HostUnreachable, match="REVOKED"):
        connect(known, accept_new)
    assert known.read_text() == before


def test_a_certificate_authority_vouches_for_nobody_here(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("@cert-authority " + line("*"))
    with pytest.raises(HostUnreachable, match="is not known"):
        connect(known)


def test_a_damaged_line_spoils_no_other(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("# a comment\n\nhalf a\ngpu1 ssh-rsa AAAA!\n" + line())
    connect(known)


def test_another_kind_of_key_than_the_known_one_is_no_new_host(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(line(key=paramiko.RSAKey.generate(2048)))
    with pytest.raises(paramiko.BadHostKeyException):
        connect(known, accept_new=True)


def test_known_hosts_are_read_once_for_all_hosts_and_anew_when_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else 500 hosts would cost 250 000 keys taken apart."""
    read: list[str] = []
    from_line = host_keys.HostKeyEntry.from_line
    monkeypatch.setattr(host_keys.HostKeyEntry, "from_line", lambda line: read.append(line) or from_line(line))
    known = tmp_path / "known_hosts"
    lines = [line(f"fresh{number}") for number in range(20)]
    known.write_text("".join(lines))
    for _ in range(20):
        host_keys.load(paramiko.SSHClient(), [known], "fresh1", 22)
    assert len(read) == 20
    known.write_text("".join(lines) + line("another-fresh-one"))
    client = paramiko.SSHClient()
    host_keys.load(client, [known], "another-fresh-one", 22)
    assert len(read) == 21 and "another-fresh-one" in client.get_host_keys()


def test_a_host_is_looked_for_by_its_own_name_and_port_and_among_hashed_ones(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    hashed = paramiko.HostKeys.hash_host("gpu1")
    known.write_text(line("gpu1,10.0.0.1") + line("[gpu1]:2201") + line(hashed) + line("gpu2"))

    def names(host: str, port: int) -> list[list[str]]:
        client = paramiko.SSHClient()
        host_keys.load(client, [known], host, port)
        return [entry.hostnames for entry in client.get_host_keys()._entries]  # type: ignore[attr-defined]

    assert names("gpu1", 22) == [["gpu1", "10.0.0.1"], [hashed]]
    assert names("gpu1", 2201) == [["[gpu1]:2201"], [hashed]]
