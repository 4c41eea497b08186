"""What the playbook says of a result: when, changed_when, failed_when, until."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wxops.engine.facts import allowed
from wxops.engine.loops import Item
from wxops.errors import TemplateError, WxopsError
from wxops.playbook.plays import Task
from wxops.playbook.templating import Templar

Result = dict[str, Any]
UNKNOWN_TRACEBACK = "(traceback unavailable)"
"""What `exception` of a failed task holds in Ansible, unless it is asked for tracebacks."""
NOT_JUDGED = "_not_judged"
"""Marks the result of a task that could not even begin: neither changed_when nor failed_when nor until is asked."""
SETTING = ("set_fact", "include_vars")
"""Modules whose `ansible_facts` are variables and no facts."""
STATUS_KEYS = frozenset({"changed", "failed", "skipped", "unreachable", "ansible_loop_var"})
SEVERAL_DIFFS = frozenset({"copy", "template", "lineinfile", "blockinfile", "user"})
"""Modules whose result has a list of diffs in Ansible: that of the content, and that of mode and owner."""


def refused(task: Task, item: Item) -> Result | None:
    """The result of an item whose condition does not hold or cannot be told; None when it is to run."""
    for condition in task.common.when:
        try:
            if not item.templar.condition(condition, where=task.origin):
                shown = condition if isinstance(condition, bool) else str(condition)
                return {"changed": False, "skipped": True, "skip_reason": "Conditional result was False",
                        "false_condition": shown}  # fmt: skip
        except TemplateError as error:
            return failure(error)
    return None


def judged(task: Task, item: Item, result: Result) -> Result:
    """The result after changed_when and failed_when."""
    result = {"changed": False, **result}
    if result.get("skipped") or result.get(NOT_JUDGED):
        return result
    scope = with_result(task, item, result)
    changed_is_told = False
    try:
        if task.changed_when is not None:
            result["changed"] = _all_hold(task, scope, task.changed_when, "changed_when")
            scope = with_result(task, item, result)
        changed_is_told = True
        if task.failed_when is not None:
            failed = _all_hold(task, scope, task.failed_when, "failed_when")
            if result.get("failed") and not failed:
                result["failed_when_suppressed_exception"] = result.pop("exception", UNKNOWN_TRACEBACK)
            result["failed_when_result"] = result["failed"] = failed
    except TemplateError as error:
        said = "failed_when_result" if changed_is_told else "changed_when_result"
        return {**result, "failed": True, "msg": str(error), said: str(error)}
    return result


def arrived(task: Task, item: Item, result: Result) -> bool:
    """Does what `until` waits for hold? Without `until`: did it succeed?"""
    if not task.until:
        return not result.get("failed")
    return _all_hold(task, with_result(task, item, result), task.until, "until")


def enough(task: Task, item: Item, result: Result) -> bool:
    """Does `break_when` end the loop after this item?"""
    if task.loop is None or not task.loop.break_when:
        return False
    return _all_hold(task, with_result(task, item, result), task.loop.break_when, "break_when")


def named(task: Task, item: Item, result: Result) -> Result:
    """The result of an item, with which item it is of. It fails if the label, which may speak of it, cannot be told."""
    item.mark(result)
    if task.loop is not None and item.loop is not None and task.loop.label is not None:
        try:
            item.label = with_result(task, item, result).render(task.loop.label)
        except WxopsError as error:
            result.update(failed=True, msg=f"the label of loop_control cannot be told: {error}")
            if "failed_when_result" in result:
                result["failed_when_result"] = True
    return result


def with_result(task: Task, item: Item, result: Result) -> Templar:
    """The scope in which a result is judged: it stands under the task's `register`, and what it sets is set."""
    own = {task.register: registered(result, task.module)} if task.register else {}
    return item.templar.extended({**_set_by(task, result), **own})


def _set_by(task: Task, result: Result) -> Mapping[str, Any]:
    """The variables that a result brings: those of set_fact and include_vars, or facts by their long names."""
    brought = result.get("ansible_facts")
    if not isinstance(brought, dict):
        return {}
    return brought if task.module in SETTING else allowed(brought)


def registered(result: Result, module: str) -> Result:
    """A result as `register` keeps it: whether it failed is always said, and nothing of the engine's own."""
    kept = {name: value for name, value in result.items() if not name.startswith("_")}
    if kept.setdefault("failed", False):
        kept.setdefault("exception", UNKNOWN_TRACEBACK)
    if module not in SEVERAL_DIFFS and isinstance(kept.get("diff"), list) and len(kept["diff"]) == 1:
        (kept["diff"],) = kept["diff"]
    if "results" in kept and isinstance(kept["results"], list):
        items = {id(each) for each in item_results(kept)}
        kept["results"] = [registered(each, module) if id(each) in items else each for each in kept["results"]]
    return kept


def without_diff(result: Result, module: str, told: bool) -> Result:
    """A result whose diff nobody asked for: `register` keeps no text of it. told: the run's record does."""
    rest = {name: value for name, value in result.items() if name != "diff"}
    if module in ("copy", "template"):
        rest["diff"] = []
    elif module in ("lineinfile", "blockinfile"):
        rest["diff"] = [{**each, "before": "", "after": ""} for each in result["diff"]]
    return {**rest, "_diff": result["diff"]} if told else rest


def told(result: Mapping[str, Any]) -> Result:
    """A result as the run's record has it: with its diff, and nothing else of the engine's own."""
    kept = {name: value for name, value in result.items() if not name.startswith("_")}
    if "_diff" in result:
        kept["diff"] = result["_diff"]
    items = {id(each) for each in item_results(result)}
    if items:
        kept["results"] = [told(each) if id(each) in items else each for each in result["results"]]
    return kept


def is_failed(result: Mapping[str, Any]) -> bool:
    """Did it fail? Where failed_when was asked, it alone decides, also when the retries of `until` ran out."""
    asked = [each for each in item_results(result) if "failed_when_result" in each]
    if asked:
        return any(each["failed_when_result"] for each in asked)
    return bool(result.get("failed_when_result", result.get("failed")))


def failure(error: WxopsError) -> Result:
    """An operator's error as a task's result."""
    return {"failed": True, "changed": False, "msg": str(error)}


def item_results(result: Mapping[str, Any]) -> list[Result]:
    """The results of a loop's items. dnf returns `results`, too: what it did, or packages, which have no status."""
    found = result.get("results")
    listed = found if isinstance(found, list) else []
    return [each for each in listed if isinstance(each, dict) and STATUS_KEYS & each.keys()]


def of_loop(results: list[Result]) -> Result:
    """What a loop comes to."""
    whole: Result = {"results": results, "changed": any(result.get("changed") for result in results)}
    if not results:
        return {**whole, "skipped": True, "skipped_reason": "No items in the list"}
    if all(result.get("skipped") for result in results):
        return {**whole, "skipped": True, "msg": "All items skipped"}
    if any(result.get("failed") for result in results):
        return {**whole, "failed": True, "msg": "One or more items failed"}
    return {**whole, "msg": "All items completed"}


def _all_hold(task: Task, scope: Templar, conditions: tuple[Any, ...], what: str) -> bool:
    return all(scope.condition(condition, where=task.origin, what=what) for condition in conditions)
