"""The gateway's OpenAPI document: paths, what a body must have, and every way of being refused."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

# Refusals that any path may answer with, and those of calls to a model.
GUARD = {401: "nobody on the allowlist", 403: "not this client's to use", 405: "another method"}
CALL = {
    400: "malformed, or refused by the engine",
    404: "no such model for this client",
    408: "did not come in time",
    413: "the body is too large",
    429: "a limit or the queue; Retry-After says when to come back",
    431: "the headers are too large",
    500: "the engine's own error",
    502: "the engines that were tried failed",
    503: "no engine is up, the wait was too long, or the gateway is going down",
}
MESSAGES: Json = {"type": "array", "items": {"type": "object"}}
TEXT: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}
# Path, what it is, the field that it needs beside the model, and whether it may stream.
CALLS: tuple[tuple[str, str, dict[str, Json], bool], ...] = (
    ("/v1/chat/completions", "Chat", {"messages": MESSAGES}, True),
    ("/v1/completions", "Completion", {"prompt": TEXT}, True),
    ("/v1/embeddings", "Embeddings", {"input": TEXT}, False),
    ("/tokenize", "Tokens of a text", {}, False),
    ("/detokenize", "Text of tokens", {}, False),
)


def document() -> Json:
    """OpenAPI 3.1."""
    paths: Json = {path: {"post": _call(what, needed, streams)} for path, what, needed, streams in CALLS}
    paths["/v1/models"] = {"get": _get("The models that this client may use", {200: "a list"})}
    one = _get("One of them", {200: "the model", 404: "no such model for this client"})
    name: Json = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    paths["/v1/models/{model}"] = {"get": one | {"parameters": [name]}}
    paths["/health"] = {"get": _get("Whether the gateway gets on", {200: "it does", 503: "it stands still"})}
    paths["/ready"] = {"get": _get("Whether it can answer", {200: "a model is up", 503: "none is, or it drains"})}
    paths["/openapi.json"] = {"get": _get("This document", {200: "the document"})}
    paths["/metrics"] = {"get": _get("Prometheus's text", {})}
    paths["/metrics"]["get"]["responses"]["200"] = {"description": "metrics", "content": {"text/plain": {}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wxops gateway",
            "version": "1",
            "description": "OpenAI's API in front of ERNIE 4.5 engines.",
        },
        "security": [{}, {"key": []}, {"certificate": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _error()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    }


def _call(what: str, needed: dict[str, Json], streams: bool) -> Json:
    fields: Json = {"model": {"type": "string"}, **needed}
    if streams:
        fields |= {
            "stream": {"type": ["boolean", "null"]},
            "stream_options": {
                "type": ["object", "null"],
                "properties": {"include_usage": {"type": ["boolean", "null"]}},
            },
            # None for a completion's echo alone; an engine judges.
            "max_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**63 - 1},
        }
    body = {"type": "object", "properties": fields, "required": ["model", *needed]}
    content: Json = {"application/json": {"schema": {"type": "object"}}}
    if streams:
        content["text/event-stream"] = {}
    return {
        "summary": what,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "the engine's answer", "content": content}, **_refusals(GUARD | CALL)},
    }


def _get(what: str, answers: dict[int, str]) -> Json:
    plain = {"application/json": {"schema": {"type": "object"}}}
    told = {str(code): {"description": text, "content": plain} for code, text in answers.items()}
    return {"summary": what, "responses": {**told, **_refusals({**GUARD, 400: "malformed", 431: "headers too large"})}}


def _refusals(reasons: dict[int, str]) -> Json:
    schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(code): {"description": text, "content": schema} for code, text in sorted(reasons.items())}


def _error() -> Json:
    said = {"type": ["string", "null"]}
    fields: Json = {"message": {"type": "string"}, "type": {"type": "string"}, "param": said, "code": said}
    inner = {"type": "object", "properties": fields, "required": ["message", "type"]}
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}
