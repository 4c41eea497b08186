"""Random playbooks do the same under ansible-core and under wxops, and so do those that once did not.

`make fuzz` runs many more. ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.fuzz import trees
from conformance.fuzz.campaign import Campaign, campaign, of_seed
from conformance.fuzz.given import give
from conformance.fuzz.hosts import hosts
from conformance.fuzz.playbooks import Case

CASES = 14
SEED = 1
EXAMPLES = yaml.safe_load((Path(__file__).parent / "fuzz.yml").read_text(encoding="utf-8"))

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not os.environ.get("ANSIBLE_PYTHON"), reason="ANSIBLE_PYTHON names no Python with ansible-core"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Campaign]:
    with campaign(os.cpu_count() or 1) as running:
        yield running


def case(said: dict[str, Any]) -> Case:
    """A case as fuzz.yml has it: tasks, and beside them other keywords of the play."""
    keywords = {name: value for name, value in said.items() if name not in ("name", "options", "differs")}
    return Case(said.get("options", ""), {"hosts": "box", "gather_facts": False, **keywords})


def test_random_playbooks_do_the_same_under_both(running: Campaign) -> None:
    told = [f"case {done.number}: {difference}\n{done.tried.case.text()}"
            for done in running.try_all(of_seed(SEED, range(CASES)), tries=0)
            for difference in done.tried.differences]  # fmt: skip
    assert told == [], "\n".join(told)


def test_what_once_differed_does_the_same(running: Campaign) -> None:
    """The cases of fuzz.yml, all at once: a process of ansible-core's is waiting for them."""
    cases = [(number, lambda said=said: case(said)) for number, said in enumerate(EXAMPLES)]
    told = [f"{EXAMPLES[done.number]['name']}: {difference}" for done in running.try_all(cases, tries=0)
            for difference in done.tried.differences]  # fmt: skip
    assert told == [], "\n".join(told)


def test_a_file_that_is_not_alike_is_a_difference() -> None:
    with hosts() as made:
        one, other = made.make(), made.make()
        for host in (one, other):
            give(host)
        assert trees.compare(one, other) == {}
        (other.root / "srv/box/a/x").chmod(0o600)
        (other.root / "etc/motd").unlink()
        (other.root / "srv/box/b").rename(other.root / "srv/box/moved")
        found = trees.compare(one, other)
        assert {"/srv/box/a/x", "/etc/motd", "/srv/box/b/sub/deep", "/srv/box/moved/sub/deep"} <= found.keys()
        assert (found["/etc/motd"][1], found["/srv/box/moved"][0]) == (None, None)
