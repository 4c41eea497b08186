"""The cases of the file modules held against ansible-core: the same tree, the same changed, the same results.

ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.module_data import UNCHANGED, Case, all_cases, at, build, differences, part_of, snapshot
from tests.web_server import web_server

MODULES = (
    "assemble",
    "blockinfile",
    "command",
    "copy",
    "file",
    "find",
    "get_url",
    "getent",
    "known_hosts",
    "lineinfile",
    "ping",
    "replace",
    "shell",
    "slurp",
    "stat",
    "unarchive",
    "uri",
    "wait_for",
    "yum_repository",
)
ANSIBLE = os.environ.get("ANSIBLE_PYTHON", "")

pytestmark = pytest.mark.skipif(not ANSIBLE, reason="ANSIBLE_PYTHON names no interpreter with ansible-core")


class AnsibleCore:
    """A process that runs modules of ansible-core, one after the other."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "ansible_modules.py"
        self._process = subprocess.Popen(
            [ANSIBLE, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, module: str, args: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        if module == "shell":  # which is an action around the module command
            module, args = "command", {**args, "_uses_shell": True}
        self._process.stdin.write(json.dumps({"module": module, "args": args}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def ansible() -> Iterator[AnsibleCore]:
    core = AnsibleCore()
    yield core
    core.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with web_server() as address:
        yield address


@pytest.mark.parametrize("case", all_cases(*MODULES), ids=lambda case: case.id)
def test_ansible_core_does_the_same(
    case: Case, ansible: AnsibleCore, server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if case.ours:
        request.applymarker(pytest.mark.xfail(reason=case.ours, strict=True))
    root = tmp_path / "tree"
    build(root, case.before)
    before = snapshot(root)

    result = ansible.run(case.module, at(root, case.args, server))

    assert bool(result.get("failed")) == (case.failed is not None), result
    assert (case.failed or "") in result.get("msg", "")
    assert part_of(result, case.result) == at(root, case.result, server)
    if case.failed is None:
        assert result.get("changed", False) == case.changes
        if case.after is UNCHANGED:
            assert snapshot(root) == before
        else:
            assert differences(root, case.after) == []
        assert ansible.run(case.module, at(root, case.args, server)).get("changed", False) == case.again, (
            "the second run"
        )
