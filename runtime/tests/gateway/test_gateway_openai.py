"""OpenAI's own client, unchanged, through the gateway: sync, async, streams, tools, over TLS 1.3 with a certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from authority import Authority
from openai import AsyncOpenAI, OpenAI
from processes import EVERYTHING, Engine, Gateway, model

TEXT = "w0 w1 w2 w3 w4 w5 w6 w7 "
ASKED: list[Any] = [{"role": "user", "content": "你是谁？"}]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def secure(shared_engine: Engine, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that takes one client certificate and nothing else."""
    certificate, key = authority.issue("gateway")
    tls = {
        "certificate": str(certificate),
        "key": str(key),
        "client_ca": str(authority.ca),
        "client_certificate": "required",
    }
    client = {"name": "shop", "certificates": [{"subject": "CN=shop, O=Example"}], "allow": EVERYTHING}
    settings = {"listen": {"port": 0, "tls": tls}, "clients": [client], "models": [model(shared_engine)]}
    gateway = Gateway(tmp_path_factory.mktemp("secure"), settings)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("shop")


@pytest.fixture(scope="module")
def client(secure: Gateway, authority: Authority, certificate: tuple[Path, Path]) -> OpenAI:
    http = httpx.Client(verify=authority.context(certificate), trust_env=False)
    return OpenAI(base_url=f"{secure.url}/v1", api_key="none is needed", http_client=http)


def test_a_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=ASKED)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None and answer.usage.completion_tokens == 8


def test_a_stream_with_its_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 8


def test_tools_pass_through(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL], tool_choice="auto")
    calls: Any = answer.choices[0].message.tool_calls
    assert calls[0].function.name == "weather"
    assert calls[0].function.arguments == '{"city": "北京"}'


def test_completions_embeddings_and_models(client: OpenAI) -> None:
    assert client.completions.create(model="m", prompt="one").choices[0].text == TEXT
    assert client.embeddings.create(model="m", input="one").data[0].embedding == [0.5, 0.25]
    assert [each.id for each in client.models.list()] == ["m"]
    assert client.models.retrieve("m").id == "m"


def test_the_async_client(secure: Gateway, authority: Authority, certificate: tuple[Path, Path]) -> None:
    async def ask() -> list[str]:
        http = httpx.AsyncClient(verify=authority.context(certificate), trust_env=False)
        async with AsyncOpenAI(base_url=f"{secure.url}/v1", api_key="-", http_client=http) as client:

            async def whole() -> str:
                answer = await client.chat.completions.create(model="m", messages=ASKED)
                return answer.choices[0].message.content or ""

            async def streamed() -> str:
                stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*[whole() for _ in range(8)], *[streamed() for _ in range(8)])

    assert asyncio.run(ask()) == [TEXT] * 16


def test_errors_are_the_clients_own(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        client.chat.completions.create(model="other", messages=ASKED)
    with pytest.raises(openai.APIError, match="broke off"):
        list(
            client.chat.completions.create(
                model="m", messages=ASKED, stream=True, extra_body={"mock": {"cut_after": 2}}
            )
        )
    with pytest.raises(openai.BadRequestError, match="as asked"):
        client.chat.completions.create(model="m", messages=ASKED, extra_body={"mock": {"status": 400}})
