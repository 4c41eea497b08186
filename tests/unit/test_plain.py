"""`--output plain` beyond what tests/conformance holds against ansible-playbook: streams, secrets, choices, colours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_live import counts
from wxops.console.ansible_text import banner, diff_lines, dump, error, label
from wxops.console.plain import Plain
from wxops.engine.events import (
    Event,
    Included,
    Notice,
    Output,
    PlaybookEnded,
    PlayStarted,
    Recap,
    Retrying,
    TaskResult,
    TaskStarted,
)
from wxops.playbook.source import load_text


def shown(*events: Event, **options: Any) -> tuple[list[str], list[str]]:
    """(lines of stdout, lines of stderr) without empty ones."""
    out, err = io.StringIO(), io.StringIO()
    plain = Plain(out, err=err, **{"color": False, "diff": False, "verbosity": 0, **options})
    for event in events:
        plain(event)
    return [[line for line in stream.getvalue().splitlines() if line] for stream in (out, err)]  # type: ignore[return-value]


def result(task: str = "T", status: Any = "ok", module: str = "copy", host: str = "a", **more: Any) -> TaskResult:
    about = {name: more.pop(name) for name in ("item", "is_item", "where", "delegate") if name in more}
    return TaskResult(host, "P", task, module, status, 1.0, more, **about)


def started(task: str = "T", hosts: tuple[str, ...] = ("a", "b"), **more: Any) -> TaskStarted:
    return TaskStarted("P", task, "copy", hosts, **more)


def test_warnings_and_notices_go_to_stderr_each_once() -> None:
    warned = [result(host=host, warnings=["old syntax"]) for host in "ab"]
    out, err = shown(started(), *warned, Notice("look"), Notice("look"))
    assert err == ["[WARNING]: old syntax", "[WARNING]: look"]
    assert out == [banner("TASK [T]"), "ok: [a]", "ok: [b]"]


def test_failures_go_to_stderr_where_that_is_wanted() -> None:
    failed = result(status="failed", failed=True, msg="no space", changed=False)
    out, err = shown(started(), failed, failed_to_stderr=True)
    assert out == [banner("TASK [T]")]
    assert err == ["[ERROR]: Task failed: Module failed: no space",
                   'fatal: [a]: FAILED! => {"changed": false, "msg": "no space"}']  # fmt: skip


def test_a_reason_is_told_once_for_all_hosts() -> None:
    failures = [result(status="failed", host=host, msg="no space", where="none.yml:1:1") for host in "ab"]
    out, _ = shown(started(), *failures)
    assert [line.partition(" ")[0] for line in out[1:]] == ["[ERROR]:", "Origin:", "fatal:", "fatal:"]


def test_a_failed_secret_tells_neither_its_reason_nor_its_source(tmp_path: Path) -> None:
    book = tmp_path / "site.yml"
    book.write_text("- hosts: all\n  tasks:\n    - command: login s3cret\n")
    hidden = result(status="failed", censored="hidden", changed=True, where=f"{book}:3:7")
    out, _ = shown(started(), hidden)
    assert "s3cret" not in "".join(out) and out[1] == "[ERROR]: Task failed."
    item = result(status="changed", is_item=True, item="s3cret", censored="hidden")
    assert shown(started(), item)[0][1] == "changed: [a] => (item=(censored due to no_log))"


def test_hosts_and_tasks_that_are_not_to_be_shown_are_not(tmp_path: Path) -> None:
    events = [started("A"), result("A"), started("B"), result("B", "skipped"), started("C"), result("C", "changed")]
    assert shown(*events, show_ok=False)[0] == [banner("TASK [B]"), "skipping: [a]", banner("TASK [C]"), "changed: [a]"]
    assert shown(*events, show_skipped=False)[0] == [banner("TASK [A]"), "ok: [a]", banner("TASK [C]"), "changed: [a]"]


def test_hosts_that_go_on_by_themselves_are_told_from_each_other() -> None:
    first, second = started("A", ("a",)), started("A", ("b",))
    out, _ = shown(first, second, result("A"), started("B", ("a",)), result("A", host="b"), result("B"))
    assert out == [banner("TASK [A]"), "ok: [a]", banner("TASK [B]"), banner("TASK [A]"), "ok: [b]",
                   banner("TASK [B]"), "ok: [a]"]  # fmt: skip


def test_two_tasks_of_one_name_are_two() -> None:
    events = [started(where="s.yml:1:1"), result(), result(host="b"), started(where="s.yml:1:1"), result()]
    assert shown(*events)[0].count(banner("TASK [T]")) == 2


def test_a_handler_a_retry_and_an_include_have_their_lines() -> None:
    out, _ = shown(
        started(handler=True),
        Retrying("a", "T", 2),
        Included("/p/x.yml", ("a", "b")),
        Included("role", ("a",), {"n": 1}),
    )
    assert out == [banner("RUNNING HANDLER [T]"), "FAILED - RETRYING: [a]: T (2 retries left).",
                   "included: /p/x.yml for a, b", "included: role for a => (item={'n': 1})"]  # fmt: skip


def test_output_of_commands_is_for_more_than_v() -> None:
    line = Output("a", "T", 1, "half way")
    assert shown(line, verbosity=1)[0] == []
    assert shown(line, verbosity=2)[0] == ["a | half way"]


def test_each_playbook_ends_with_its_recap_and_the_run_with_its_id() -> None:
    hosts = {"b": counts(ok=1), "a": counts(ok=2, changed=1)}
    out, _ = shown(PlaybookEnded(hosts), Recap("R", hosts, interrupted=True))
    a = f"{'a':<26} : ok=2    changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   "
    assert out[0] == out[3] == banner("PLAY RECAP") and out[1] == a
    assert out[-1] == "run R (interrupted)"


def test_a_play_without_hosts_says_so() -> None:
    assert shown(PlayStarted("P", ()))[0] == [banner("PLAY [P]"), "skipping: no hosts matched"]


@pytest.mark.parametrize(("text", "stars"), [("PLAY [x]", 71), ("部署" * 5, 59), ("x" * 90, 3)])
def test_a_banner_ends_where_the_line_does(text: str, stars: int) -> None:
    assert banner(text) == f"{text} {'*' * stars}"


def test_a_wide_terminal_has_wide_banners() -> None:
    assert shown(started(), width=120)[0] == [f"TASK [T] {'*' * 112}"]


def test_a_label_shows_plain_values() -> None:
    value = load_text("{name: x, list: [1, true, null], text: '3'}", "x")
    assert label(value) == "{'name': 'x', 'list': [1, True, None], 'text': '3'}"
    assert label("中文") == "中文"


def test_a_result_shows_what_is_its_own() -> None:
    values = {"msg": "x", "changed": True, "failed": True, "diff": [], "steps": [1], "warnings": ["w"], "ms": 3.0}
    assert dump("copy", values, 1) == '{"changed": true, "msg": "x"}'
    assert '"diff": []' in dump("copy", values, 3)


def test_a_place_that_cannot_be_read_is_named_all_the_same() -> None:
    assert list(error("no", "gone.yml:3:5")) == ["[ERROR]: no", "Origin: gone.yml:3:5", "", ""]


def test_an_encrypted_source_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "tasks.yml"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n3333\n")
    assert list(error("no", f"{path}:2:1"))[3:] == [""]


def test_a_diff_tells_of_a_missing_newline_and_of_values() -> None:
    assert list(diff_lines({"before": "a", "after": "b\n", "before_header": "f", "after_header": "f"})) == [
        "--- before: f", "+++ after: f", "@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+b", "",
    ]  # fmt: skip
    assert '-    "mode": "0600"' in list(diff_lines([{"before": {"mode": "0600"}, "after": {"mode": "0644"}}]))
    assert list(diff_lines([{"prepared": "restart cron\n"}, None])) == ["restart cron"]


def test_no_v_shows_what_a_file_holds_only_diff_does() -> None:
    change = result(status="changed", diff=[{"before": "", "after": "s3cret\n", "before_header": "/f"}])
    assert "s3cret" not in "".join(shown(started(), change, verbosity=3)[0])
    assert "s3cret" in "".join(shown(started(), change, verbosity=3, diff=True)[0])
