"""Tasks with a part on the controller held against ansible-playbook, on the same real host.

Each case has a directory of its own, once for ansible-core and once for wxops; all of ansible-core's run as one play.
ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.module_case import ManagedHost
from tests.module_data import Entry, at, build, snapshot
from wxops.lab import Lab

ANSIBLE = os.environ.get("ANSIBLE_PYTHON", "")
NESTED = "{% if true %}\n  {% if true %}\nä {{ inventory_hostname }}\n  {% endif %}\n{% endif %}\nend\n"
SAME = ("dest", "checksum", "state", "mode", "owner", "group", "size", "files")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not ANSIBLE, reason="ANSIBLE_PYTHON names no interpreter with ansible-core"),
]


@dataclass(frozen=True)
class Shared:
    """A task for both. `same`: what of the result must be the same; `tree`: is the tree compared?"""

    name: str
    task: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    same: tuple[str, ...] = SAME
    tree: bool = True


CASES = [Shared(**case) for case in yaml.safe_load((Path(__file__).parent / "file_actions.yml").read_text())]


@dataclass(frozen=True)
class Side:
    """What became of a case: the results of a first and a second run, and the tree after the first."""

    results: list[dict[str, Any]]
    tree: dict[str, Entry]


@pytest.fixture(scope="module")
def both(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Side]]]:
    """Who -> case -> what became of it."""
    folder = tmp_path_factory.mktemp("shared")
    _controller_files(folder)
    managed = ManagedHost(lab.hosts[0], str(lab.inventory), folder)
    found: dict[str, dict[str, Side]] = {}
    for who, play in (("theirs", _ansible), ("ours", _wxops)):
        roots = {case.name: Path(f"/srv/{who}/{number}") for number, case in enumerate(CASES)}
        for case in CASES:
            place = managed.host.root / str(roots[case.name]).lstrip("/")
            place.parent.mkdir(exist_ok=True)
            build(place, case.before)
        runs, trees = [], []
        for _ in range(2):
            runs.append(play(managed, roots))
            trees.append({name: snapshot(managed.host.root / str(root).lstrip("/")) for name, root in roots.items()})
        found[who] = {case.name: Side([run[case.name] for run in runs], trees[0][case.name]) for case in CASES}
    yield found
    managed.host.ssh("rm -rf /srv/ours /srv/theirs")


def _controller_files(folder: Path) -> None:
    files, templates = folder / "files", folder / "templates"
    build(files, {
        "a": "a\n", "tree/a": {"text": "a\n", "mode": "0600"}, "tree/sub/b": {"text": "b\n", "mode": "0755"},
        "tree/sub/empty": None, "tree/l": {"link": "a"}, "tree/dl": {"link": "sub"}, "empty/sub": None, "one/a": "a\n",
        "s.sh": {"text": '#!/bin/sh\necho "$# $2"; echo err >&2\n', "mode": "0644"}, "fails.sh": "#!/bin/sh\nexit 3\n",
        "s.py": "import sys\nprint(sys.argv[1:])\n", "tree.tgz": {"archive": "tgz", "names": ["t"], "tree": {
            "t/f": {"text": "x\n", "mode": "0640"}, "t/s/g": {"text": "y\n", "mode": "0755"}, "t/l": {"link": "f"}}},
    })  # fmt: skip
    build(templates, {
        "t.j2": {"text": NESTED, "mode": "0640"}, "undefined.j2": "{{ no_such_variable }}\n",
        "marks.j2": "<% if true %>\n[[ 1 + 1 ]] {{ no }}\n<% endif %>\n",
    })  # fmt: skip


def _tasks(roots: dict[str, Path]) -> list[dict[str, Any]]:
    return [
        {"name": case.name, **at(roots[case.name], case.task), "register": f"r{number}", "ignore_errors": True}
        for number, case in enumerate(CASES)
    ]


def _ansible(managed: ManagedHost, roots: dict[str, Path]) -> dict[str, dict[str, Any]]:
    told = managed.folder / "told.json"
    results = "{{ [" + ", ".join(f"r{number}" for number in range(len(CASES))) + "] | to_json }}"
    tell = {"copy": {"content": results, "dest": str(told)}, "delegate_to": "localhost",
            "vars": {"ansible_connection": "local"}}  # fmt: skip
    play = managed.folder / "theirs.yml"
    play.write_text(
        yaml.safe_dump([{"hosts": managed.host.name, "gather_facts": False, "tasks": [*_tasks(roots), tell]}])
    )
    command = [str(Path(ANSIBLE).parent / "ansible-playbook"), "-i", managed.inventory, str(play)]
    environment = {**os.environ, "ANSIBLE_PIPELINING": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, env=environment, cwd=managed.folder, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return dict(zip([case.name for case in CASES], json.loads(told.read_text()), strict=True))


def _wxops(managed: ManagedHost, roots: dict[str, Path]) -> dict[str, dict[str, Any]]:
    played = managed.play(_tasks(roots))
    return {result.task: dict(result.result) for result in played.results}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_do_the_same(case: Shared, both: dict[str, dict[str, Side]]) -> None:
    ours, theirs = both["ours"][case.name], both["theirs"][case.name]
    for result, other in zip(ours.results, theirs.results, strict=True):
        told = f"\nours: {result}\ntheirs: {other}"
        assert [bool(result.get(key)) for key in ("failed", "skipped", "changed")] == [
            bool(other.get(key)) for key in ("failed", "skipped", "changed")
        ], told
        if not other.get("failed") and not other.get("skipped"):
            for key in case.same:
                wanted = str(other.get(key)).replace("/srv/theirs", "/srv/ours")
                assert key not in other or str(result.get(key)) == wanted, f"{key}: {told}"
    assert ours.results[1].get("changed") == case.again or ours.results[1].get("failed")
    if case.tree:
        assert ours.tree == theirs.tree
