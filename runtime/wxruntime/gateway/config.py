"""The gateway's settings, as its YAML file has them. example.yaml beside this file explains every key."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wxruntime.gateway.subject import spelled


class Section(BaseModel):
    """A mapping of exactly these keys; "1" is not 1."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"is not a network: {error}") from None
    return text


def _key_hash(text: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("should be sha256: and 64 hexadecimal digits, as `wxruntime gateway-key` prints them")
    return text


def _san(text: str) -> str:
    if not re.fullmatch(r"(DNS|URI|IP|email):.+", text):
        raise ValueError("should be DNS:, URI:, IP: or email: and the name")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/@?#\s]+", text):
        raise ValueError("should be http://HOST:PORT or https://HOST:PORT, without a path")
    try:
        urlsplit(text).port  # noqa: B018 - reading it is what judges it
    except ValueError:
        raise ValueError("should end with a port from 1 to 65535") from None
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
File = Annotated[Path, Field(strict=False)]
Network = Annotated[str, AfterValidator(_network)]
KeyHash = Annotated[str, AfterValidator(_key_hash)]
SAN = Annotated[str, AfterValidator(_san)]
Subject = Annotated[str, AfterValidator(spelled)]
URL = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class TLS(Section):
    certificate: File
    key: File
    client_ca: File | None = None
    client_certificate: Literal["required", "optional", "none"] = "none"
    crl: File | None = None


class Probes(Section):
    """A second listener, for what cannot bring a client certificate: health checks and Prometheus."""

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]


class Admin(Section):
    """A Unix socket over which replicas are added, drained and removed. group: the number of one that may, too."""

    socket: File
    group: Annotated[int, Field(ge=0)] | None = None
    state: File | None = None


class Listen(Section):
    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    tls: TLS | None = None
    probes: Probes | None = None
    admin: Admin | None = None


class Requests(Section):
    """What one request may cost before it is known to be a good one."""

    body_bytes: Count = 4 * 1024 * 1024
    header_bytes: Count = 32 * 1024
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 60.0
    idle_seconds: Seconds = 75.0
    write_seconds: Seconds = 60.0
    connections: Count = 10_000


class Certificate(Section):
    """A client certificate is this one when all that is given here is so."""

    subject: Subject | None = None
    san: SAN | None = None


class Client(Section):
    name: Name
    certificates: list[Certificate] = []
    api_keys: list[KeyHash] = []
    networks: list[Network] = []
    allow: list[Literal["inference", "probes", "metrics"]] = ["inference"]
    models: list[Name] = ["*"]
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    requests_per_minute: Count | None = None
    concurrent: Count | None = None
    tokens_per_day: Count | None = None


class UpstreamTLS(Section):
    """How the gateway knows an https:// replica, and shows itself to it."""

    ca: File | None = None
    certificate: File | None = None
    key: File | None = None


class Replica(Section):
    url: URL
    served_name: Name | None = None
    concurrent: Count = 64
    api_key_file: File | None = None
    tls: UpstreamTLS | None = None


class Model(Section):
    name: Name
    aliases: list[Name] = []
    replicas: Annotated[list[Replica], Field(min_length=1)]
    emergency: list[Replica] = []
    revision: str = ""
    probe: Literal["chat", "completion", "embedding", "health"] = "chat"


class Upstream(Section):
    connect_seconds: Seconds = 2.0
    first_token_seconds: Seconds = 120.0
    between_tokens_seconds: Seconds = 30.0
    attempts: Count = 3
    idle_seconds: Seconds = 30.0
    answer_bytes: Count = 64 * 1024 * 1024


class Breaker(Section):
    failures: Count = 5
    within_seconds: Seconds = 30.0
    open_seconds: Seconds = 2.0
    open_seconds_limit: Seconds = 60.0
    probe_successes: Count = 1


class Health(Section):
    interval_seconds: Seconds = 5.0
    timeout_seconds: Seconds = 5.0
    misses: Count = 3
    stall_seconds: Seconds = 5.0


class Admission(Section):
    queue: Annotated[int, Field(ge=0)] = 256
    wait_seconds: Seconds = 30.0


class SharedCache(Section):
    """A Valkey or Redis in which several gateways keep answers together."""

    host: Name
    port: Annotated[int, Field(ge=1, le=65535)] = 6379
    database: Annotated[int, Field(ge=0)] = 0
    username: Name | None = None
    password_file: File | None = None
    tls: UpstreamTLS | None = None
    namespace: Name = "wxruntime"
    timeout_seconds: Seconds = 0.05


class Cache(Section):
    """Answers that are kept for who asks the same again."""

    memory_bytes: Count = 256 * 1024 * 1024
    answer_bytes: Count = 1024 * 1024
    seconds: Seconds = 3600.0
    clients: Literal["apart", "together"] = "apart"
    shared: SharedCache | None = None


class Routing(Section):
    """Which of a model's replicas a call goes to."""

    policy: Literal["prefix", "least_busy", "round_robin"] = "prefix"
    characters_per_replica: Count = 8_000_000
    absolute: Count = 4
    relative: Annotated[float, Field(ge=1)] = 1.5
    least_share: Annotated[float, Field(ge=0, le=1)] = 0.1


class ComplexityRule(Section):
    """A sign of a hard question."""

    pattern: Annotated[str, AfterValidator(_pattern)]
    weight: float = 1.0


class EdgePolicy(Section):
    """What an edge sends to its center."""

    models: list[Name] = []
    prompt_characters: Count | None = None
    complexity: list[ComplexityRule] = []
    complexity_at_least: float = 1.0
    queue: Count | None = None
    mean_logprob: Annotated[float, Field(lt=0)] | None = None
    logprob_tokens: Count = 32


class EdgeTLS(Section):
    """The edge's certificate, and the authority that signs the center's."""

    ca: File
    certificate: File
    key: File
    server_name: Name | None = None


class Edge(Section):
    """This gateway stands at an edge; where its center is."""

    host: Name
    port: Annotated[int, Field(ge=1, le=65535)]
    tls: EdgeTLS
    model: Name | None = None
    connect_seconds: Seconds = 2.0
    first_token_seconds: Seconds = 60.0
    between_tokens_seconds: Seconds = 30.0
    policy: EdgePolicy


class Center(Section):
    """This gateway is a center; where edges reach it."""

    address: str = "0.0.0.0"
    port: Annotated[int, Field(ge=0, le=65535)] = 8443
    tls: TLS


class Metrics(Section):
    client_label: bool = False
    engine_seconds: Seconds = 5.0


class Log(Section):
    format: Literal["json", "text"] = "json"
    calls: bool = True


class Audit(Section):
    """A file of who used what."""

    file: File
    sync: Literal["always", "second", "never"] = "second"


class Tracing(Section):
    """Where OpenTelemetry's collector listens for OTLP over HTTP."""

    otlp: Annotated[str, AfterValidator(_url)]
    service: Name = "wxruntime-gateway"
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0


class Config(Section):
    """The whole file."""

    listen: Listen = Listen()
    clients: list[Client] = []
    models: Annotated[list[Model], Field(min_length=1)]
    requests: Requests = Requests()
    admission: Admission = Admission()
    upstream: Upstream = Upstream()
    breaker: Breaker = Breaker()
    health: Health = Health()
    cache: Cache | None = None
    routing: Routing = Routing()
    edge: Edge | None = None
    center: Center | None = None
    metrics: Metrics = Metrics()
    log: Log = Log()
    audit: Audit | None = None
    tracing: Tracing | None = None
    drain_seconds: Seconds = 30.0
