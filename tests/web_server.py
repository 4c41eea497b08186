"""A real web server with the habits of real ones, for modules that download."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = b"hello\n"
LARGE = bytes(range(256)) * 4096
WRITTEN = 978307200  # 2001-01-01
SUMS = f"{hashlib.sha256(b'other').hexdigest()}  other\n{hashlib.sha256(TEXT).hexdigest()} *text\n"
LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = getattr(self, "on_" + self.path.strip("/").replace(".", "_"), None)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def on_text(self) -> None:
        since = self.headers.get("If-Modified-Since")
        if since and parsedate_to_datetime(since).timestamp() >= WRITTEN:
            self.send_response(304)
            self.end_headers()
            return
        self.say(TEXT, **{"Last-Modified": formatdate(WRITTEN, usegmt=True)})

    def on_large(self) -> None:
        self.say(LARGE)

    def on_named(self) -> None:
        self.say(TEXT, **{"Content-Disposition": 'attachment; filename="../../given.txt"'})

    def on_sums(self) -> None:
        self.say(SUMS.encode())

    def on_one_sum(self) -> None:
        self.say(hashlib.sha256(TEXT).hexdigest().encode())

    def on_packed(self) -> None:
        self.say(gzip.compress(TEXT), **{"Content-Encoding": "gzip"})

    def on_archive(self) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("hello")
            member.size, member.mtime = len(TEXT), WRITTEN
            archive.addfile(member, io.BytesIO(TEXT))
        self.say(packed.getvalue())

    def on_short(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(TEXT)

    def on_locked(self) -> None:
        if self.headers.get("Authorization") == LOGIN:
            self.say(TEXT)
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.end_headers()

    def on_locked_silently(self) -> None:
        self.say(TEXT) if self.headers.get("Authorization") == LOGIN else self.send_error(403)

    def on_away(self) -> None:
        """To the same server under another name, which is another host."""
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/heard")
        self.end_headers()

    def on_heard(self) -> None:
        names = ("X-Told", "X-Kept", "Authorization", "User-Agent")
        self.say("".join(f"{name}: {self.headers.get(name)}\n" for name in names).encode())

    def on_echo(self) -> None:
        """What was asked, as JSON."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        heard = {name: self.headers.get(name) for name in ("Content-Type", "X-Told", "User-Agent", "Authorization")}
        text = json.dumps({"method": self.command, "body": body, **{k: v for k, v in heard.items() if v is not None}})
        self.say(text.encode(), **{"Content-Type": "application/json"})

    def on_moved(self) -> None:
        self.go("301", "/echo")

    def on_found(self) -> None:
        self.go("302", "/echo")

    def on_see_other(self) -> None:
        self.go("303", "/echo")

    def on_repeat(self) -> None:
        self.go("307", "/echo")

    def go(self, status: str, where: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(int(status))
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def on_problem(self) -> None:
        self.say(b'{"title": "no"}', 422, **{"Content-Type": "application/problem+json; charset=utf-8"})

    def on_no_json(self) -> None:
        self.say(b"{", **{"Content-Type": "application/json"})

    def on_latin(self) -> None:
        self.say("caf\u00e9".encode("latin-1"), **{"Content-Type": "text/plain; charset=latin-1"})

    def on_cookies(self) -> None:
        self.send_response(200)
        for text in ("a=1", "b=2; Path=/"):
            self.send_header("Set-Cookie", text)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def on_impostor(self) -> None:
        """Headers that would be a task's own words."""
        self.say(TEXT, **{"Failed": "1", "Skipped": "1", "Changed": "1", "Msg": "no", "Status": "500"})

    def on_nothing(self) -> None:
        self.send_response(204)
        self.end_headers()

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def web_server() -> Iterator[str]:
    """A server on a free port; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
