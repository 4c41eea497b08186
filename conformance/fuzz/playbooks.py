"""Random playbooks: tasks of modules.yml with keywords of keywords.yml, in blocks, includes, roles and plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance.fuzz.modules import GRAMMAR, Task, choice, data, filled

SAID = data("keywords.yml")
REGISTERED = ("r1", "r2", "r3")
MOST_TASKS = 4
# The last task of a play tells what was registered, so that it is compared, too.
TELL = {
    "name": "what was registered",
    "debug": {"msg": [f"{{{{ {name} | default('never') }}}}" for name in REGISTERED]},
}


class Plain(yaml.SafeDumper):
    """YAML as a person writes it: without references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True)
class Case:
    """A playbook of one play, and the options that it is run with."""

    options: str
    play: Mapping[str, Any]

    def text(self) -> str:
        """The playbook as YAML, with its options in a comment above."""
        body = yaml.dump([dict(self.play)], Dumper=Plain, sort_keys=False, allow_unicode=True, width=110)
        return f"# options: {self.options or 'none'}\n{body}"

    @property
    def tasks(self) -> list[Task]:
        return list(self.play["tasks"])

    @classmethod
    def of(cls, text: str) -> Case:
        """The case that text() wrote."""
        first = text.partition("\n")[0].removeprefix("# options:").strip()
        return cls("" if first == "none" else first, yaml.safe_load(text)[0])


def keywords(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the keywords for a task, a block or a play."""
    drawn = []
    for entry in SAID[kind]:
        some = st.one_of([_mapping(each) for each in entry["with"]])
        drawn.append(choice([st.just({})] * (entry["every"] - 1) + [some]))
    return st.tuples(*drawn).map(lambda found: {name: value for each in found for name, value in each.items()})


def _mapping(said: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: GRAMMAR.value(value) if isinstance(value, str) else st.just(filled(value))
                                  for name, value in said.items()})  # fmt: skip


single = st.tuples(GRAMMAR.tasks(), keywords("task")).map(lambda found: {**found[0], "ignore_errors": True, **found[1]})
special = st.sampled_from(filled(SAID["special"]))


def several(inner: st.SearchStrategy[Task], most: int) -> st.SearchStrategy[list[Task]]:
    return st.lists(inner, min_size=1, max_size=most)


@st.composite
def blocks(draw: st.DrawFn) -> Task:
    """A block, with a rescue or an always or neither; its tasks fail for real."""
    inside = choice([single, single, single, special])
    block: Task = {"block": [_failing(each, draw(st.booleans())) for each in draw(several(inside, 2))]}
    for name in ("rescue", "always"):
        if draw(st.booleans()):
            block[name] = draw(several(single, 1))
    return {**block, **draw(keywords("block"))}


def _failing(task: Task, fails: bool) -> Task:
    return {name: value for name, value in task.items() if name != "ignore_errors"} if fails else task


@st.composite
def cases(draw: st.DrawFn) -> Case:
    inside = choice([single] * 10 + [special] + [blocks()] * 2)
    tasks = draw(several(inside, MOST_TASKS))
    play = {"hosts": "box", "gather_facts": False, **draw(keywords("play"))}
    if any("notify" in str(task) for task in tasks):
        play["handlers"] = filled(SAID["handlers"])
    play["tasks"] = [*tasks, TELL] if any("register" in str(task) for task in tasks) else tasks
    return Case(draw(st.sampled_from(SAID["options"])), play)


def random_case(number: int, of_seed: int) -> Case:
    """The case of that number, always the same one. Each is drawn by itself: hypothesis varies what it drew before."""
    found: list[Case] = []

    @seed(of_seed * 1_000_003 + number)
    @settings(max_examples=2, database=None, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(cases())
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found[-1]  # the first is the simplest there is
