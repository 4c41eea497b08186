"""Asks a server's probe whether it is fine. The image has no curl, so this is the standard library's client."""

from __future__ import annotations

from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener


def probe(url: str, timeout_s: float) -> str | None:
    """None when `url` answers 200, else what it did instead. No proxy is used: the server is on this machine."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=timeout_s) as answer:
            return None if answer.status == 200 else f"{url} answered {answer.status}"
    except HTTPError as error:
        return f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}"
    except (OSError, ValueError, HTTPException) as error:
        return f"{url} did not answer: {error}"
