"""A value from a vault is masked wherever it turns up: in results, diffs, names, errors and records (ansible#18184)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from wxops.cli.main import main
from wxops.playbook.vault import VaultKeys

KEYS = VaultKeys().and_password("default", b"pass")
SOURCES = (
    "inline", "group", "host", "extra", "default", "role", "vars_file", "whole_file", "included", "group_file",
    "looked", "unvaulted", "filtered", "copied", "templated", "looked_template", "nested",
)  # fmt: skip


def secret(name: str) -> str:
    return f"s3cr3t-{name}-sauce"


def inline(name: str, indent: int = 2) -> str:
    lines = KEYS.encrypt(secret(name)).splitlines()
    return "!vault |\n" + "".join(f"{' ' * indent}{line}\n" for line in lines)


def whole(text: str) -> str:
    return KEYS.encrypt(text)


PLAYBOOK = """
- name: "a play of {{ inline }}"
  hosts: h1
  gather_facts: false
  vars_files: [vars.yml, whole.yml]
  vars:
    cipher: CIPHER
    inline: INLINE
    nested: {a: [NESTED]}
  roles: [r]
  tasks:
    - include_vars: included.yml
    - name: "shown {{ inline }}"
      debug: {msg: "{{ [inline, group, host, extra, vars_file, whole_file, included, group_file, nested.a.0] }}"}
    - debug: {var: vars}
    - debug: {msg: "{{ lookup('file', 'looked.txt') }} {{ lookup('unvault', 'unvaulted.txt') | trim }}"}
    - debug: {msg: "{{ lookup('template', 'looked_template.j2') }}"}
    - debug: {msg: "{{ cipher | unvault('pass') }}"}
    - command: echo {{ inline | b64encode }} {{ group | quote }} {{ host | urlencode }} {{ extra | to_json }}
      register: said
      check_mode: false
    - debug: {var: said.stdout_lines}
    - debug: {msg: "{{ said.stdout.split() | first | b64decode }}"}
    - copy: {src: copied.txt, dest: "{{ playbook_dir }}/out-copied"}
    - template: {src: templated.j2, dest: "{{ playbook_dir }}/out-templated"}
    - copy: {content: "x {{ inline }} y\\n{{ nested.a.0 }}\\n", dest: "{{ playbook_dir }}/out"}
    - lineinfile: {path: "{{ playbook_dir }}/out", line: "a={{ vars_file }}"}
    - set_fact: {derived: "{{ inline }}/{{ group }}"}
    - debug: {var: derived}
    - debug: {msg: x}
      loop: ["{{ inline }}", "{{ group }}"]
    - debug: {msg: x}
      loop: [1]
      loop_control: {label: "{{ host }}"}
    - debug: {msg: x}
      changed_when: true
      notify: "told {{ inline }}"
    - fail: {msg: "no {{ inline }}"}
      ignore_errors: true
    - command: cat /no/such/{{ inline }}
      ignore_errors: true
    - assert: {that: inline == 'x', fail_msg: "{{ group }} is not x"}
      ignore_errors: true
    - debug: {msg: "{{ (inline ~ group).nope }}"}
      ignore_errors: true
    - debug: {msg: "{{ inline | from_json }}"}
      ignore_errors: true
    - file: {path: "{{ playbook_dir }}/{{ inline }}", state: touch}
    - stat: {path: "{{ playbook_dir }}/{{ inline }}"}
    - include_tasks: "{{ inline }}.yml"
      ignore_errors: true
      when: false
  handlers:
    - name: "told {{ inline }}"
      debug: {msg: "{{ inline }}"}
"""


def lay_out(directory: Path) -> None:
    files = {
        "site.yml": PLAYBOOK.replace("cipher: CIPHER\n", "cipher: " + inline("filtered", 6).removeprefix("!vault "))
        .replace("inline: INLINE\n", "inline: " + inline("inline", 6))
        .replace("nested: {a: [NESTED]}\n", "nested:\n      a:\n        - " + inline("nested", 10)),
        "hosts": "h1 ansible_connection=local\n[web]\nh1\n",
        "group_vars/all.yml": "group: " + inline("group"),
        "group_vars/web.yml": whole(f"group_file: {secret('group_file')}\n"),
        "host_vars/h1.yml": "host: " + inline("host"),
        "extra.yml": "extra: " + inline("extra"),
        "vars.yml": "vars_file: " + inline("vars_file"),
        "whole.yml": whole(f"whole_file: {secret('whole_file')}\n"),
        "included.yml": whole(f"included: {secret('included')}\n"),
        "roles/r/defaults/main.yml": "default: " + inline("default"),
        "roles/r/vars/main.yml": whole(f"role: {secret('role')}\n"),
        "roles/r/tasks/main.yml": "- debug: {msg: '{{ default }} {{ role }}'}\n",
        "files/looked.txt": whole(secret("looked") + "\n"),
        "files/unvaulted.txt": whole(secret("unvaulted") + "\n"),
        "files/copied.txt": whole(secret("copied") + "\n"),
        "templates/templated.j2": whole(secret("templated") + " {{ inline }}\n"),
        "templates/looked_template.j2": whole(secret("looked_template") + "\n"),
        "password": "pass\n",
    }
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


@pytest.mark.parametrize("output", ["plain", "jsonl"])
@pytest.mark.parametrize("check", [[], ["--check"]], ids=["run", "check"])
def test_no_secret_shows(
    output: str, check: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    project = tmp_path / "project"
    lay_out(project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "argv", [
        "wxops", "run", "-i", "hosts", "site.yml", "--output", output, "-vvv", "--diff", "-e", "@extra.yml",
        "--vault-password-file", "password", *check,
    ])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, out[-3000:] + err
    records = "".join(path.read_text(errors="replace") for path in (tmp_path / "state/wxops/runs").rglob("*")
                      if path.is_file())  # fmt: skip
    assert records
    for where, text in {"output": out, "errors": err, "records": records}.items():
        shown = [name for name in SOURCES if secret(name) in text]
        assert shown == [], f"{where}: {[line for line in text.splitlines() if 's3cr3t-' in line][:3]}"
    if not check:
        assert (project / "out").read_text() == f"x {secret('inline')} y\n{secret('nested')}\na={secret('vars_file')}\n"
        assert (project / "out-templated").read_text() == f"{secret('templated')} {secret('inline')}\n"
        assert (project / "out-copied").read_text() == f"{secret('copied')}\n"
