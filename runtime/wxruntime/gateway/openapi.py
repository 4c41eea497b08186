"""The gateway's OpenAPI document: what /openapi.json tells."""

from __future__ import annotations

from typing import Any


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {"openapi": "3.1.0", "info": {"title": "wxops gateway", "version": "1"}, "paths": {}}
