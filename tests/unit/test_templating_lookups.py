"""Lookups that change something or ask another program: passwords in files, URLs, the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from wxops.errors import TemplateError
from wxops.playbook.source import load_text
from wxops.playbook.templating import Templar


def render(expression: str, *search_path: Path, **variables: Any) -> Any:
    return Templar(variables, search_path=search_path).render(load_text(f'"{expression}"', "site.yml"))


class TestPassword:
    def test_is_made_once_and_kept_where_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        expression = "{{ lookup('password', 'keys/db length=16 chars=ascii_letters') }}"
        made = render(expression, tmp_path)
        assert len(made) == 16 and made.isalpha()
        assert render(expression, tmp_path) == made
        kept = tmp_path / "keys/db"
        assert (kept.read_text(), kept.stat().st_mode & 0o777) == (f"{made}\n", 0o600)
        assert kept.parent.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize(
        ("scheme", "start"), [("sha512_crypt", "$6$"), ("bcrypt", "$2b$12$"), ("md5_crypt", "$1$")]
    )
    def test_its_hash_stays_the_same(self, tmp_path: Path, scheme: str, start: str) -> None:
        expression = f"{{{{ lookup('password', 'db encrypt={scheme}') }}}}"
        first = render(expression, tmp_path)
        assert first.startswith(start)
        assert render(expression, tmp_path) == first
        assert " salt=" in (tmp_path / "db").read_text()

    def test_reads_what_ansible_wrote(self, tmp_path: Path) -> None:
        (tmp_path / "db").write_text("LTzrU salt=5Pgqw5/ZNxnnOyur\n")
        assert render("{{ lookup('password', 'db') }}", tmp_path) == "LTzrU"
        expression = "{{ lookup('password', 'db encrypt=sha256_crypt') }}"
        assert render(expression, tmp_path).startswith("$5$rounds=535000$5Pgqw5/ZNxnnOyur$")
        assert (tmp_path / "db").read_text() == "LTzrU salt=5Pgqw5/ZNxnnOyur\n"

    def test_hosts_that_ask_at_once_get_one_password(self, tmp_path: Path) -> None:
        results: list[str] = []
        ask = "{{ lookup('password', 'db') }}"
        threads = [threading.Thread(target=lambda: results.append(render(ask, tmp_path))) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(results) == 16 and len(set(results)) == 1


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"one\n{self.headers.get('X-Test')}\n{self.headers.get('Authorization')}\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class TestUrl:
    def test_gives_lines(self, site: str) -> None:
        expression = "{{ query('url', site, headers={'X-Test': 'a'}, username='u', password='p') }}"
        assert render(expression, site=site) == ["one", "a", "Basic dTpw"]

    def test_gives_one_text(self, site: str) -> None:
        assert render("{{ lookup('url', site, split_lines=False) }}", site=site) == "one\nNone\nNone\n"

    def test_says_what_the_server_said(self, site: str) -> None:
        with pytest.raises(TemplateError, match="/missing answers 404 Not Found"):
            render("{{ lookup('url', site ~ '/missing') }}", site=site)


def test_now_is_now() -> None:
    assert abs(render("{{ now() }}") - datetime.now()) < timedelta(seconds=5)
    assert render("{{ now(fmt='%Y') }}") == str(datetime.now().year)


def test_chance_has_its_way_each_time_and_a_seed_does_not() -> None:
    templar = Templar(load_text("{port: '{{ 10000000 | random }}', fixed: \"{{ 10000000 | random(seed='a') }}\"}", "v"))
    assert len({templar.render(load_text("'{{ port }}'", "x")) for _ in range(5)}) > 1
    assert len({templar.render(load_text("'{{ fixed }}'", "x")) for _ in range(5)}) == 1


def test_a_lookup_that_may_fail_warns(caplog: pytest.LogCaptureFixture) -> None:
    assert render("{{ lookup('file', 'missing', errors='warn') }}") is None
    assert "missing" in caplog.text
