"""vars_prompt: what is asked, what is taken for an answer, and what happens where nobody can be asked."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wxops.engine.options import RunOptions
from wxops.engine.prompting import answers
from wxops.engine.run import Project, Run
from wxops.errors import InputError
from wxops.playbook.inventory import Inventory
from wxops.playbook.plays import Play
from wxops.playbook.templating import Templar

SALTED = re.compile(r"\$(\d)\$(?:rounds=\d+\$)?([^$]+)\$")


class Operator:
    """Types what it was told to, and remembers what it was asked."""

    def __init__(self, *typed: str) -> None:
        self.typed, self.asked = list(typed), []

    def __call__(self, text: str, private: bool) -> str:
        self.asked.append((text, private))
        return self.typed.pop(0)


def load(directory: Path, prompts: str, extra: dict[str, Any] | None = None, hosts: str = "all") -> Project:
    playbook = directory / "site.yml"
    playbook.write_text(
        f"- hosts: '{hosts}'\n  gather_facts: false\n  vars: {{town: Wuxi}}\n  vars_prompt:\n{prompts}  tasks:\n"
        "    - {name: told, debug: {msg: \"{{ answer | default('none') }}\"}}\n"
    )
    return Project.load(Inventory.load(["h1,"]), [playbook], RunOptions(extra_vars=extra or {}))


def answered(project: Project, operator: Callable[[str, bool], str] | None) -> dict[str, Any]:
    (play,) = project.plays
    return answers(play, project.given(play.vars), project.options.extra_vars, operator)


def rendered(project: Project, play: Play, found: dict[str, Any]) -> Any:
    return Templar({**play.vars, **found}).render(found["answer"])


def test_a_question_is_private_unless_it_says_otherwise_and_shows_its_default(tmp_path: Path) -> None:
    operator = Operator("typed", "")
    project = load(tmp_path, "    - {name: answer, prompt: 'In {{ town }}'}\n"
                   "    - {name: other, private: false, default: '5'}\n")  # fmt: skip
    assert answered(project, operator) == {"answer": "typed", "other": "5"}
    assert operator.asked == [("In Wuxi: ", True), ("other [5]: ", False)]


def test_what_was_given_with_e_is_not_asked_for(tmp_path: Path) -> None:
    operator = Operator()
    assert answered(load(tmp_path, "    - name: answer\n", {"answer": "given"}), operator) == {}
    assert operator.asked == []


def test_an_answer_to_confirm_is_asked_for_until_both_are_the_same(tmp_path: Path) -> None:
    operator = Operator("one", "two", "three", "three")
    assert answered(load(tmp_path, "    - {name: answer, confirm: true}\n"), operator) == {"answer": "three"}
    assert [text for text, _ in operator.asked][1:3] == [
        "confirm answer: ", "the two are not the same; answer: ",
    ]  # fmt: skip


def test_an_answer_is_encrypted_with_the_salt_that_is_named(tmp_path: Path) -> None:
    project = load(tmp_path, "    - {name: answer, encrypt: sha512_crypt, salt: abcdefgh}\n")
    assert SALTED.match(answered(project, Operator("secret"))["answer"]).groups() == ("6", "abcdefgh")
    random = load(tmp_path, "    - {name: answer, encrypt: sha256_crypt, salt_size: 4}\n")
    scheme, salt = SALTED.match(answered(random, Operator("secret"))["answer"]).groups()
    assert (scheme, len(salt)) == ("5", 4)


def test_a_private_answer_does_not_show_and_a_default_is_no_secret(tmp_path: Path) -> None:
    project = load(tmp_path, "    - name: answer\n    - {name: other, default: production}\n")
    answered(project, Operator("hunter22", ""))
    assert project.secrets.mask("hunter22 in production") == "*** in production"


def test_an_answer_may_be_a_template_unless_it_is_unsafe(tmp_path: Path) -> None:
    project = load(tmp_path, "    - name: answer\n")
    found = answered(project, Operator("{{ town }}"))
    assert rendered(project, project.plays[0], found) == "Wuxi"
    project = load(tmp_path, "    - {name: answer, unsafe: true}\n")
    found = answered(project, Operator("{{ town }}"))
    assert rendered(project, project.plays[0], found) == "{{ town }}"


def test_where_nobody_can_be_asked_defaults_stand(tmp_path: Path) -> None:
    assert answered(load(tmp_path, "    - {name: answer, default: 5}\n"), None) == {"answer": 5}


def test_where_nobody_can_be_asked_a_question_without_default_is_refused_before_anything_runs(tmp_path: Path) -> None:
    told: list[object] = []
    run = Run(load(tmp_path, "    - name: answer\n"), told.append, tmp_path / "runs")
    with pytest.raises(InputError, match=r"site.yml:5:7: the play asks for 'answer', and nobody is there") as refused:
        run.execute()
    assert "-e answer=..." in str(refused.value)
    assert told == []


def test_hosts_may_be_the_answer(tmp_path: Path) -> None:
    project = load(tmp_path, "    - name: where\n", hosts="{{ where }}")
    (play,) = project.plays
    assert project.hosts(play, answered(project, Operator("h1"))) == ["h1"]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("    - {prompt: x}\n", "site.yml:5:7: a question of vars_prompt needs the name of a variable"),
        ("    - {name: x, pormpt: y}\n", "site.yml:5:17: a question of vars_prompt has no keyword 'pormpt'"),
        ("    - {name: x, private: perhaps}\n", "site.yml:5:17: private should be true or false"),
        ("    - {name: x, encrypt: rot13}\n", "site.yml:5:17: encrypt: there is no password hash 'rot13'"),
        ("    - x\n", "site.yml:5:7: a question of vars_prompt should be a mapping, not 'x'"),
    ],
)
def test_a_mistake_in_a_question_is_refused_with_its_place(question: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load(tmp_path, question)
    assert error in str(refused.value)


def test_on_a_terminal_what_is_typed_is_taken_and_does_not_show(tmp_path: Path) -> None:
    load(tmp_path, "    - name: answer\n")
    command = [sys.executable, "-m", "wxops.cli.main", "run", "-i", "h1,", "site.yml", "--output", "plain"]
    command[1:3] = ["-c", "from wxops.cli.main import main; main()"]
    controller, terminal = pty.openpty()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
                          start_new_session=True, close_fds=True) as process:  # fmt: skip
        os.close(terminal)
        shown = b""
        while b"answer: " not in shown:
            shown += os.read(controller, 1024)
        os.write(controller, b"mellon\n")
        while True:
            try:
                more = os.read(controller, 1024)
            except OSError:
                break
            shown += more
        process.wait(30)
    os.close(controller)
    assert process.returncode == 0, shown
    assert b"mellon" not in shown
    assert b'"msg": "***"' in shown
