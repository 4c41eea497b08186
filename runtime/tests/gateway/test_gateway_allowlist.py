"""Nobody who is not on the list gets anything, on any path; who is gets what its entry says, and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from processes import Engine, Gateway, chat, model, until

PROBES = {"name": "probe", "networks": ["127.0.0.1/32"], "allow": ["probes", "metrics"]}
PATHS = [
    "/", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/models/m", "/tokenize",
    "/detokenize", "/health", "/ready", "/metrics", "/openapi.json", "/docs", "/invocations", "/v1/../metrics",
    "//metrics", "/%6detrics", "/metrics?x=1", "/v1/chat/completions/",
]  # fmt: skip


def key_of(name: str) -> str:
    return "sha256:" + hashlib.sha256(f"key of {name}".encode()).hexdigest()


def keyed(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "api_keys": [key_of(name)], **fields}


def ask(gateway: Gateway, name: str, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer key of {name}"}
    with gateway.client(headers=headers) as client:
        return client.get(path) if not path.endswith("completions") else client.post(path, json=chat(**fields))


@pytest.fixture(scope="module")
def keys_only(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    clients = [
        keyed("anna"),
        keyed("elsewhere", networks=["10.9.0.0/16"]),
        keyed("other-model", models=["n"]),
        keyed("metrics", allow=["metrics"]),
    ]
    models = [model(shared_engine, aliases=["gpt-4"]), {**model(shared_engine), "name": "n"}]
    settings = {"clients": clients, "models": models, "listen": {"port": 0, "probes": {"port": 0}}}
    gateway = Gateway(tmp_path_factory.mktemp("keys"), settings)
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("path", PATHS)
def test_no_path_answers_a_stranger(keys_only: Gateway, path: str) -> None:
    with keys_only.client() as client:
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"):
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic a2V5"}):
                request = client.build_request(method, "/", headers=headers, content=b"{}")
                request.url = request.url.copy_with(raw_path=path.encode())
                answer = client.send(request)
                assert answer.status_code == 401, (method, path)
                assert method == "HEAD" or answer.json()["error"]["code"] == "unknown_client"


def test_a_key_opens_what_its_entry_says(keys_only: Gateway) -> None:
    assert ask(keys_only, "anna").status_code == 200
    assert ask(keys_only, "anna", "/metrics").status_code == 403
    assert ask(keys_only, "anna", "/nowhere").status_code == 404
    assert ask(keys_only, "metrics", "/metrics").status_code == 200
    assert ask(keys_only, "metrics").status_code == 403


def test_no_model_answers_where_probes_are_answered(keys_only: Gateway) -> None:
    for name, path, wanted in (("anna", "/v1/models", 403), ("metrics", "/metrics", 200), ("nobody", "/metrics", 401)):
        headers = {"authorization": f"Bearer key of {name}"}
        assert httpx.get(keys_only.probes + path, headers=headers, trust_env=False).status_code == wanted


def test_all_that_an_entry_names_must_match(keys_only: Gateway) -> None:
    assert ask(keys_only, "elsewhere").status_code == 401, "the right key from a wrong network"


def test_a_model_that_is_not_ones_own_is_as_if_it_were_not_there(keys_only: Gateway) -> None:
    refused = ask(keys_only, "other-model", model="m")
    unknown = ask(keys_only, "other-model", model="x")
    assert refused.status_code == unknown.status_code == 404
    assert refused.text.replace("'m'", "'x'") == unknown.text
    assert ask(keys_only, "other-model", model="n").status_code == 200
    assert [each["id"] for each in ask(keys_only, "other-model", "/v1/models").json()["data"]] == ["n"]
    assert ask(keys_only, "other-model", "/v1/models/m").status_code == 404


def test_an_alias_is_asked_for_under_the_models_own_name(keys_only: Gateway) -> None:
    assert ask(keys_only, "anna", model="gpt-4").json()["model"] == "m"


def test_a_refusal_is_logged_without_the_key_or_the_prompt(keys_only: Gateway) -> None:
    with keys_only.client(headers={"authorization": "Bearer very-secret"}) as client:
        client.post("/v1/chat/completions", json=chat("a private matter"))
    assert {"code": "unknown_client", "address": "127.0.0.1"}.items() <= keys_only.events()[-1].items()
    ask(keys_only, "anna", question="a private matter", model="a private matter")
    assert keys_only.events()[-1]["code"] == "model_not_found"
    assert "secret" not in keys_only.log() and "private" not in keys_only.log()


def test_the_list_changes_live_and_a_broken_file_keeps_the_old_one(
    shared_engine: Engine, gateway: Callable[..., Gateway]
) -> None:
    running = gateway(clients=[keyed("anna"), PROBES], models=[model(shared_engine)])
    with running.client(headers={"authorization": "Bearer key of anna"}) as kept:
        assert kept.post("/v1/chat/completions", json=chat()).status_code == 200
        assert ask(running, "bert").status_code == 403
        running.reload({"clients": [keyed("bert"), PROBES], "models": [model(shared_engine)]})
        assert ask(running, "bert").status_code == 200
        assert kept.post("/v1/chat/completions", json=chat()).status_code == 403, "on the connection that it has"
    running.reload({"clients": [keyed("anna", modles=["m"]), PROBES], "models": [model(shared_engine)]})
    assert "'modles' is not known here; did you mean 'models'?" in running.log()
    assert running.metric("wxops_gateway_reload_failed", what="config") == 1
    assert ask(running, "bert").status_code == 200
    running.reload({"clients": [keyed("anna"), PROBES], "models": [model(shared_engine)]})
    assert running.metric("wxops_gateway_reload_failed", what="config") == 0
    assert ask(running, "anna").status_code == 200


def test_who_leaves_before_the_usage_is_told_pays_for_the_prompt(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    running = gateway(clients=[keyed("hasty", tokens_per_day=500), PROBES], models=[model(engine(between=0.2))])
    headers = {"authorization": "Bearer key of hasty"}
    asked = chat("long " * 1000, stream=True)
    with (
        running.client(headers=headers) as client,
        client.stream("POST", "/v1/chat/completions", json=asked) as answer,
    ):
        assert answer.status_code == 200
        next(answer.iter_bytes())
    until(lambda: running.metric("wxops_gateway_calls_total", outcome="left") == 1, "it has left")
    refused = ask(running, "hasty")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "token_budget")


def test_each_client_has_its_rate_its_concurrency_and_its_tokens(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway]
) -> None:
    clients = [
        keyed("rate", requests_per_minute=3),
        keyed("few", concurrent=2),
        keyed("tokens", tokens_per_day=20),
        keyed("free"),
    ]
    running = gateway(clients=[*clients, PROBES], models=[model(engine(first=0.5))])
    with ThreadPoolExecutor(12) as pool:

        def codes(name: str, count: int) -> list[int]:
            return sorted(answer.status_code for answer in pool.map(lambda _: ask(running, name), range(count)))

        assert codes("rate", 5) == [200, 200, 200, 429, 429]
        assert codes("few", 4) == [200, 200, 429, 429]
        assert codes("few", 2) == [200, 200], "places come free again"
        assert codes("free", 4) == [200] * 4
    spent = [ask(running, "tokens") for _ in range(3)]
    assert [answer.status_code for answer in spent] == [200, 200, 429], "13 tokens each"
    assert spent[-1].json()["error"]["code"] == "token_budget"
    assert 1 <= int(ask(running, "rate").headers["retry-after"]) <= 60
    running.reload({"clients": [keyed("tokens", tokens_per_day=20), PROBES], "models": running.settings["models"]})
    assert ask(running, "tokens").status_code == 429, "a reload gives no tokens back"
    until(lambda: running.metric("wxops_gateway_refusals_total", code="token_budget") == 2, "it is counted")
