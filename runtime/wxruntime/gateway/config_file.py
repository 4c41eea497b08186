"""The gateway's file read and judged: what each key may be, and what only several of them together can tell."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Protocol

from wxruntime.document import Document, Place, unknown
from wxruntime.gateway.admin_socket import LONGEST_PATH
from wxruntime.gateway.config import TLS, Admin, Config, Replica, Section, UpstreamTLS
from wxruntime.gateway.tls import TLSError, client_context, edge_context, server_context


def read(path: Path) -> Config:
    """The settings in `path`; a DocumentError with every mistake otherwise."""
    document = Document(path)
    config = document.into(Config)
    _judge(document, config)
    document.done()
    return config


def check(path: Path) -> str:
    """For `wxruntime check`: a sentence about a good file, a DocumentError about a bad one."""
    config = read(path)
    clients, models = len(config.clients), len(config.models)
    return f"{path}: a gateway for {models} model(s) and {clients} client(s)"


def _judge(document: Document, config: Config) -> None:
    """What no single key can tell: names that are there twice, what is named and not there, files that are missing."""
    listen = config.listen
    if listen.tls:
        _judge_tls(document, listen.tls, ("listen", "tls"))
    if config.center is None and any(client.certificates for client in config.clients):
        if not listen.tls:
            document.mistake(("listen",), "clients are known by certificate, so 'tls' is needed here")
        elif listen.tls.client_certificate == "none":
            message = "clients are known by certificate, so this should be required or optional"
            document.mistake(("listen", "tls", "client_certificate"), message)
    if listen.admin:
        _judge_admin(document, listen.admin)
    _judge_ports(document, config)
    _judge_extras(document, config)
    if config.center is not None:
        _judge_tls(document, config.center.tls, ("center", "tls"))
        if config.center.tls.client_certificate != "required":
            document.mistake(("center", "tls"), "edges are known by certificate: 'client_certificate: required'")
    if config.edge is not None and _judge_files(document, config.edge.tls, ("edge", "tls")):
        try:
            edge_context(config.edge.tls)
        except TLSError as error:
            document.mistake(("edge", "tls", error.key), f"{error.key}: {error}")
    _judge_engines(document, config)
    known: dict[str, int] = {}
    for index, model in enumerate(config.models):
        for name in (model.name, *model.aliases):
            if name in known:
                document.mistake(("models", index), f"the name {name!r} is that of models[{known[name]}], too")
            known[name] = index
    for at, wanted in enumerate(config.edge.policy.models if config.edge is not None else ()):
        if wanted not in known:  # nobody could ask for it, and the edge could not answer for it alone
            message = f"{unknown(wanted, list(known))}; make it an alias of the model that answers without the center"
            document.mistake(("edge", "policy", "models", at), message)
    names: set[str] = set()
    for index, client in enumerate(config.clients):
        place = ("clients", index)
        if client.name in names:
            document.mistake((*place, "name"), f"the client {client.name!r} is here twice")
        names.add(client.name)
        if not (client.certificates or client.api_keys or client.networks):
            document.mistake(place, "by what is this client known? Give 'certificates', 'api_keys' or 'networks'")
        for at, certificate in enumerate(client.certificates):
            if certificate.subject is None and certificate.san is None:
                document.mistake((*place, "certificates", at), "give 'subject', 'san' or both")
        for at, wanted in enumerate(client.models):
            if wanted != "*" and wanted not in known:
                document.mistake((*place, "models", at), unknown(wanted, list(known)))


def _judge_admin(document: Document, admin: Admin) -> None:
    place = ("listen", "admin")
    if len(os.fsencode(admin.socket)) > LONGEST_PATH:
        document.mistake((*place, "socket"), f"a socket's path has at most {LONGEST_PATH} bytes")
    for key, path in (("socket", admin.socket), ("state", admin.state)):
        if path is not None and not os.access(path.absolute().parent, os.W_OK):
            document.mistake((*place, key), f"{path.absolute().parent} is no directory to write in")


def _judge_ports(document: Document, config: Config) -> None:
    """Two listeners on one port would end the start."""
    listen, center = config.listen, config.center
    taken = [("listen", listen.address, listen.port)]
    for place, other in ((("listen", "probes"), listen.probes), (("center",), center)):
        if other is None or other.port == 0:
            continue
        for name, address, port in taken:
            if port == other.port and (address == other.address or {address, other.address} & {"0.0.0.0", "::"}):
                document.mistake((*place, "port"), f"{port} is the port of {name!r}, too")
        taken.append((".".join(place), other.address, other.port))


def _judge_extras(document: Document, config: Config) -> None:
    """What needs a package that a gateway may do without, or a place to write."""
    shared = config.cache is not None and config.cache.shared is not None
    for place, wanted, package, extra in (
        (("cache", "shared"), shared, "redis", "redis"),
        (("tracing",), config.tracing is not None, "opentelemetry", "tracing"),
        (("edge",), config.edge is not None, "grpclib", "edge"),
        (("center",), config.center is not None, "grpclib", "edge"),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            document.mistake(place, f"needs the package {package}: pip install 'wxruntime[{extra}]'")
    if config.cache is not None and config.cache.shared is not None:
        place = ("cache", "shared")
        _judge_secret(document, config.cache.shared.password_file, (*place, "password_file"))
        _judge_client(document, config.cache.shared.tls, (*place, "tls"))
    if config.audit is not None and not os.access(config.audit.file.absolute().parent, os.W_OK):
        document.mistake(("audit", "file"), f"{config.audit.file.absolute().parent} is no directory to write in")


class Judged(Protocol):
    """What notes mistakes: a document, with their lines, or a request's body, without."""

    def mistake(self, place: Place, message: str) -> None: ...


def _judge_engines(document: Document, config: Config) -> None:
    """Keys and certificates for engines."""
    for at, model in enumerate(config.models):
        for kind, replicas in (("replicas", model.replicas), ("emergency", model.emergency)):
            for index, replica in enumerate(replicas):
                judge_replica(document, replica, ("models", at, kind, index))


def faults_of_engines(config: Config) -> list[str]:
    """What the keys and certificates for engines have wrong as they are now, where there are no lines to name."""
    told = _Told()
    for model in config.models:
        for each in (*model.replicas, *model.emergency):
            judge_replica(told, each, ())
    return told.mistakes


class _Told:
    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def mistake(self, place: Place, message: str) -> None:
        self.mistakes.append(message)


def judge_replica(document: Judged, replica: Replica, place: Place) -> None:
    """What an engine's key and certificates have wrong."""
    _judge_secret(document, replica.api_key_file, (*place, "api_key_file"))
    _judge_client(document, replica.tls, (*place, "tls"))


def _judge_secret(document: Judged, path: Path | None, place: Place) -> None:
    """A file with one word in it: more than that would not stay within a header."""
    if path is None:
        return
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        document.mistake(place, f"there is no file {path}")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        document.mistake(place, f"{path} cannot be read: {reason}")
    else:
        if not text or not text.isprintable():
            document.mistake(place, f"{path} should hold one line")


def _judge_client(document: Judged, tls: UpstreamTLS | None, place: Place) -> None:
    if tls is None:
        return
    try:
        client_context(tls)
    except TLSError as error:
        document.mistake((*place, error.key), f"{error.key}: {error}")


def _judge_tls(document: Document, tls: TLS, place: Place) -> None:
    if tls.client_certificate != "none" and tls.client_ca is None:
        document.mistake(place, "client certificates need 'client_ca', the authority that signs them")
    if tls.crl is not None and tls.client_ca is None:
        document.mistake((*place, "crl"), "a list of revoked certificates needs 'client_ca'")
    if _judge_files(document, tls, place):
        try:
            server_context(tls)
        except TLSError as error:
            document.mistake((*place, error.key), f"{error.key}: {error}")


def _judge_files(document: Document, section: Section, place: Place) -> bool:
    """Whether all files that a section names are there."""
    fine = True
    for key in type(section).model_fields:
        path = getattr(section, key)
        if isinstance(path, Path) and not path.is_file():
            fine = False
            document.mistake((*place, key), f"there is no file {path}")
    return fine
