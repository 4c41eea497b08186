"""The two engines, each started inside a lab host of its own, and what it told there of every task.

The host is controller and managed host at once, as ansible-test has it: targets may look at files on either, and
whatever they do, they do it to a host that is thrown away. The tasks reach it over SSH.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.going_on import Lines, go_on
from conformance.suite import Target, integration, library
from wxops.lab.host import Host

REPOSITORY = Path(__file__).parent.parent
SUITE = "/root/suite"  # in the host: a copy of test/integration
OUTPUT = "/root/output"
SITE = "/root/site"  # what a target installs for the controller: its environment is read-only
LIMIT_S = 3600
CUT_OFF = 124  # what timeout(1) ends with
INVENTORY = """\
[testgroup]
testhost ansible_host=127.0.0.1 ansible_user=root ansible_ssh_private_key_file=/root/.ssh/id_ed25519 \
ansible_pipelining=yes ansible_python_interpreter=/usr/bin/python3 ansible_ssh_common_args='-o LogLevel=ERROR'
"""


STAND_IN = f"""\
#!/bin/sh
{{start}} "$@"
code=$?
echo $code >> {OUTPUT}/codes
exit $code
"""


def binds() -> dict[str, Path]:
    """What a host sees of this machine, read-only: this repository, both environments and what they stand on."""
    environments = [(REPOSITORY / ".venv").resolve(), (REPOSITORY / ".venv" / "ansible-core").resolve()]
    packages = [Path(entry).resolve() for entry in sys.path if entry.endswith("site-packages")]
    shared = [REPOSITORY, *environments, *packages, Path(sys.base_prefix)]
    needed = [path for path in dict.fromkeys(shared) if not path.is_relative_to("/usr")]
    return {str(path): path for path in needed if not any(other in path.parents for other in needed)}


@dataclass(frozen=True)
class Outcome:
    """How a target ended: the exit code of each ansible-playbook, seconds, its tasks' results, what was printed.

    whole: it came to an end of its own, and was not cut off after LIMIT_S.
    """

    codes: list[str]
    seconds: float
    told: list[dict[str, Any]]
    output: str
    whole: bool = True


@dataclass(frozen=True)
class Engine:
    """ansible-core or wxops.

    commands: the folder in the host from which `ansible-playbook` is taken. start: what stands for it there. own: what
    only its environment holds.
    """

    name: str
    commands: str
    start: str
    own: Mapping[str, str] = field(default_factory=dict)

    def run(self, host: Host, target: Target, flags: list[str]) -> Outcome:
        """Run a target on a fresh host."""
        _lay_out(host, target)
        started = time.monotonic()
        done = host.ssh(self._script(target, flags), check=False, timeout=LIMIT_S + 60)
        seconds = time.monotonic() - started
        lines = Lines()
        told = [{**said, "where": _original(lines, host, said)} for said in self._told(host.root / OUTPUT[1:])]
        codes = host.root / OUTPUT[1:] / "codes"
        ended = codes.read_text().split() if codes.exists() else []
        return Outcome(ended, seconds, told, done.stdout + done.stderr, done.returncode != CUT_OFF)

    def _script(self, target: Target, flags: list[str]) -> str:
        if target.script:
            go = [f"cd {SUITE}/targets/{target.name}", shlex.join(["./runme.sh", *flags])]
        else:
            go = [f"cd {SUITE}", shlex.join(["ansible-playbook", f"{target.name}.yml", "-i", "inventory", *flags])]
        environment = {**self._environment(), **self.own}
        lines = [*(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
                 *(f"(cd {SUITE}/targets/{name} && ./runme.sh) > /dev/null 2>&1" for name in target.before),
                 " && ".join([go[0], f"timeout {LIMIT_S} {go[1]}"])]  # fmt: skip
        return "\n".join(lines)

    def _environment(self) -> dict[str, str]:
        ansible, own = REPOSITORY / ".venv" / "ansible-core" / "bin", REPOSITORY / ".venv" / "bin"
        return {
            "PATH": f"{self.commands}:{ansible}:{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XDG_STATE_HOME": OUTPUT,
            "OUTPUT_DIR": f"{OUTPUT}/dir", "INVENTORY_PATH": f"{SUITE}/inventory", "LC_ALL": "C.UTF-8",
            "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_DEVEL_WARNING": "false",
            "ANSIBLE_TEST_PYTHON_VERSION": "3.11", "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
            "ANSIBLE_TIMEOUT": "60",  # seconds for a login: a busy machine is no difference between them
            "PAGER": "/bin/cat", "PYTHONDONTWRITEBYTECODE": "1", "PIP_TARGET": SITE, "PYTHONPATH": SITE,
            "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
        }  # fmt: skip

    def _told(self, output: Path) -> Iterator[dict[str, Any]]:
        for file in sorted([*output.glob("told.jsonl"), *output.glob("wxops/runs/*/events.jsonl")]):
            for line in file.read_text(encoding="utf-8").splitlines():
                said = json.loads(line)
                if said.get("event", "task") == "task":
                    yield said


CALLBACK = {
    "ANSIBLE_CALLBACK_PLUGINS": str(REPOSITORY / "conformance" / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "told",
    "TOLD": f"{OUTPUT}/told.jsonl",
}  # fmt: skip
ANSIBLE = Engine(
    "ansible-core", "/root/ansible-core", f"{REPOSITORY}/.venv/ansible-core/bin/ansible-playbook", CALLBACK
)
WXOPS = Engine("wxops", "/root/wxops", f"env PYTHONPATH={REPOSITORY}:{SITE} {REPOSITORY}/.venv/bin/wxops run")


def _lay_out(host: Host, target: Target) -> None:
    """Put the suite, the target's play and a stand-in for ansible-playbook on the host."""
    suite = host.root / SUITE[1:]
    shutil.copytree(integration(), suite, symlinks=True)
    for name in (target.name, *target.needs):
        go_on(suite / "targets" / name)
    shutil.copytree(library(), suite.parent / "lib" / "ansible_test")  # some targets look there for pip's constraints
    (suite / "roles").symlink_to("targets")
    (suite / "inventory").write_text(INVENTORY)
    (suite / f"{target.name}.yml").write_text(json.dumps([_play(target)], indent=1))
    (host.root / OUTPUT[1:] / "dir").mkdir(parents=True)
    for engine in (ANSIBLE, WXOPS):
        stand_in = host.root / engine.commands[1:] / "ansible-playbook"
        stand_in.parent.mkdir(parents=True)
        stand_in.write_text(STAND_IN.format(start=engine.start))
        stand_in.chmod(0o755)
    (host.root / "usr/lib/locale/en_US.utf8").symlink_to("C.utf8")  # some scripts ask for it
    _let_in(host)


def _original(lines: Lines, host: Host, said: Mapping[str, Any]) -> str:
    """file:line of a task in the suite itself; of a playbook that a target wrote somewhere, NAME:line."""
    path, _, rest = str(said["where"]).partition(":")
    line = rest.split(":")[0]
    if line.isdigit() and not path.startswith(SUITE):
        return f"{Path(path).name}:{line}"
    return f"{path}:{lines.original(host.root / path[1:], int(line))}" if line.isdigit() else path


def _let_in(host: Host) -> None:
    """Root of the host may log in to the host itself, whose key it knows."""
    home = host.root / "root" / ".ssh"
    shutil.copy(host.key, home / "id_ed25519")  # as the lab's inventory does: root accepts it already
    kind, key = host.host_key.with_suffix(".pub").read_text().split()[:2]
    (home / "known_hosts").write_text(f"127.0.0.1,localhost {kind} {key}\n")


def _play(target: Target) -> dict[str, Any]:
    """The play with which ansible-test runs a role."""
    facts = "gather_facts/no" not in target.aliases
    variables = {"output_dir": f"{OUTPUT}/dir"}
    return {"hosts": "testhost", "gather_facts": facts, "vars": variables, "roles": [target.name]}
