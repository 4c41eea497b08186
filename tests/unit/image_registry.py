"""A small real registry on this machine, with images that a test makes up and the habits of real ones."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


class ImageRegistry:
    """repository -> what it has, by tag or digest. login: USER:PASSWORD that its token service wants, "" for nobody's.

    kind: "" (open), "bearer" or "basic". answers: path -> a status or bytes that are said instead. asked: paths.
    """

    def __init__(self, port: int, scheme: str) -> None:
        self.address, self.scheme = f"127.0.0.1:{port}", scheme
        self.content: dict[str, bytes] = {}
        self.answers: dict[str, int | bytes] = {}
        self.kind, self.login, self.realm = "", "", f"{scheme}://{self.address}/token"
        self.asked: list[str] = []

    def put(self, path: str, content: Any) -> dict[str, Any]:
        """Under its digest, and under `path` (REPOSITORY/manifests/TAG); its descriptor."""
        raw = json.dumps(content).encode()
        folder = path.rpartition("/")[0]
        self.content[path] = self.content[f"{folder}/{digest_of(raw)}"] = raw
        return {"mediaType": MANIFEST, "digest": digest_of(raw), "size": len(raw)}

    def image(self, name: str, machine: str = "amd64", **variables: str) -> dict[str, Any]:
        """An image for one platform as NAME:TAG; its descriptor."""
        repository, _, tag = name.partition(":")
        env = [f"{key}={value}" for key, value in variables.items()]
        config = self.put(f"{repository}/blobs/x", {"os": "linux", "architecture": machine, "config": {"Env": env}})
        return self.put(f"{repository}/manifests/{tag}", {"schemaVersion": 2, "config": config, "layers": []})

    def index(self, name: str, **images: dict[str, Any]) -> dict[str, Any]:
        """Descriptors by machine as one image, beside what Docker's builder adds of its own."""
        repository, _, tag = name.partition(":")
        told = [{**each, "platform": {"os": "linux", "architecture": machine}} for machine, each in images.items()]
        told.append({"digest": digest_of(b""), "platform": {"os": "unknown", "architecture": "unknown"}})
        return self.put(f"{repository}/manifests/{tag}", {"schemaVersion": 2, "mediaType": INDEX, "manifests": told})

    def challenge(self, header: str) -> str:
        """What it asks for, if it will not answer a request with this Authorization; "" if it will."""
        basic = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.kind == "bearer" and header != "Bearer a-token":
            return f'Bearer realm="{self.realm}",service="ours",scope="repository:team/model:pull"'
        return 'Basic realm="ours"' if self.kind == "basic" and header != basic else ""


@contextmanager
def image_registry(certificate: Path | None = None) -> Iterator[ImageRegistry]:
    """certificate: a file with key and certificate; without it, it speaks no TLS."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url, header = urlsplit(self.path), self.headers.get("Authorization", "")
            registry.asked.append(url.path)
            if url.path == "/token":
                self.token(parse_qs(url.query), header)
                return
            path = url.path.removeprefix("/v2/")
            answer = registry.answers.get(path, registry.content.get(path, 404))
            if challenge := registry.challenge(header):
                self.say(401, b"", **{"WWW-Authenticate": challenge})
            elif isinstance(answer, int):
                self.say(answer, b"{}")
            else:
                self.say(200, answer)

        def token(self, query: dict[str, list[str]], header: str) -> None:
            wanted = "Basic " + base64.b64encode(registry.login.encode()).decode() if registry.login else ""
            if header != wanted or query != {"service": ["ours"], "scope": ["repository:team/model:pull"]}:
                self.say(401, b"")
            else:
                self.say(200, b'{"token": "a-token"}')

        def say(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that goes because it does not trust us is no news."""

    server = Server(("127.0.0.1", 0), Answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry = ImageRegistry(server.server_address[1], "https" if certificate else "http")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
