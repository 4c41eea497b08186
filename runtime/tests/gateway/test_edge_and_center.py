"""An edge and its center, both real, with real certificates between them: who answers, and what a client is told."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from authority import Authority
from calls import in_loop
from grpclib.client import Channel, UnaryStreamMethod
from grpclib.exceptions import StreamTerminatedError
from running import LOCAL, MockEngine, Running, running, settings

from wxruntime.gateway.center_client import METHOD
from wxruntime.gateway.center_pb2 import Ask, Piece

# The one who reads the center's metrics has a key, else all who come from this machine would be known by that.
READER = LOCAL | {"api_keys": ["sha256:" + hashlib.sha256(b"of-tests").hexdigest()]}
BIG = {"name": "big", "allow": ["inference"], "certificates": [{"subject": "CN=edge-1,O=Example"}]}


class Site:
    """An edge with a small engine and a center with a big one."""

    def __init__(self, folder: Path, small: MockEngine, big: MockEngine) -> None:
        self.folder, self.small, self.big = folder, small, big
        self.authority = Authority(folder)
        self.center_port = 0

    def issue(self, name: str, **how: Any) -> dict[str, str]:
        """A certificate with its key, as a configuration names them."""
        certificate, key = self.authority.issue(name, **how)
        return {"certificate": str(certificate), "key": str(key)}

    def center(self, port: int = 0) -> dict[str, Any]:
        tls = self.issue("center") | {
            "client_ca": str(self.authority.ca),
            "client_certificate": "required",
            "crl": str(self.authority.crl),
        }
        listen = {"address": "127.0.0.1", "port": port, "tls": tls}
        model = {"name": "ernie-21b", "replicas": [{"url": self.big.url}]}
        return settings(self.big, center=listen, clients=[READER, BIG], models=[model])

    def edge(self, **policy: Any) -> dict[str, Any]:
        tls = self.issue("edge-1") | {"ca": str(self.authority.ca)}
        line = {"host": "127.0.0.1", "port": self.center_port, "tls": tls, "model": "ernie-21b", "connect_seconds": 5}
        model = {"name": "ernie-0.3b", "aliases": ["ernie-21b"], "replicas": [{"url": self.small.url}]}
        breaker = {"failures": 1, "open_seconds": 0.1}
        return settings(
            self.small, edge=line | {"policy": {"models": ["ernie-21b"]} | policy}, models=[model], breaker=breaker
        )

    @asynccontextmanager
    async def running_center(self, port: int = 0) -> AsyncIterator[Running]:
        async with running(self.folder / "center", self.center(port)) as center:
            assert center.server.center is not None
            self.center_port = center.server.center.port
            yield center


async def site(folder: Path, **big: Any) -> Site:
    for name in ("center", "edge"):
        (folder / name).mkdir()
    return Site(folder, await MockEngine(tokens=2).start(), await MockEngine(tokens=6, **big).start())


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_what_the_policy_says_is_answered_by_the_center_and_the_rest_by_the_edge(
    tmp_path: Path, stream: bool
) -> None:
    here = await site(tmp_path)
    async with here.running_center(), running(tmp_path / "edge", here.edge(prompt_characters=50)) as edge:
        ours = await edge.chat(model="ernie-0.3b", stream=stream)
        named = await edge.chat(model="ernie-21b", stream=stream)
        long = await edge.chat(model="ernie-0.3b", stream=stream, messages=[{"role": "user", "content": "x" * 99}])
        told = [
            (each.headers.get("x-wxops-engine"), each.headers.get("x-wxops-reason")) for each in (ours, named, long)
        ]
        assert told == [(None, None), ("center", "model"), ("center", "length")]
        assert "w1" in ours.text and "w5" not in ours.text
        assert "w5" in named.text and "w5" in long.text
        if stream:
            assert named.text.endswith("data: [DONE]\n\n") and '"usage"' not in named.text
        assert await edge.metric('wxops_gateway_edge_calls_total{answered="center",reason="length"}') == 1
        assert await edge.metric('vllm:generation_tokens_total{model_name="ernie-0.3b"}') == 2 + 6 + 6


@in_loop
async def test_a_stream_from_the_center_comes_as_it_is_made(tmp_path: Path) -> None:
    here = await site(tmp_path, between=0.1)
    async with here.running_center(), running(tmp_path / "edge", here.edge()) as edge:
        times = []
        request = edge.client.build_request(
            "POST", "/v1/chat/completions", json={"model": "ernie-21b", "messages": [], "stream": True}
        )
        answer = await edge.client.send(request, stream=True)
        async for _ in answer.aiter_raw():
            times.append(asyncio.get_running_loop().time())
        assert len(times) >= 6 and times[-1] - times[0] > 0.4


@in_loop
async def test_another_policy_or_certificate_of_an_edge_breaks_no_stream_off(tmp_path: Path) -> None:
    here = await site(tmp_path, between=0.2)
    async with here.running_center(), running(tmp_path / "edge", here.edge()) as edge:
        for policy in ({}, {"prompt_characters": 9}):  # the certificate is another one each time
            asked = {"model": "ernie-21b", "messages": [], "stream": True}
            async with edge.client.stream("POST", "/v1/chat/completions", json=asked) as answer:
                pieces = answer.aiter_text()
                told = await anext(pieces)
                edge.path.write_text(yaml.safe_dump(here.edge(**policy)))
                await edge.server.reload()
                told += "".join([piece async for piece in pieces])
            assert "w5" in told and '"error"' not in told and told.endswith("data: [DONE]\n\n")
        asked_anew = await edge.chat(model="ernie-0.3b", messages=[{"role": "user", "content": "x" * 10}])
        assert asked_anew.headers["x-wxops-reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_without_the_center_the_edge_answers_alone_and_says_so_until_the_center_is_back(
    tmp_path: Path, stream: bool
) -> None:
    here = await site(tmp_path)
    async with here.running_center():
        pass
    async with running(tmp_path / "edge", here.edge()) as edge:
        alone = await edge.chat(model="ernie-21b", stream=stream)
        assert alone.status_code == 200 and "w1" in alone.text
        assert (alone.headers["x-wxops-engine"], alone.headers["x-wxops-reason"]) == ("edge-alone", "model")
        assert await edge.metric('wxops_gateway_edge_calls_total{answered="alone",reason="model"}') == 1
        assert await edge.metric("wxops_gateway_center_up") == 0
        async with here.running_center(port=here.center_port):
            for _ in range(100):
                answer = await edge.chat(model="ernie-21b", stream=stream)
                if answer.headers["x-wxops-engine"] == "center":
                    break
                await asyncio.sleep(0.05)
            assert "w5" in answer.text
            assert await edge.metric("wxops_gateway_center_up") == 1


@in_loop
async def test_a_center_whose_engines_are_out_is_one_that_does_not_answer(tmp_path: Path) -> None:
    here = await site(tmp_path)
    async with here.running_center(), running(tmp_path / "edge", here.edge()) as edge:
        here.big.stop()
        here.big.options.status = 503
        answer = await edge.chat(model="ernie-21b", mock={"status": 503})
        assert answer.headers["x-wxops-engine"] == "edge-alone"


@in_loop
async def test_a_client_that_leaves_ends_the_work_at_the_center(tmp_path: Path) -> None:
    here = await site(tmp_path, between=5.0)
    async with here.running_center() as center, running(tmp_path / "edge", here.edge()) as edge:
        asked = {"model": "ernie-21b", "messages": []}
        for fields in (asked | {"stream": True}, asked):
            before = here.big.seen["cancelled"]
            request = asyncio.create_task(edge.client.post("/v1/chat/completions", json=fields))
            while not here.big.seen["running"]:
                await asyncio.sleep(0.01)
            request.cancel()
            while here.big.seen["cancelled"] == before or here.big.seen["running"]:
                await asyncio.sleep(0.01)
        assert center.server.center is not None
        while center.server.center.answering:
            await asyncio.sleep(0.01)


async def knock(here: Site, context: ssl.SSLContext) -> int:
    """The status with which the center answers; an exception when it does not."""
    context.load_verify_locations(cafile=str(here.authority.ca))
    context.set_alpn_protocols(["h2"])
    channel = Channel("127.0.0.1", here.center_port, ssl=context)
    try:
        async with UnaryStreamMethod(channel, METHOD, Ask, Piece).open() as stream:
            await stream.send_message(Ask(path="/v1/chat/completions", body=b'{"model": "ernie-21b"}'), end=True)
            head = await stream.recv_message()
            assert head is not None
            return int(head.head.status)
    finally:
        channel.close()


def client(**files: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files:
        context.load_cert_chain(files["certificate"], files["key"])
    return context


@in_loop
async def test_only_a_known_certificate_over_tls_1_3_gets_in(tmp_path: Path) -> None:
    here = await site(tmp_path)
    async with here.running_center() as center:
        known = here.issue("edge-1")
        assert await knock(here, client(**known)) == 200
        assert await knock(here, client(**here.issue("stranger"))) == 401
        old = client(**known)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        (tmp_path / "other").mkdir()
        certificate, key = Authority(tmp_path / "other").issue("edge-1")
        forged = client(certificate=str(certificate), key=str(key))
        expired = client(**here.issue("edge-2", expired=True))
        for refused in (client(), old, forged, expired):
            with pytest.raises((ssl.SSLError, StreamTerminatedError, OSError)):
                await knock(here, refused)
        assert await center.metric('wxops_gateway_refusals_total{code="unknown_client"}') == 1


@in_loop
async def test_a_revoked_edge_stays_outside(tmp_path: Path) -> None:
    here = await site(tmp_path)
    revoked = here.issue("edge-1")
    here.authority.revoke(Path(revoked["certificate"]))
    async with here.running_center():
        with pytest.raises((ssl.SSLError, StreamTerminatedError, OSError)):
            await knock(here, client(**revoked))
        assert await knock(here, client(**here.issue("edge-1"))) == 200


@in_loop
async def test_an_edge_that_is_revoked_while_it_is_connected_is_answered_no_more(tmp_path: Path) -> None:
    here = await site(tmp_path)
    async with here.running_center() as center, running(tmp_path / "edge", here.edge()) as edge:
        assert (await edge.chat(model="ernie-21b")).headers["x-wxops-engine"] == "center"
        revoked = here.folder / "edge-1.pem"
        here.authority.revoke(revoked)
        await center.server.reload()
        assert (await edge.chat(model="ernie-21b")).headers["x-wxops-engine"] == "edge-alone"
        with pytest.raises((ssl.SSLError, StreamTerminatedError, OSError, AssertionError)):
            assert await knock(here, client(certificate=str(revoked), key=str(revoked.with_suffix(".key")))) != 401
        assert await knock(here, client(**here.issue("edge-1"))) == 200


@in_loop
async def test_a_new_certificate_of_the_center_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    here = await site(tmp_path)
    async with here.running_center() as center:

        async def shown() -> bytes:
            context = client(**here.issue("edge-1"))
            context.load_verify_locations(cafile=str(here.authority.ca))
            _, writer = await asyncio.open_connection("127.0.0.1", here.center_port, ssl=context)
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return bytes(certificate)

        before = await shown()
        here.issue("center")
        await center.server.reload()
        assert await shown() != before
