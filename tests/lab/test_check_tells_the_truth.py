"""For random small playbooks: what --check says is what the run does, and a rollback restores the host."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.module_case import ManagedHost, differences

EXAMPLES = int(os.environ.get("WXOPS_EXAMPLES", "20"))  # `make soak` sets 400
ROOT = "/srv/property"

names = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "link", "link/x"])
paths = names.map(lambda name: f"{ROOT}/{name}")
modes = st.sampled_from([None, "0600", "0755", "u=rwX,go=", "g+w"])
texts = st.sampled_from(["", "one\n", "one\ntwo\n", "two", "key = 1\nkey = 2\n"])
lines = st.sampled_from(["one", "two", "key = 3"])


def task(module: str, **arguments: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A task with arguments drawn; None leaves one out."""
    drawn = st.fixed_dictionaries({name: value if isinstance(value, st.SearchStrategy) else st.just(value)
                                   for name, value in arguments.items()})  # fmt: skip
    return drawn.map(lambda values: {module: {k: v for k, v in values.items() if v is not None}, "ignore_errors": True})


TASKS = st.one_of(
    task("file", path=paths, state=st.sampled_from(["directory", "absent"]), mode=modes),
    task("file", path=paths, state="file", mode=modes),
    task("file", path=f"{ROOT}/link", src=st.sampled_from(["a", "b", f"{ROOT}/a/x", "nowhere"]), state="link",
         force=st.booleans()),
    task("file", path=paths, src=paths, state="hard"),
    task("copy", dest=paths, content=texts, mode=modes),
    task("lineinfile", path=paths, line=lines, regexp=st.sampled_from([None, "^one", "^key"]), create=st.booleans(),
         state=st.sampled_from(["present", "absent"])),
    task("blockinfile", path=paths, block=texts, create=st.booleans()),
    task("replace", path=paths, regexp=st.sampled_from(["one", r"key = (\d)"]), replace=st.sampled_from(["uno", ""])),
    task("cron", name=st.sampled_from(["p1", "p2"]), minute="7", job="/usr/bin/true",
         state=st.sampled_from(["present", "absent"])),
    task("group", name=st.sampled_from(["prop1", "prop2"]), state=st.sampled_from(["present", "absent"])),
    task("user", name="propuser", group=st.sampled_from([None, "prop1", "ops"]), comment=st.sampled_from([None, "P"]),
         create_home=False, state=st.sampled_from(["present", "absent"])),
    task("stat", path=paths),
)  # fmt: skip


def outcome(played: Any) -> list[tuple[str, Any]]:
    """What a run said of each task: its status and its diff."""
    return [(result.status, result.result.get("diff")) for result in played.results]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(tasks=st.lists(TASKS, min_size=1, max_size=8))
def test_check_says_what_the_run_does(tasks: list[dict[str, Any]], managed: ManagedHost) -> None:
    managed.play([{"file": {"path": ROOT, "state": "directory"}}])
    before = managed.tree()
    predicted = managed.play(tasks, check=True)
    assert differences(before, managed.tree()) == [], "check mode changed the host"
    done = managed.play(tasks)
    assert outcome(done) == outcome(predicted)
    back = managed.rollback(done.run)
    assert back.exit_code == 0, back.told()
    assert differences(before, managed.tree()) == [], "rollback left differences"
