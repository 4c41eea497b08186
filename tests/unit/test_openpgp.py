"""OpenPGP keys without gpg, held against gpg."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from wxops.agent.debian.openpgp import NotAKey, armored, dearmored, keys_in
from wxops.agent.debian.ppa import signing_key
from wxops.agent.failure import ModuleFailure
from wxops.agent.web import Web


class Keys(NamedTuple):
    """Made by gpg: the keyring, the same armored, what gpg says of it, and one key alone."""

    binary: bytes
    armored: bytes
    ids: list[str]
    fingerprints: list[str]
    first: bytes


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]

    def run(*words: str) -> bytes:
        return subprocess.run([*base, *words], check=True, capture_output=True).stdout

    try:
        run("--quick-generate-key", "First <first@example.com>", "ed25519", "sign", "never")
        run("--quick-generate-key", "Second <second@example.com>", "rsa2048", "default", "1d")
        listed = run("--with-colons", "--list-keys").decode()
        records = [line.split(":") for line in listed.splitlines()]
        yield Keys(
            run("--export"), run("--armor", "--export"), [r[4] for r in records if r[0] in ("pub", "sub")],
            [r[9] for r in records if r[0] == "fpr"], run("--export", "First"),
        )  # fmt: skip
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_keys_are_told_as_gpg_tells_them(gpg: Keys) -> None:
    keys = keys_in(gpg.binary)
    assert [found for key in keys for found in key.ids()] == gpg.ids
    assert {key.fingerprint for key in keys} <= set(gpg.fingerprints) and len(keys) == 2
    assert b"".join(key.data for key in keys) == gpg.binary


def test_armor_is_put_on_and_taken_off(gpg: Keys) -> None:
    assert dearmored(gpg.armored) == gpg.binary
    assert armored(gpg.binary).split() == gpg.armored.split()
    assert dearmored(armored(gpg.first) * 2) == gpg.first * 2


def test_a_key_expires(gpg: Keys) -> None:
    first, second = keys_in(gpg.binary)
    far = 4_000_000_000.0
    assert first.ids(far) == first.ids()
    assert second.ids() and second.ids(far) == [found for found in second.ids() if found != second.fingerprint[-16:]]


@pytest.mark.parametrize("damage", ["cut", "letter", "words"])
def test_what_is_no_key_says_why(damage: str, gpg: Keys) -> None:
    text = gpg.armored.replace(b"\n\nm", b"\n\nn", 1)
    data = {"cut": gpg.binary[:-3], "letter": text, "words": b"<html>no such page</html>"}[damage]
    with pytest.raises(NotAKey, match={"cut": "cut short", "letter": "damaged", "words": "no OpenPGP data"}[damage]):
        keys_in(data)


@contextmanager
def launchpad(fingerprint: str, key: bytes) -> Iterator[str]:
    """A server that answers as Launchpad and the keyserver do."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"signing_key_fingerprint": fingerprint}).encode() if "+archive" in self.path else key
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_a_ppas_key_is_the_one_that_launchpad_names(gpg: Keys) -> None:
    fingerprint = keys_in(gpg.first)[0].fingerprint
    with launchpad(fingerprint, armored(gpg.first)) as url:
        assert keys_in(signing_key("me", "ppa", Web(), url, url))[0].fingerprint == fingerprint


def test_another_key_than_that_is_refused(gpg: Keys) -> None:
    with launchpad("0" * 40, armored(gpg.first)) as url, pytest.raises(ModuleFailure, match="does not have the key"):
        signing_key("me", "ppa", Web(), url, url)
