"""The admin interface: replicas are listed, added, drained and removed, over a Unix socket and nowhere else.

    GET    /admin/replicas
    POST   /admin/replicas         {"model", "url", and what else a replica has in the file}
    POST   /admin/replicas/drain   {"model", "url", "force"}
    DELETE /admin/replicas         {"model", "url", "force"}

Each can be said twice: what is so already is answered with 200. No client of models reaches it: it is on no port.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
from pydantic import ValidationError

from wxruntime.document import said
from wxruntime.gateway import config, roster
from wxruntime.gateway.admin_socket import name_of, who
from wxruntime.gateway.allowlist import Peer
from wxruntime.gateway.app import Gateway
from wxruntime.gateway.config_file import faults_of_engines
from wxruntime.gateway.exchange import JSON, Answer, Refusal
from wxruntime.gateway.files import named
from wxruntime.gateway.replica import Replica
from wxruntime.gateway.request import Request
from wxruntime.gateway.roster import Rosters
from wxruntime.gateway.roster_file import RosterFileError

Kind = TypeVar("Kind", bound=config.Section)

REPLICAS, DRAIN = b"/admin/replicas", b"/admin/replicas/drain"
ROUTES = {(b"GET", REPLICAS), (b"POST", REPLICAS), (b"DELETE", REPLICAS), (b"POST", DRAIN)}


class Administered(Protocol):
    """What holds the configuration in force."""

    gateway: Gateway
    written: config.Config
    rosters: Rosters

    changing: asyncio.Lock
    """Held while one change is judged, kept and taken up."""

    async def take_up(self, rosters: Rosters) -> None:
        """Keep it and let it hold, at once and for all calls. Raises RosterFileError, and nothing has changed."""


class _Named(config.Section):
    """Which replica. force: also when no other one takes calls."""

    model: str
    url: config.URL
    force: bool = False


@dataclass(frozen=True)
class _User:
    """uid: None of one who has left."""

    name: str
    uid: int | None


class Admin:
    """Answers what the admin socket is asked."""

    def __init__(self, server: Administered) -> None:
        self._server = server

    # -- request.Handler

    def admit(self, request: Request) -> None:
        """Who could connect may ask: the socket's owner, root, and its group."""
        if request.path not in (REPLICAS, DRAIN):
            raise Refusal(404, "no_such_path", f"there is no {request.path.decode('latin-1')!r} here")
        if (request.method, request.path) not in ROUTES:
            allowed = ", ".join(sorted(method.decode() for method, path in ROUTES if path == request.path))
            raise Refusal(405, "method", f"{request.path.decode()} takes {allowed}")

    def refused(self, request: Request | None, refusal: Refusal, peer: Peer) -> None:
        uid = _uid(request) if request is not None else None
        self._server.gateway.observers.refused(refusal, f"admin: uid {uid}", "")

    async def handle(self, request: Request) -> None:
        try:
            answer = await asyncio.shield(self._answer(request))  # what is begun is ended, also if who asked has left
        except RosterFileError as error:
            answer = Refusal(500, "not_kept", f"nothing was changed: {error}").answer()
        except Refusal as refusal:
            self.refused(request, refusal, request.connection.peer)
            answer = refusal.answer()
        await request.send(answer)

    # -- what is asked

    async def _answer(self, request: Request) -> Answer:
        if request.method == b"GET":
            return _ok({"models": [self._model(each) for each in self._server.written.models]})
        body = _object(bytes(request.body))
        uid = _uid(request)
        by = _User(await name_of(uid) if uid is not None else "somebody who has left", uid)
        async with self._server.changing:
            if request.path == DRAIN:
                return await self._drain(_read(_Named, body), by)
            if request.method == b"DELETE":
                return await self._remove(_read(_Named, body), by)
            return await self._add(body, by)

    async def _add(self, body: dict[str, Any], by: _User) -> Answer:
        """A new one gets no call before it has made a token for the gateway."""
        name = body.pop("model", None)
        if not isinstance(name, str):
            raise Refusal(400, "malformed_body", "model: should be the name of a model")
        model = self._written(name)
        wanted = _read(config.Replica, body)
        _judge_files(wanted, self._server.written)
        before = self._find(model.name, wanted.url)
        await self._take_up(self._server.rosters.added(model, wanted), "add", model.name, wanted.url, by)
        added = self._find(model.name, wanted.url)
        assert added is not None
        if before is None:
            added.breaker.prove()
        return _ok(_told(added), 200 if before is not None else 201)

    async def _drain(self, asked: _Named, by: _User) -> Answer:
        model = self._written(asked.model)
        replica = self._not_the_last(model, asked)
        if not replica.draining:
            await self._take_up(self._server.rosters.drained(model, asked.url), "drain", model.name, asked.url, by)
        return _ok(_told(replica))

    async def _remove(self, asked: _Named, by: _User) -> Answer:
        """What runs there ends there; until then it is told of under `leaving`."""
        model = self._written(asked.model)
        replica = self._not_the_last(model, asked)
        await self._take_up(self._server.rosters.removed(model, asked.url), "remove", model.name, asked.url, by)
        return _ok({**_told(replica), "state": "leaving" if replica.running else "gone"})

    # -- what there is

    async def _take_up(self, rosters: Rosters, action: str, model: str, url: str, by: _User) -> None:
        if rosters != self._server.rosters:
            _judge(rosters.over(self._server.written))
            await self._server.take_up(rosters)
            self._server.gateway.observers.administered(action, model, url, by.name, by.uid)

    def _written(self, name: str) -> config.Model:
        return roster.named({each.name: each for each in self._server.written.models}, name)

    def _not_the_last(self, model: config.Model, asked: _Named) -> Replica:
        """The replica that is named, unless calls would find none without it."""
        replica = self._find(model.name, asked.url)
        if replica is None:
            raise Refusal(404, "no_such_replica", f"{model.name} has no replica {asked.url}")
        others = [each for each in self._replicas(model.name) if each is not replica]
        if replica.takes_calls and not asked.force and not any(each.takes_calls for each in others):
            raise Refusal(409, "last_replica", f"{asked.url} alone takes calls for {model.name}; force: true does it")
        return replica

    def _replicas(self, model: str) -> list[Replica]:
        models = self._server.gateway.models
        assert models is not None
        return models.by_name[model].replicas

    def _find(self, model: str, url: str) -> Replica | None:
        return next((each for each in self._replicas(model) if each.url == url), None)

    def _model(self, written: config.Model) -> dict[str, Any]:
        gate = self._server.gateway.admission.gates[written.name]
        return {
            "model": written.name,
            "running": gate.running,
            "waiting": gate.queue.length,
            "changed": written.name in self._server.rosters.models,
            "replicas": [_told(each) for each in self._replicas(written.name)],
            "leaving": [_told(each) for each in self._server.gateway.leaving(written.name)],
        }


def _judge(settings: config.Config) -> None:
    """A Refusal for keys and certificates that are not fit to be read now, new ones and those that changed since."""
    if faults := faults_of_engines(settings):
        raise Refusal(400, "malformed_body", "; ".join(faults))


def _judge_files(wanted: config.Replica, written: config.Config) -> None:
    """Over the socket no file is read, and sent to an engine, that the configuration does not name for one already."""
    known = {file for model in written.models for each in (*model.replicas, *model.emergency) for file in named(each)}
    if strange := [str(file) for file in named(wanted) if file not in known]:
        told = f"{', '.join(strange)}: a replica that is added has keys and certificates that the file names already"
        raise Refusal(400, "file_not_named", told)


def _told(replica: Replica) -> dict[str, Any]:
    return {
        "url": replica.url,
        "state": replica.state,
        "running": replica.running,
        "concurrent": replica.concurrent,
        "trouble": replica.trouble if replica.state in ("down", "probing") else "",
        "settings": replica.settings.model_dump(mode="json", exclude_unset=True, exclude={"url"}),
    }


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "malformed_json", f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "malformed_body", "the body should be an object")
    return found


def _read(kind: type[Kind], body: dict[str, Any]) -> Kind:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        told = [
            f"{'.'.join(map(str, each['loc']))}: {said((), each['msg'], each['input'])}"
            for each in error.errors(include_url=False)
        ]
        raise Refusal(400, "malformed_body", "; ".join(told)) from None


def _uid(request: Request) -> int | None:
    """None once who asked has left."""
    transport = request.connection.transport
    return who(transport.get_extra_info("socket").fileno()) if transport is not None else None


def _ok(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, JSON, msgspec.json.encode(body))
