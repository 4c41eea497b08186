"""How random playbooks are drawn, what counts as a difference, and how a case is made smaller: no host needed."""

from __future__ import annotations

from typing import Any

from conformance.fuzz.deliberate import parted
from conformance.fuzz.engines import Ran
from conformance.fuzz.minimise import minimised
from conformance.fuzz.playbooks import Case, random_case
from conformance.fuzz.results import Difference, compare


def said(status: str, line: int = 1, module: str = "file", **result: Any) -> dict[str, Any]:
    return {"host": "box", "task": "t", "where": f"/root/play/play.yml:{line}", "status": status, "module": module,
            "result": result}  # fmt: skip


def ran(*told: dict[str, Any], code: int = 0, output: str = "") -> Ran:
    return Ran(code, list(told), {}, output)


def kinds(theirs: Ran, ours: Ran) -> list[tuple[str, str]]:
    return [(each.kind, each.what) for each in compare(1, theirs, ours)]


def test_a_seed_has_always_the_same_cases() -> None:
    cases = [[random_case(number, seed).text() for number in range(3)] for seed in (5, 5, 6)]
    assert cases[0] == cases[1] != cases[2]


def test_a_case_is_read_back_as_it_was_written() -> None:
    for number in range(20):
        drawn = random_case(number, 5)
        assert Case.of(drawn.text()).text() == drawn.text()


def test_a_status_a_common_key_and_an_exit_code_must_be_alike() -> None:
    assert kinds(ran(said("ok", mode="0644")), ran(said("ok", mode="0644", more=1))) == []
    assert kinds(ran(said("ok")), ran(said("changed"))) == [("status", "file")]
    assert kinds(ran(said("ok"), said("ok", 2)), ran(said("ok"))) == [("status", "file")]
    assert kinds(ran(said("ok", mode="0644")), ran(said("ok", mode="0600"))) == [("key", "file.mode")]
    assert kinds(ran(said("ok", rc=1)), ran(said("ok", rc=True))) == [("key", "file.rc")]
    assert kinds(ran(said("ok")), ran(said("ok"), code=2)) == [("exit", "")]


def test_an_item_of_a_loop_must_be_alike_with_its_status() -> None:
    theirs, ours = ({"results": [{"item": 1, "changed": True}, {"item": 2, **more}]} for more in ({}, {"failed": True}))
    assert kinds(ran(said("ok", **theirs)), ran(said("ok", **ours))) == [("key", "file.results[1].failed")]


def test_times_and_sentences_of_failures_need_not_be_alike() -> None:
    assert kinds(ran(said("ok", delta="1")), ran(said("ok", delta="2"))) == []
    assert kinds(ran(said("failed", msg="a")), ran(said("failed", msg="b"))) == []
    assert kinds(ran(said("ok", msg="line added")), ran(said("ok", msg="added"))) == [("key", "file.msg")]


def test_what_is_meant_has_a_reason_only_where_ansible_core_failed_too() -> None:
    ours = ran(code=1, output="error: play.yml:1:1: file needs path\n")
    for theirs, is_meant in ((ran(said("failed")), True), (ran(said("ok")), False)):
        wrong, meant = parted(compare(1, theirs, ours), (theirs, ours), "")
        assert (len(wrong), len(meant)) == ((0, 1) if is_meant else (1, 0))
    assert parted([Difference(1, "tree", "/x", "", None, None)], (ran(), ran()), "")[1] == []


def test_a_refusal_is_meant_where_the_tags_did_not_choose_what_was_refused() -> None:
    playbook = "- hosts: box\n  tasks:\n  - file:\n      state: file\n    tags: t1\n  - file: {path: /x}\n"
    for line, is_meant in ((4, True), (6, False)):
        ours = ran(code=1, output=f"error: /root/play/play.yml:{line}:7: file needs path\n")
        theirs = ran(said("ok", 6))
        _, meant = parted(compare(1, theirs, ours), (theirs, ours), playbook)
        assert bool(meant) is is_meant


def test_what_follows_from_a_difference_that_is_meant_is_not_told_again() -> None:
    ended = Difference(1, "status", "play.yml:1", "file", "ignored: Task failed: Error while evaluating conditional: x",
                       "failed: x")  # fmt: skip
    later = Difference(1, "status", "play.yml:2", "file", "ok", "did not run it")
    assert parted([ended, later], (ran(), ran()), "")[0] == []
    assert parted([later, ended], (ran(), ran()), "")[0] == [later]


def test_a_case_gets_as_small_as_what_differs() -> None:
    wrong = {"copy": {"dest": "/x", "mode": "9z9"}, "register": "r1"}
    play = {
        "hosts": "box",
        "vars": {"a": 1},
        "tasks": [{"ping": None}, {"block": [{"ping": None}, wrong], "tags": "t"}],
    }
    case = minimised(Case("--diff", play), lambda case: "9z9" in case.text(), 100)
    assert case == Case("", {"hosts": "box", "tasks": [{"copy": {"mode": "9z9"}}]})
