"""The page of an audit as an operator opens it: a real Chromium, light and dark, wide and narrow, no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, chromium
from tests.unit.audit_examples import a_hostile_audit, an_audit, with_silent_host
from wxops.audit.finding import Verdict
from wxops.console import audit_html

READABLE = 4.5
"""WCAG 2.2, 1.4.3: the least contrast of text."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "audit.html"
    path.write_text(audit_html.text(with_silent_host(an_audit(*Verdict))), encoding="utf-8")
    return path


def test_the_matrix_has_a_row_a_host_the_worst_first_and_says_verdicts_in_words(browser: Browser, page: Path) -> None:
    browser.show(page)
    rows = browser.ask("return [...document.querySelectorAll('.matrix tbody tr')].map(row => row.innerText)")
    assert len(rows) == 2
    assert rows[0].startswith("gpu1 fail")
    assert "580.159.04 (CUDA 13.0)" in rows[0]
    assert rows[1].startswith("gpu2 unknown")


def test_a_link_of_the_matrix_opens_the_hosts_detail_with_its_fix(browser: Browser, page: Path) -> None:
    browser.show(page)
    browser.ask("document.querySelectorAll('details').forEach(each => each.open = false)")
    browser.ask("document.querySelector('.matrix a').click()")
    browser.ask("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seen = browser.ask("return document.querySelector('details:target > div').innerText")
    assert "mend it" in seen
    assert "NVIDIA H100 80GB HBM3" in seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, page: Path, scheme: str) -> None:
    browser.show(page, scheme)
    browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
    ratios = browser.contrast("p, h1, h2, h3, th, td, dt, dd, code, .chip, .cell, .faint, summary")
    assert len(ratios) > 40
    assert min(ratios) >= READABLE


def test_dark_is_dark(browser: Browser, page: Path) -> None:
    shades = []
    for scheme in ("light", "dark"):
        browser.show(page, scheme)
        shades.append(browser.ask("return getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(20, 22, 25)"]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(browser: Browser, page: Path, width: int) -> None:
    browser.show(page, width=width)
    assert browser.ask("return document.documentElement.scrollWidth") <= width


def test_the_page_needs_nothing_else_and_complains_of_nothing(browser: Browser, page: Path) -> None:
    browser.show(page)
    assert browser.requests() == []
    assert browser.complaints() == []


def test_what_a_host_says_does_not_run(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(audit_html.text(a_hostile_audit()), encoding="utf-8")
    browser.show(path)
    assert browser.ask("return document.scripts.length") == 1
    assert '<script>alert("1")' in browser.ask("return document.querySelector('.matrix').innerText")
