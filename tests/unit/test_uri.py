"""What data cannot say of uri: forms with files, UNIX sockets, certificates, files of the controller's."""

from __future__ import annotations

import base64
import email
import http.server
import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web_server import _Answers, web_server
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.uri import uri


@pytest.fixture
def change(tmp_path: Path) -> Change:
    return Change(View(), Journal("run", root=str(tmp_path / "state")))


@pytest.fixture
def server() -> Iterator[str]:
    with web_server() as address:
        yield address


def test_a_form_with_files_is_what_browsers_send(change: Change, server: str, tmp_path: Path) -> None:
    file = tmp_path / "model card.txt"
    file.write_bytes(b"a file of the host")
    fields: dict[str, Any] = {
        "plain": "text",
        "named": {"content": "{}", "filename": "x.json"},
        "typed": {"content": "x", "mime_type": "application/x"},
        "file": {"filename": str(file)},
        "sent": {"filename": "from/here.bin", "_content": {"base64": base64.b64encode(b"sent along").decode()}},
        "clear": {"filename": str(file), "multipart_encoding": "7or8bit"},
    }
    echo = uri(change, url=f"{server}/echo", method="POST", body_format="form-multipart", body=fields)["json"]
    message = email.message_from_string(f"Content-Type: {echo['Content-Type']}\n\n{echo['body']}")
    parts = {
        part.get_param("name", header="content-disposition"): (
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()  # type: ignore[union-attr]
    }
    assert parts == {
        "plain": (None, "text/plain", b"text"),
        "named": ("x.json", "application/json", b"{}"),
        "typed": (None, "application/x", b"x"),
        "file": ("model card.txt", "text/plain", b"a file of the host"),
        "sent": ("here.bin", "application/octet-stream", b"sent along"),
        "clear": ("model card.txt", "text/plain", b"a file of the host"),
    }


def test_a_form_that_is_no_mapping_is_refused(change: Change, server: str) -> None:
    with pytest.raises(ModuleFailure, match="body must be mapping, cannot be type list"):
        uri(change, url=f"{server}/echo", method="POST", body_format="form-multipart", body=["x"])


def test_a_file_that_the_controller_sent_is_the_body(change: Change, server: str) -> None:
    sent = {"base64": base64.b64encode(b"from the controller").decode()}
    result = uri(change, url=f"{server}/echo", method="PUT", src="body.txt", _content=sent)
    assert result["json"]["body"] == "from the controller"


def test_a_service_behind_a_unix_socket_is_asked(change: Change, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = socketserver.ThreadingUnixStreamServer(path, _Answers)
    server.server_name, server.server_port = "here", 0  # type: ignore[attr-defined]  # what http.server sets
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        result = uri(change, url="http://localhost/echo", unix_socket=path)
        assert result["status"] == 200 and result["json"]["method"] == "GET"
        with pytest.raises(ModuleFailure, match="No such file"):
            uri(change, url="http://localhost/", unix_socket=path + "-none")
        with pytest.raises(ModuleFailure, match="unix_socket goes with an http:// URL"):
            uri(change, url="https://localhost/", unix_socket=path)
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate of its own making: (its URL, the certificate)."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}", certificate
    server.shutdown()


def test_a_certificate_is_checked_unless_told_otherwise(change: Change, tls: tuple[str, Path]) -> None:
    url, certificate = tls
    with pytest.raises(ModuleFailure, match="Failed to validate the SSL certificate for localhost"):
        uri(change, url=f"{url}/text")
    assert uri(change, url=f"{url}/text", ca_path=str(certificate))["status"] == 200
    assert uri(change, url=f"{url}/text", validate_certs=False)["status"] == 200
    with pytest.raises(ModuleFailure, match="ca_path /none cannot be used"):
        uri(change, url=f"{url}/text", ca_path="/none")


def test_a_login_in_a_url_is_never_shown(change: Change, server: str) -> None:
    url = server.replace("//", "//me:secret@")
    result = uri(change, url=f"{url}/locked")
    assert result["url"] == server.replace("//", "//****:****@") + "/locked" or "secret" not in json.dumps(result)
    with pytest.raises(ModuleFailure) as failed:
        uri(change, url=f"{url}/missing")
    assert "secret" not in json.dumps(failed.value.result)


def test_a_body_that_is_no_text_needs_a_format(change: Change, server: str) -> None:
    with pytest.raises(ModuleFailure, match="body_format: json"):
        uri(change, url=f"{server}/echo", method="POST", body={"a": 1})
