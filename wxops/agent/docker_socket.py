"""Docker's HTTP API over the host's own UNIX socket, with the standard library: containers are changed through here.

So the inverse of a change needs nothing but this host: no SDK, no controller.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from wxops.agent.failure import ModuleFailure
from wxops.agent.unix_http import UnixConnection

if TYPE_CHECKING:
    from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Union

    from wxops.agent.change import View

    Headers = Optional[Dict[str, str]]
    Body = Union[bytes, BinaryIO, None]

SOCKET = "/var/run/docker.sock"
NEWEST_SPOKEN = (1, 44)
"""Docker 25's API, which engines up to 29 and later still answer; the shapes of its answers are those read here."""
SILENCE_S = 600.0  # a large layer is unpacked without a word


REMEDIES = {
    "could not select device driver": "it knows no GPUs: install nvidia-container-toolkit, then run "
    "`nvidia-ctk runtime configure` and restart docker",
    "port is already allocated": "another container has that port: see `docker ps`",
    "address already in use": "something else listens on that port: see `ss -ltnp`",
    "manifest unknown": "the registry has no such tag or digest",
    "no basic auth credentials": "the registry wants registry_username and registry_password",
}
"""What to do about what the engine says."""


class DockerError(ModuleFailure):
    """The engine refused. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        remedy = next((" (%s)" % fix for said, fix in REMEDIES.items() if said in message), "")
        super().__init__("Docker: " + message + remedy, status=status)
        self.status = status


class Docker:
    """The engine of this host. A request that it refuses raises DockerError."""

    def __init__(self) -> None:
        self._path = SOCKET
        self._version = ""

    def answers(self) -> bool:
        """Is somebody there? A socket's file may outlive its engine."""
        connection = UnixConnection(self._path, SILENCE_S)
        try:
            connection.connect()
        except OSError:
            return False
        connection.close()
        return True

    @property
    def version(self) -> str:
        """The API version that both sides speak."""
        if not self._version:
            answer = self._send("GET", "/_ping", None, None)
            offered = answer.headers.get("Api-Version") or "1.41"
            answer.read()
            self._version = "%d.%d" % min(NEWEST_SPOKEN, tuple(int(part) for part in offered.split(".")[:2]))
        return self._version

    def get(self, path: str, **query: Any) -> Any:
        """What the engine knows; None when it knows no such thing."""
        try:
            return self.request("GET", path, query)
        except DockerError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.request("POST", path, query, body)

    def delete(self, path: str, **query: Any) -> Any:
        return self.request("DELETE", path, query)

    def request(self, method: str, path: str, query: Dict[str, Any], body: Any = None, headers: Headers = None) -> Any:
        """One request with a JSON body, if any; the answer's JSON, None when it has none."""
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        text = self._open(method, path, query, None if body is None else json.dumps(body).encode(), sent).read()
        return json.loads(text.decode("utf-8")) if text.strip() else None

    def stream(
        self, path: str, query: Dict[str, Any], headers: Headers = None, body: Body = None
    ) -> Iterator[Dict[str, Any]]:
        """The messages of a long POST (pull, load, push), as they come. One that tells of an error raises it."""
        for line in self._open("POST", path, query, body, headers):
            message = json.loads(line.decode("utf-8"))
            if "error" in message:
                raise DockerError(500, message["error"])
            yield message

    def download(self, path: str) -> http.client.HTTPResponse:
        """A GET whose answer is read as a file."""
        return self._open("GET", path, {}, None, None)

    def _open(
        self, method: str, path: str, query: Dict[str, Any], body: Body, headers: Headers
    ) -> http.client.HTTPResponse:
        text = urlencode([(key, _query_value(value)) for key, value in query.items() if value is not None])
        target = "/v%s%s%s" % (self.version, quote(path, safe="/:@"), "?" + text if text else "")
        answer = self._send(method, target, body, headers)
        if answer.status >= 400:
            raise DockerError(answer.status, _explanation(answer))
        return answer

    def _send(self, method: str, target: str, body: Body, headers: Headers) -> http.client.HTTPResponse:
        connection = UnixConnection(self._path, SILENCE_S)
        try:
            connection.connect()
        except OSError as error:
            raise ModuleFailure(
                "Docker does not answer at %s (%s): is the engine installed, and does it run? "
                "Look at: systemctl status docker" % (self._path, error.strerror)
            ) from None
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}, Connection="close"))
            return connection.getresponse()
        except socket.timeout:
            raise ModuleFailure(
                "Docker was silent for %d minutes; it was asked: %s" % (SILENCE_S // 60, target)
            ) from None
        except http.client.HTTPException as error:
            raise ModuleFailure("Docker broke off its answer to %s: %r" % (target, error)) from None


def docker_on(view: View) -> Optional[Docker]:
    """The engine; None when it is not there yet and earlier tasks of this check would have brought something."""
    docker = Docker()
    coming = view.pending("package") or view.pending("service")
    return None if coming and not docker.answers() else docker


def pull_progress(messages: Iterator[Dict[str, Any]], output: Optional[Callable[[int, bytes], None]]) -> List[str]:
    """Read a pull, push or load to its end and show each layer's steps once; its closing lines."""
    closing, shown = [], set()
    for message in messages:
        text = message.get("status") or (message.get("stream") or "").strip()
        line = "%s: %s" % (message["id"], text) if message.get("id") else text
        if not message.get("id") and text:
            closing.append(text)
        if output is not None and line and line not in shown:
            shown.add(line)
            output(1, line.encode("utf-8") + b"\n")
    return closing


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _explanation(answer: http.client.HTTPResponse) -> str:
    text = answer.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or answer.reason
