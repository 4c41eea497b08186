"""The lookup of a URL, from the controller."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

    from wxops.playbook.templating import Templar


def url(
    terms: list[Any],
    templar: Templar,
    *,
    validate_certs: bool = True,
    split_lines: bool = True,
    use_proxy: bool = True,
    username: str | None = None,
    password: str | None = None,
    headers: dict[str, str] | None = None,
    force: bool = False,
    timeout: float = 10,
    http_agent: str = "wxops",
    force_basic_auth: bool = False,
    ca_path: str | None = None,
) -> list[Any]:
    """The lines of the answers, or with split_lines=False one text each. A name and password are sent at once."""
    asked = {"User-Agent": http_agent, **({"Cache-Control": "no-cache"} if force else {}), **(headers or {})}
    if username is not None:
        token = base64.b64encode(f"{username}:{password or ''}".encode()).decode()
        asked["Authorization"] = f"Basic {token}"
    opener = _opener(validate_certs, use_proxy, ca_path)
    texts = [_answer(opener, str(term), asked, timeout) for term in terms]
    return [line for text in texts for line in text.splitlines()] if split_lines else texts


def _opener(validate_certs: bool, use_proxy: bool, ca_path: str | None) -> OpenerDirector:
    import ssl  # it and urllib.request take as long to load as all else here, and few playbooks look up a URL
    from urllib.request import HTTPSHandler, ProxyHandler, build_opener

    context = ssl.create_default_context(cafile=ca_path)
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return build_opener(HTTPSHandler(context=context), *([] if use_proxy else [ProxyHandler({})]))


def _answer(opener: OpenerDirector, address: str, headers: dict[str, str], timeout: float) -> str:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    try:
        with opener.open(Request(address, headers=headers), timeout=timeout) as answer:
            return str(answer.read().decode("utf-8", "surrogateescape"))
    except HTTPError as error:
        raise ValueError(f"{address} answers {error.code} {error.reason}") from None
    except URLError as error:
        raise ValueError(f"{address} cannot be reached: {error.reason}") from None


LOOKUPS: dict[str, Callable[..., list[Any]]] = {"url": url}
