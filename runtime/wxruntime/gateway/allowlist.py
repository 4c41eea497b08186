"""Who may ask: clients known by certificate, API key and network. Whoever is not on the list gets nothing."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any

from wxruntime.gateway import config
from wxruntime.gateway.subject import written

SAN_KIND = {"DNS": "DNS", "URI": "URI", "IP Address": "IP", "email": "email"}


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: address, and the certificate that it has shown and TLS has verified."""

    address: str
    subject: str = ""  # RFC 4514, as CN=shop,O=Example: the most particular name first
    sans: frozenset[str] = frozenset()  # as DNS:shop.example


def peer(address: str, certificate: dict[str, Any] | None) -> Peer:
    """From what Python's ssl tells of a verified certificate. An IPv4 address stays one on a socket of both kinds."""
    if "." in address:
        address = address.removeprefix("::ffff:")
    if not certificate:
        return Peer(address)
    sans = (f"{SAN_KIND[kind]}:{name}" for kind, name in certificate.get("subjectAltName", ()) if kind in SAN_KIND)
    return Peer(address, written(certificate.get("subject", ())), frozenset(sans))


class Guest:
    """A client on the list, ready to be asked about."""

    def __init__(self, settings: config.Client) -> None:
        self.settings = settings
        self.name = settings.name
        self.priority = settings.priority
        self.allow = frozenset(settings.allow)
        self._networks = [ipaddress.ip_network(each) for each in settings.networks]
        self._certificates = [(each.subject, each.san) for each in settings.certificates]
        self._keys = frozenset(bytes.fromhex(each.removeprefix("sha256:")) for each in settings.api_keys)
        self._models = frozenset(settings.models)

    def may_use(self, model: str, alias: str) -> bool:
        return "*" in self._models or model in self._models or alias in self._models

    def is_it(self, peer: Peer, key: bytes | None) -> bool:
        """Whether all that this client is known by is so: each kind that its entry names must match."""
        if self._keys and key not in self._keys:
            return False
        if self._certificates and not any(
            (subject is None or subject == peer.subject) and (san is None or san in peer.sans)
            for subject, san in self._certificates
        ):
            return False
        if self._networks:
            address = ipaddress.ip_address(peer.address)
            return any(address in network for network in self._networks)
        return True


class Allowlist:
    """All clients. Asked on every request, so a reload holds from the next one on."""

    def __init__(self, clients: list[config.Client]) -> None:
        # A network alone says least: one that is also known by key or certificate is asked about first.
        clients = sorted(clients, key=lambda client: not (client.certificates or client.api_keys))
        self._guests = [Guest(client) for client in clients]

    def find(self, peer: Peer, authorization: bytes | None) -> Guest | None:
        """The first client on the list that this is, those known by a network alone last."""
        key = None
        if authorization is not None:
            kind, _, secret = authorization.partition(b" ")
            if kind.lower() == b"bearer":
                key = hashlib.sha256(secret.strip()).digest()
        for guest in self._guests:
            if guest.is_it(peer, key):
                return guest
        return None
