"""Docker's SDK over a host's UNIX socket, through the link that is there already: never a TCP socket, never a port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import docker
import requests.adapters
import urllib3.connection
import urllib3.connectionpool
from docker.transport.basehttpadapter import BaseHTTPAdapter

if TYPE_CHECKING:
    from wxops.transport.tunnel import UnixSocket

SOCKET = "/var/run/docker.sock"
TIMEOUT_S = 60

Open = Callable[[str], "UnixSocket"]
"""Opens a UNIX socket of a host by its path, as `Call.socket` does."""


class TunnelledClient(docker.DockerClient):
    """The SDK's client of a host's engine."""

    def __init__(self, open_socket: Open, version: str | None = None, timeout: int = TIMEOUT_S) -> None:
        """version: of the engine's API; when it is not given the engine is asked, which costs a round trip."""
        self.api = TunnelledAPIClient(open_socket, version, timeout)


class TunnelledAPIClient(docker.APIClient):
    """The SDK's low-level client; its requests go through the tunnel."""

    def __init__(self, open_socket: Open, version: str | None, timeout: int) -> None:
        super().__init__(base_url=f"unix://{SOCKET}", version=version or "1.41", timeout=timeout)
        self.trust_env = False  # a proxy of the controller's is no way to a host's socket
        self.adapters.clear()
        self.mount("http+docker://", TunnelAdapter(open_socket, timeout))
        if version is None:
            self._version = self.version(api_version=False)["ApiVersion"]


class TunnelAdapter(BaseHTTPAdapter):
    """Gives requests a pool whose connections are tunnelled sockets."""

    def __init__(self, open_socket: Open, timeout: int) -> None:
        self._pool = TunnelPool(open_socket, timeout)
        super().__init__()

    def get_connection(self, url: str | bytes, proxies: Any = None) -> TunnelPool:
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return request.path_url

    def close(self) -> None:
        super().close()
        self._pool.close()


class TunnelPool(urllib3.connectionpool.HTTPConnectionPool):
    """Connections kept for the next request, as urllib3 does."""

    def __init__(self, open_socket: Open, timeout: int) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=4)
        self._open_socket = open_socket

    def _new_conn(self) -> TunnelConnection:
        return TunnelConnection(self._open_socket)


class TunnelConnection(urllib3.connection.HTTPConnection):
    """An HTTP connection whose socket is a host's."""

    def __init__(self, open_socket: Open) -> None:
        super().__init__("localhost")
        self._open_socket = open_socket

    def connect(self) -> None:
        self.sock = self._open_socket(SOCKET)
        self.sock.settimeout(self.timeout if isinstance(self.timeout, (int, float)) else None)
