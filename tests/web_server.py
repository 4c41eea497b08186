"""A real web server with the habits of real ones, for modules that download."""

from __future__ import annotations

import base64
import gzip
import hashlib
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

    def say(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
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
