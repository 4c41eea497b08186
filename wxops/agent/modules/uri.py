"""A request to a web service: the host's part."""

from __future__ import annotations

import json
import os
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from wxops.agent.attributes import Attributes, describe
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.multipart import multipart
from wxops.agent.offered import content_from
from wxops.agent.web import NOT_MODIFIED, Web, masked

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.arguments import Mode, Path, Raw
    from wxops.agent.change import Change
    from wxops.agent.web import Answer

    Result = Dict[str, Any]

ALIASES = {"user": "url_username", "password": "url_password", "attr": "attributes"}
BODY_TYPES = {"json": "application/json", "form-urlencoded": "application/x-www-form-urlencoded"}
NO_CONTENT = 204
OWN_KEYS = ("changed", "failed", "skipped", "warnings", "diff", "steps", "exception", "ms", "ansible_facts")
"""What a task's result says of itself: no header of a server may say it."""


def uri(
    change: Change,
    url: str,
    method: str = "GET",
    body: Optional[Raw] = None,
    body_format: str = "raw",
    src: Optional[Path] = None,
    headers: Optional[Dict[str, Any]] = None,
    status_code: Optional[List[int]] = None,
    return_content: bool = False,
    dest: Optional[Path] = None,
    creates: Optional[Path] = None,
    removes: Optional[Path] = None,
    timeout: int = 30,
    follow_redirects: str = "safe",
    force: bool = False,
    force_basic_auth: bool = False,
    url_username: Optional[str] = None,
    url_password: Optional[str] = None,
    use_netrc: bool = True,
    use_proxy: bool = True,
    unix_socket: Optional[Path] = None,
    http_agent: str = "ansible-httpget",
    unredirected_headers: Optional[List[str]] = None,
    decompress: bool = True,
    validate_certs: bool = True,
    ca_path: Optional[Path] = None,
    client_cert: Optional[Path] = None,
    client_key: Optional[Path] = None,
    ciphers: Optional[List[str]] = None,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    _content: Optional[Dict[str, Any]] = None,
) -> Result:
    """What operators write is the action's (wxops/actions/uri.py). _content: what `src` is on the controller."""
    if change.check:
        return {"skipped": True, "msg": "a request may change what it asks for, so check mode makes none"}
    for path, there in ((creates, True), (removes, False)):
        if path is not None and (change.file(path, follow=True)["type"] != "absent") == there:
            return {"stdout": "skipped, since '%s' %s" % (path, "exists" if there else "does not exist")}
    if unix_socket and not url.startswith("http://"):
        raise ModuleFailure("unix_socket goes with an http:// URL", url=masked(url))
    data, sent = _body(change, body, body_format, src, _content)
    sent = dict(sent, **{name: value for name, value in (headers or {}).items() if value is not None})
    web = Web(timeout, sent, unredirected_headers or (), validate_certs, url_username, url_password, force_basic_auth,
              use_netrc, use_proxy, client_cert, client_key, ciphers or (), http_agent, decompress, ca_path,
              unix_socket, follow_redirects)  # fmt: skip
    if not re.match("^[A-Za-z]+$", method):
        raise ModuleFailure("Parameter 'method' needs to be a single word in uppercase, like GET or POST.")
    exchange = Exchange(change, web, method.upper(), url, status_code or [200])
    asked = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    return exchange.run(data, return_content, dest, asked, force)


def _body(
    change: Change, body: Any, form: str, src: Optional[str], sent: Optional[Dict[str, Any]]
) -> Tuple[Any, Dict[str, str]]:
    """The body's bytes or file, and the headers that tell of it."""
    if src is not None:
        if body is not None:
            raise ModuleFailure("parameters are mutually exclusive: body|src")
        content = content_from(change.link, sent) if sent else change.file(src, follow=True).get("content")
        if content is None:
            raise ModuleFailure("Unable to open source file %s" % src, elapsed=0)
        return content.open(), {"Content-Length": str(content.size)}
    if form == "form-multipart":
        data, kind = multipart(change, body)
        return data, {"Content-Type": kind}
    if form == "json" and not isinstance(body, str):
        body = json.dumps(body)
    elif form == "form-urlencoded" and body is not None and not isinstance(body, str):
        body = _form(body)
    if body is not None and not isinstance(body, str):
        raise ModuleFailure("the body is no text: say `body_format: json`, or make it text")
    return None if body is None else body.encode("utf-8"), {
        "Content-Type": BODY_TYPES[form]
    } if form in BODY_TYPES else {}


def _form(body: Any) -> str:
    """A mapping or a list of pairs; a list as a value gives its name several times."""
    pairs = []
    for name, values in body.items() if isinstance(body, dict) else body:
        for value in values if isinstance(values, (list, dict)) else [values]:
            if value is not None:
                pairs.append((name, value))
    return urlencode(pairs)


class Exchange:
    """One request and its answer."""

    def __init__(self, change: Change, web: Web, method: str, url: str, wanted: List[int]) -> None:
        self.change, self.web, self.method, self.url, self.wanted = change, web, method, url, wanted

    def run(self, data: Any, return_content: bool, dest: Optional[str], asked: Attributes, force: bool) -> Result:
        started = time.time()
        try:
            answer = self.web.ask(self.method, self.url, data, self._conditions(dest, force))
        except ModuleFailure as failure:
            return self._judged({"url": masked(self.url), "status": -1, "redirected": False, "elapsed":
                                 int(time.time() - started), "msg": str(failure)}, None)  # fmt: skip
        result = self._told(answer)
        content, kind, charset = self._content(answer), *_type(answer)
        result["elapsed"] = int(time.time() - started)
        if dest is not None:
            result.update(self._write(answer, dest, content, asked))
        text = _text(content.read(), charset) if return_content or _is_json(kind) else ""
        if _is_json(kind):
            result.update(_parsed(text))
        return self._judged(result, text if return_content else None)

    def _conditions(self, dest: Optional[str], force: bool) -> Dict[str, str]:
        """Ask only for what is newer than what is there."""
        if force:
            return {"Cache-Control": "no-cache"}
        now = self.change.file(dest, follow=True) if dest else {}
        if now.get("type") != "file" or "mtime_ns" not in now:
            return {}
        return {"If-Modified-Since": formatdate(now["mtime_ns"] // 10**9, usegmt=True)}

    def _told(self, answer: Answer) -> Result:
        result: Result = {name.replace("-", "_"): value for name, value in answer.headers.items()}
        result = {name: value for name, value in result.items() if name not in OWN_KEYS}
        if "location" in result:
            result["location"] = urljoin(masked(self.url), result["location"])
        url = masked(answer.url if answer.status < 300 else self.url)
        if answer.status < 300:
            cookies = {cookie.name: cookie.value for cookie in self.web.cookies}
            text = "; ".join("%s=%s" % pair for pair in cookies.items())
            result.update(cookies=cookies, cookies_string=text)
        return dict(result, url=url, status=answer.status, redirected=url != masked(self.url), msg=answer.message)

    def _content(self, answer: Answer) -> Content:
        """The body. Some answers have none, whatever length they tell."""
        if self.method == "HEAD" or answer.status in (NO_CONTENT, NOT_MODIFIED):
            answer.close()
            return Content(b"")
        return answer.content()

    def _write(self, answer: Answer, dest: str, content: Content, asked: Attributes) -> Result:
        """What is told of the file, in which the answer is if it is a new one that was wanted."""
        if self.change.file(dest, follow=True)["type"] == "directory":
            dest = os.path.join(dest, answer.filename)
        came = answer.status in self.wanted and answer.status != NOT_MODIFIED
        if came:
            self.change.write(dest, content, asked.mode, asked.owner, asked.group)
            asked.set_label_and_flags(self.change, dest)
        there = self.change.file(dest)["type"] != "absent"
        return dict(describe(self.change, dest) if there else {}, path=dest, changed=came)

    def _judged(self, result: Result, content: Optional[str]) -> Result:
        result.setdefault("changed", False)
        if content is not None:
            result["content"] = content
        if result["status"] in self.wanted:
            return result
        failure = ModuleFailure("Status code was %s and not %s: %s" % (result["status"], self.wanted, result["msg"]))
        failure.result = dict(result, msg=str(failure))
        raise failure


def _type(answer: Answer) -> Tuple[str, str]:
    """The type and the charset of a body."""
    kind, _, rest = answer.headers.get("content-type", "application/octet-stream").partition(";")
    charset = next((part.split("=", 1)[1] for part in rest.split(";") if part.strip().startswith("charset=")), "utf-8")
    return kind.split(",")[0].strip().lower(), charset.split(",")[0].strip(" \"'")


def _is_json(kind: str) -> bool:
    return kind.partition("/")[2].rpartition("+")[2] in ("json", "javascript")


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _parsed(text: str) -> Result:
    """The answer as JSON, if it is what its type says."""
    try:
        return {"json": json.loads(text)}
    except ValueError:
        return {}
