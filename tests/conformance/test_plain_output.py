"""`--output plain` held against ansible-playbook's own output, line for line, with its exit codes and both streams.

What must differ is made the same: times, the line with the run's id, Ansible's word on its configuration file.
ANSIBLE_PYTHON names the interpreter of an environment with ansible-core 2.19.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = os.environ.get("ANSIBLE_PYTHON", "")
FOLDER = Path(__file__).parent / "plain_output"
OURS = [sys.executable, "-c", "from wxops.cli.main import main; main()", "run"]
THEIRS = [str(Path(ANSIBLE).parent / "ansible-playbook")]
ALWAYS_NEW = re.compile(
    r'"(delta|start|end|src|md5sum|atime|mtime|ctime|uid|gid|owner|group|ansible_job_id)": ("[^"]*"|[0-9.]+)'
)
OF_ONE_ALONE = re.compile(r"run \d{8}-\d{6}-[0-9a-f]{4}\n|No config file found; using defaults\n")

pytestmark = pytest.mark.skipif(not ANSIBLE, reason="ANSIBLE_PYTHON names no interpreter with ansible-core")


def play(who: list[str], arguments: str, place: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run it on this machine itself, with an empty directory to write to and a home without any configuration."""
    place.mkdir()
    command = [*who, "-i", "box,", "-c", "local", "-e", f"place={place}", *arguments.split(" ")]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(place.parent), "NO_COLOR": "1",
                   "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    return subprocess.run(command, cwd=FOLDER, env=environment, input=given, capture_output=True, text=True,
                          check=False)  # fmt: skip


def both(arguments: str, tmp_path: Path, given: str = "") -> list[tuple[int, list[str]]]:
    """(exit code, lines) of each."""
    found = []
    for name, who in (("ours", OURS), ("theirs", THEIRS)):
        done = play(who, arguments, tmp_path / name, given)
        text = OF_ONE_ALONE.sub("", done.stdout).replace(str(tmp_path / name), "PLACE")
        found.append((done.returncode, ALWAYS_NEW.sub(r'"\1": ...', text).splitlines()))
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        "site.yml",
        "site.yml -v",
        "site.yml --diff --tags copies",
        "site.yml --check --diff --tags copies",
        "site.yml --tags talk,never --skip-tags never",
        "nobody.yml",
        "nobody.yml site.yml --tags talk",
        "site.yml --syntax-check",
        "site.yml nobody.yml --list-tasks",
        "site.yml --list-tags",
        "nobody.yml --list-hosts --list-tasks --list-tags",
        "nobody.yml --start-at-task Ping",
    ],
)
def test_the_same_lines_and_exit_code(arguments: str, tmp_path: Path) -> None:
    ours, theirs = both(arguments, tmp_path)
    assert ours[1] == theirs[1]
    assert ours[0] == theirs[0]


def test_several_hosts_have_the_same_lines_in_any_order(tmp_path: Path) -> None:
    found = both("hosts.yml -i other,third -i fourth,", tmp_path)
    (our_code, ours), (their_code, theirs) = ((code, by_task(lines)) for code, lines in found)
    assert ours == theirs
    assert our_code == their_code == 2


def by_task(lines: list[str]) -> list[list[str]]:
    """The lines below each banner, sorted: who answers first stands first."""
    text = "\n".join(lines)
    return [sorted(part.splitlines()) for part in re.split(r"\n(?=PLAY|TASK)", text)]


def test_a_play_starts_where_ansible_would_start_it(tmp_path: Path) -> None:
    ours, theirs = both("site.yml --start-at-task An*fails", tmp_path)
    assert ours == theirs
    assert not any("Really fails" in line for line in ours[1][:3]), "the task itself comes first"


def test_step_does_what_the_answers_say(tmp_path: Path) -> None:
    ours, theirs = both("site.yml --step --tags talk,small,copies", tmp_path, "n\nyes\nN\ncontinue\n" + "c\n" * 3)
    results = [[line for line in lines if re.match(r"ok:|changed:|box ", line)] for _, lines in (ours, theirs)]
    assert results[0] == results[1] != []


def test_an_unreachable_host_looks_the_same_but_for_the_reason(tmp_path: Path) -> None:
    (our_code, ours), (their_code, theirs) = both("unreachable.yml", tmp_path)
    assert our_code == their_code == 4
    reason = re.compile(r'"msg": ".*?", ')
    ends = [reason.sub("", "\n".join(lines).partition("\nOrigin: ")[2]) for lines in (ours, theirs)]
    assert ends[0] == ends[1] and "fatal: [box]: UNREACHABLE! => {" in ends[0]


@pytest.mark.parametrize(
    "arguments",
    ["missing.yml", "site.yml --limit nowhere", "site.yml -e @nowhere", "site.yml --no-such-flag", "site.yml -f 0"],
)
def test_what_cannot_be_done_is_said_on_stderr_alone(arguments: str, tmp_path: Path) -> None:
    done = play(OURS, arguments, tmp_path / "ours")
    assert done.returncode in (1, 2) and done.stderr.startswith("error: ") and done.stdout == ""


def test_what_is_no_result_goes_to_stderr(tmp_path: Path) -> None:
    done = play(OURS, "nobody.yml", tmp_path / "ours")
    assert "[WARNING]: " in done.stderr and "[WARNING]" not in done.stdout
