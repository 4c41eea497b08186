"""Metrics, logs, audit and traces: numbers that are right, and never a word of a prompt or an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from calls import call, in_loop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry
from running import MockEngine, running, settings

from wxruntime.document import DocumentError
from wxruntime.gateway import config_file
from wxruntime.gateway.audit_log import AuditLog
from wxruntime.gateway.call_log import JsonLines
from wxruntime.gateway.engine_load import EngineLoad
from wxruntime.gateway.exchange import Call, Refusal, Usage

SECRET = "what nobody may read in a log"
TALK: dict[str, Any] = {"messages": [{"role": "user", "content": SECRET}]}


def ended(**noted: Any) -> Call:
    one = call(temperature=1)
    one.usage, one.status, one.ended = Usage(5, 2, True), 200, one.received + 0.25
    for name, value in noted.items():
        setattr(one, name, value)
    return one


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@in_loop
async def test_tokens_and_times_are_in_vllms_names_and_in_opentelemetrys(tmp_path: Path) -> None:
    engine = await MockEngine(tokens=5, first=0.03, between=0.01).start()
    async with running(tmp_path, settings(engine, cache={})) as gateway:
        for fields in ({"stream": True}, {"stream": True}, {"temperature": 1}):
            await gateway.chat(**fields)
        operation = 'gen_ai_operation_name="chat",gen_ai_provider_name="wxruntime",gen_ai_request_model="ernie"'
        expected = {
            'vllm:generation_tokens_total{model_name="ernie"}': 10,  # the second answer came from the cache
            'vllm:prompt_tokens_total{model_name="ernie"}': 10,
            'vllm:time_to_first_token_seconds_count{model_name="ernie"}': 1,
            'vllm:time_to_first_token_seconds_bucket{le="0.025",model_name="ernie"}': 0,
            'vllm:e2e_request_latency_seconds_count{model_name="ernie"}': 2,
            'vllm:request_queue_time_seconds_count{model_name="ernie"}': 2,
            f'gen_ai_server_request_duration_seconds_count{{error_type="",{operation}}}': 2,
            f"gen_ai_server_time_to_first_token_seconds_count{{{operation}}}": 1,
            f"gen_ai_server_time_per_output_token_seconds_count{{{operation}}}": 1,
            f'gen_ai_client_token_usage_sum{{{operation},gen_ai_token_type="output"}}': 10,
        }
        for name, value in expected.items():
            assert await gateway.metric(name) == value, name
        assert await gateway.metric('vllm:inter_token_latency_seconds_count{model_name="ernie"}') >= 4
        assert '"here"' not in (await gateway.client.get("/metrics")).text  # no client in a label


@in_loop
async def test_clients_are_in_labels_only_when_asked_for(tmp_path: Path) -> None:
    engine = await MockEngine().start()
    async with running(tmp_path, settings(engine, metrics={"client_label": True})) as gateway:
        await gateway.chat()
        name = 'wxops_gateway_client_tokens_total{client="here",model="ernie",type="output"}'
        assert await gateway.metric(name) == 4


VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="ernie"} 7.0
vllm:num_requests_running{engine="1",model_name="ernie"} 5.0
vllm:num_requests_waiting{engine="0",model_name="ernie"} 2.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 9.0
process_start_time_seconds 1.7e+09
"""


def test_the_batch_that_engines_reached_is_read_from_their_metrics_and_a_restart_is_seen() -> None:
    restarted: list[str] = []
    load = EngineLoad(CollectorRegistry(), list, 5.0, restarted.append)
    load.note("http://a", VLLM)
    load.note("http://a", b'vllm:num_requests_running{model_name="ernie"} 1\nprocess_start_time_seconds 1.7e+09\n')
    load.note("http://b", b"fastdeploy:num_requests_running 3.0\n")
    load.note("http://c", b"<html>")
    load.note("http://d", b"vllm:num_requests_running oops\n")
    assert {url: (each.running, each.most) for url, each in load.loads.items()} == {
        "http://a": (1, 12),
        "http://b": (3, 3),
    }
    assert restarted == []
    load.note("http://a", VLLM.replace(b"1.7e+09", b"1.8e+09"))
    assert restarted == ["http://a"]


@in_loop
async def test_engines_are_asked_while_the_gateway_runs(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        body = VLLM if asked.startswith(b"GET /metrics ") else b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    engine = MockEngine()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running(tmp_path, settings(engine, metrics={"engine_seconds": 0.05})) as gateway:
        name = f'wxops_gateway_engine_batch_size_max{{replica="{engine.url}"}}'
        while name not in (await gateway.client.get("/metrics")).text:
            await asyncio.sleep(0.02)
        assert await gateway.metric(name) == 12
    server.close()


def test_the_audit_log_says_who_used_what_and_not_what_was_said(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path / "audit.jsonl", clock=lambda: 1.5)
    audit.ended(ended(cache="MISS", replica="http://a", attempts=1))
    audit.refused(Refusal(401, "unknown_client", "no"), None, "192.0.2.7")
    audit.close()
    used, refused = lines(tmp_path / "audit.jsonl")
    assert used | {"id": ""} == {
        "time": "1970-01-01T00:00:01.500Z", "event": "call", "id": "", "client": "shop", "model": "ernie",
        "route": "chat", "stream": False, "outcome": "answered", "error": None, "status": 200, "prompt_tokens": 5,
        "completion_tokens": 2, "tokens_exact": True, "cache": "MISS", "engine": "primary", "replica": "http://a",
        "attempts": 1, "queue_ms": None, "first_token_ms": None, "total_ms": 250.0,
    }  # fmt: skip
    assert (refused["event"], refused["address"], refused["code"]) == ("refused", "192.0.2.7", "unknown_client")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("sync", ["always", "second", "never"])
def test_every_line_is_there_after_the_end_whatever_is_synced(tmp_path: Path, sync: Any) -> None:
    audit = AuditLog(tmp_path / "audit.jsonl", sync)
    for _ in range(3000):
        audit.ended(ended())
    audit.close()
    assert len(lines(tmp_path / "audit.jsonl")) == 3000 and audit.lost == 0


def test_a_file_that_is_moved_away_is_made_anew_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path)
    for turn in range(3):
        for _ in range(50):
            audit.ended(ended())
        while audit._lines.qsize():
            time.sleep(0.005)
        time.sleep(0.05)
        path.rename(tmp_path / f"audit.{turn}")
    audit.ended(ended())
    audit.close()
    assert [len(lines(tmp_path / f"audit.{turn}")) for turn in range(3)] == [50, 50, 50]
    assert len(lines(path)) == 1


def test_two_gateways_may_share_a_file(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path / "audit.jsonl") for _ in range(2)]
    for each in logs * 500:
        each.ended(ended())
    for each in logs:
        each.close()
    assert len(lines(tmp_path / "audit.jsonl")) == 1000


def test_lines_that_a_full_disk_refuses_are_counted_and_the_next_ones_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write, full = os.write, True

    def torn(fd: int, data: bytes) -> int:
        if full and data.startswith(b'{"time"'):
            return write(fd, data[:20])
        if full:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", torn)
    audit = AuditLog(tmp_path / "audit.jsonl")
    audit.ended(ended())
    for _ in range(400):
        if audit.lost:
            break
        time.sleep(0.005)
    full = False
    audit.ended(ended())
    audit.close()
    assert audit.lost_lines() == 1 and "No space left" in caplog.text
    torn_line, good = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert len(torn_line) == 20 and json.loads(good)["client"] == "shop"


@in_loop
async def test_no_log_has_a_prompt_an_answer_or_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="wxruntime")
    engine = await MockEngine().start()
    audit = tmp_path / "audit.jsonl"
    async with running(tmp_path, settings(engine, cache={}, audit={"file": str(audit)})) as gateway:
        key = {"Authorization": "Bearer sk-very-secret"}
        for fields in ({"stream": True}, {"temperature": 1}, {"messages": [SECRET]}, {"model": "none"}):
            await gateway.chat(key, **(TALK | fields))
    said = audit.read_text() + caplog.text
    for secret in (SECRET, "w0 ", "sk-very-secret"):
        assert secret not in said
    assert {line["event"] for line in lines(audit)} == {"call", "refused"}
    assert sum(line.get("completion_tokens", 0) for line in lines(audit)) == 8 + 4  # the third was answered, too


def test_log_records_become_json_lines() -> None:
    record = logging.makeLogRecord({"name": "wxruntime.gateway", "levelname": "WARNING", "msg": "a %s", "args": ("b",)})
    said = json.loads(JsonLines().format(record))
    assert (said["level"], said["logger"], said["message"]) == ("warning", "wxruntime.gateway", "a b")
    record.fields = {"event": "call", "client": "shop"}
    assert json.loads(JsonLines().format(record))["client"] == "shop"


class Collector(ThreadingHTTPServer):
    """OpenTelemetry's collector as far as it takes spans."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.spans: list[Any] = []


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        assert isinstance(self.server, Collector)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_span_goes_to_the_collector_under_its_clients_trace_with_no_word_of_the_prompt(
    tmp_path: Path, collector: Collector
) -> None:
    seen: list[Any] = []

    @in_loop
    async def ask() -> None:
        engine = await MockEngine().start()
        tracing = {"otlp": f"http://127.0.0.1:{collector.server_port}"}
        async with running(tmp_path, settings(engine, tracing=tracing)) as gateway:
            gateway.gateway.observers.sent = seen.append  # type: ignore[method-assign]
            await gateway.chat({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, stream=True, **TALK)

    ask()
    (span,) = collector.spans
    told = {each.key: each.value for each in span.attributes}
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("chat ernie", TRACE, "00f067aa0ba902b7")
    assert told["gen_ai.usage.output_tokens"].int_value == 4
    assert told["gen_ai.request.model"].string_value == "ernie"
    assert SECRET not in str(span)
    passed_on = dict(seen[0].headers)[b"traceparent"].decode()
    assert passed_on == f"00-{TRACE}-{span.span_id.hex()}-01"


@in_loop
async def test_without_tracing_a_traceparent_is_passed_on_as_it_is(tmp_path: Path) -> None:
    engine, seen = await MockEngine().start(), list[Any]()
    async with running(tmp_path, settings(engine)) as gateway:
        gateway.gateway.observers.sent = seen.append  # type: ignore[method-assign]
        await gateway.chat({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert dict(seen[0].headers)[b"traceparent"].decode() == f"00-{TRACE}-00f067aa0ba902b7-01"


def test_a_place_that_cannot_be_written_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({"models": [{"name": "m", "replicas": [{"url": "http://a:1"}]}]}))
    with path.open("a") as file:
        file.write("audit: {file: /nowhere/audit.jsonl}\n")
    with pytest.raises(DocumentError, match=r"gateway.yaml:\d+:\d+: /nowhere is no directory to write in"):
        config_file.read(path)
