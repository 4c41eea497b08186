"""TLS 1.3 and nothing older; who brings no good certificate gets no connection; files change without a lost request."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from authority import Authority
from processes import Engine, Gateway, chat, model, until

SHOP = {"name": "shop", "certificates": [{"san": "DNS:shop.example"}]}
PROBE = {"name": "probe", "networks": ["127.0.0.0/8"], "allow": ["probes", "metrics"]}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One of its own for each test: they revoke."""
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


def secure(authority: Authority, engine: Engine, **fields: Any) -> dict[str, Any]:
    authority.issue("gateway")
    tls = {
        "certificate": str(authority.directory / "gateway.pem"),
        "key": str(authority.directory / "gateway.key"),
        "client_ca": str(authority.ca),
        "client_certificate": "required",
        "crl": str(authority.crl),
    }
    listen = {"port": 0, "tls": tls, "probes": {"port": 0}}
    return {"listen": listen, "clients": [SHOP, PROBE], "models": [model(engine)], **fields}


def ask(gateway: Gateway, context: ssl.SSLContext) -> int:
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        return client.post(f"{gateway.url}/v1/chat/completions", json=chat()).status_code


def test_tls_1_2_is_refused(shared_engine: Engine, authority: Authority, gateway: Callable[..., Gateway]) -> None:
    running = gateway(**secure(authority, shared_engine))
    context = authority.context(authority.issue("shop", "shop.example"))
    assert ask(running, context) == 200
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.ConnectError):
        ask(running, context)


def test_wrong_expired_revoked_and_missing_certificates_get_no_answer(
    shared_engine: Engine, authority: Authority, gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    revoked = authority.issue("revoked", "shop.example")
    authority.revoke(revoked[0])
    running = gateway(**secure(authority, shared_engine))
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger").issue("shop", "shop.example")
    for bad in (stranger, authority.issue("old", "shop.example", expired=True), revoked, None):
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            ask(running, authority.context(bad))
    assert ask(running, authority.context(authority.issue("shop", "shop.example"))) == 200
    assert ask(running, authority.context(authority.issue("other", "other.example"))) == 403, "nobody but the probe"
    reasons = {event["why"] for event in running.events() if event.get("code") == "tls"}
    assert {"certificate has expired", "certificate revoked", "PEER_DID_NOT_RETURN_A_CERTIFICATE"} <= reasons
    assert shared_engine.seen()["running"] == 0


def test_plain_http_and_rubbish_on_the_tls_port_harm_nobody(
    shared_engine: Engine, authority: Authority, gateway: Callable[..., Gateway]
) -> None:
    running = gateway(**secure(authority, shared_engine))
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000), b""):
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(rubbish)
    assert ask(running, authority.context(authority.issue("shop", "shop.example"))) == 200


def test_certificates_and_allowlist_change_under_load_without_a_lost_request(
    engine: Callable[..., Engine], authority: Authority, gateway: Callable[..., Gateway]
) -> None:
    settings = secure(authority, engine(between=0.002))
    running = gateway(**settings)
    context = authority.context(authority.issue("shop", "shop.example"))
    seen: list[object] = []
    stop = threading.Event()

    def load(keep: bool) -> None:
        while not stop.is_set():
            with httpx.Client(verify=context, trust_env=False, timeout=60) as client:
                for _ in range(10 if keep else 1):
                    try:
                        seen.append(client.post(f"{running.url}/v1/chat/completions", json=chat()).status_code)
                    except httpx.HTTPError as error:
                        seen.append(error)

    threads = [threading.Thread(target=load, args=(bool(each % 2),)) for each in range(4)]
    for thread in threads:
        thread.start()
    serials = set()
    for turn in range(4):
        authority.issue("gateway")
        running.reload({**settings, "clients": [SHOP, PROBE, {**SHOP, "name": f"another{turn}"}]})
        plain = ssl.create_default_context(cafile=str(authority.ca))
        plain.load_cert_chain(*authority.issue("shop", "shop.example"))
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw,
            plain.wrap_socket(raw, server_hostname="localhost") as secured,
        ):
            told: Any = secured.getpeercert()
            serials.add(told["serialNumber"])
        wanted = len(seen) + 10
        until(lambda wanted=wanted: len(seen) >= wanted, "some more answers")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {200}
    assert len(serials) == 4, "each time the new certificate was shown"


def test_files_that_are_gone_in_the_middle_of_a_reload_end_no_gateway(
    shared_engine: Engine, authority: Authority, gateway: Callable[..., Gateway]
) -> None:
    settings = secure(authority, shared_engine)
    running = gateway(**settings)
    context = authority.context(authority.issue("shop", "shop.example"))
    (authority.directory / "gateway.key").unlink()  # and the file does not speak of TLS any more, so it is a good one
    plain = {"port": 0, "probes": {"port": 0}}
    clients = [SHOP | {"certificates": [], "networks": ["10.0.0.0/8"]}, PROBE]
    running.reload({**settings, "listen": plain, "clients": clients})
    assert running.metric("wxops_gateway_reload_failed", what="config") == 1
    assert ask(running, context) == 403, "TLS as it was, for those who are on the list now"


def test_a_changed_file_is_seen_without_a_signal_and_a_broken_one_changes_nothing(
    shared_engine: Engine, authority: Authority, gateway: Callable[..., Gateway]
) -> None:
    running = gateway(**secure(authority, shared_engine))
    context = authority.context(authority.issue("shop", "shop.example"))
    certificate = authority.directory / "gateway.pem"
    shutil.copy(certificate, certificate.with_suffix(".kept"))
    certificate.write_text("no certificate")
    until(lambda: running.metric("wxops_gateway_reload_failed", what="config") == 1, "the failure is told")
    assert "gateway.yaml" in running.log() and "cannot be used with the key" in running.log()
    assert ask(running, context) == 200
    shutil.copy(certificate.with_suffix(".kept"), certificate)
    until(lambda: running.metric("wxops_gateway_reload_failed", what="config") == 0, "all is well again")


def test_a_certificate_revoked_meanwhile_ends_with_its_answer(
    engine: Callable[..., Engine], authority: Authority, gateway: Callable[..., Gateway]
) -> None:
    running = gateway(**secure(authority, engine(first=1.0)))
    good, bad = authority.issue("good", "shop.example"), authority.issue("bad", "shop.example")
    with (
        httpx.Client(verify=authority.context(good), trust_env=False, timeout=30, base_url=running.url) as stays,
        httpx.Client(verify=authority.context(bad), trust_env=False, timeout=30, base_url=running.url) as goes,
    ):
        assert [client.get("/v1/models").status_code for client in (stays, goes)] == [200, 200]
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(goes.post("/v1/chat/completions", json=chat()).status_code)
        )
        asking.start()
        until(lambda: running.metric("vllm:num_requests_running", model_name="m") == 1, "the call is under way")
        before = running.reloads()
        authority.revoke(bad[0])
        until(lambda: running.reloads() > before, "the list has been read")
        asking.join()
        assert answers == [200], "the answer that was under way came whole"
        with pytest.raises(httpx.HTTPError):
            goes.get("/v1/models")
        assert stays.get("/v1/models").status_code == 200
