"""Running git: never a question, no repacking behind our back, and its own words when it fails."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from wxops.agent.process import Completed

QUIET = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"]
"""Repacking would take away objects that a rollback counts on."""
LOGIN = re.compile(r"(\w+://)[^/@\s]+@")


class Git:
    """git as a task calls it."""

    def __init__(self, executable: Optional[str] = None, ssh_options: str = "") -> None:
        self.executable = executable or shutil.which("git") or ""
        if not self.executable:
            raise ModuleFailure("this host has no git: install the package git first")
        ssh = os.environ.get("GIT_SSH") or os.environ.get("GIT_SSH_COMMAND") or "ssh"
        self.environment: Dict[str, str] = {
            "LC_ALL": "C.UTF-8", "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": os.environ.get("GIT_TERMINAL_PROMPT", "0"),
            "GIT_SSH_COMMAND": ("%s %s" % (ssh, ssh_options)).strip(),
            "GIT_OPTIONAL_LOCKS": "0",  # who only asks rewrites no index
        }  # fmt: skip

    def ask(self, *words: str, cwd: Optional[str] = None) -> Completed:
        """Run git; its `rc` tells whether it could."""
        return run([self.executable, *QUIET, *words], cwd=cwd, environment=self.environment)

    def do(self, *words: str, cwd: Optional[str] = None, problem: str = "") -> str:
        """Run git and return what it printed. Raises ModuleFailure, beginning with `problem`, when it fails."""
        done = self.ask(*words, cwd=cwd)
        if done.rc != 0:
            said = LOGIN.sub(r"\1****@", done.stderr.strip() or done.stdout.strip())
            shown = {**done.result(), "stderr": said, "stderr_lines": said.splitlines(),
                     "cmd": [LOGIN.sub(r"\1****@", word) for word in done.argv if word not in QUIET]}  # fmt: skip
            raise ModuleFailure("%s: %s" % (problem or "git %s failed" % words[0], said), **shown)
        return done.stdout

    def lines(self, *words: str, cwd: Optional[str] = None) -> List[str]:
        """What git lists, one a line or, with -z, one a zero byte; nothing when it cannot."""
        done = self.ask(*words, cwd=cwd)
        found = done.stdout.split("\0") if "-z" in words else done.stdout.splitlines()
        return [line for line in found if line] if done.rc == 0 else []


def ssh_options(
    given: Optional[str], key_file: Optional[str], accept_hostkey: bool, accept_newhostkey: bool
) -> str:  # fmt: skip
    """What git's ssh is told: no questions, and the operator's wishes about keys."""
    words = [os.environ.get("GIT_SSH_OPTS", ""), given or ""]
    told = " ".join(words)
    if accept_hostkey and "StrictHostKeyChecking" not in told:
        words.append("-o StrictHostKeyChecking=no")
    if accept_newhostkey and "StrictHostKeyChecking" not in told:
        words.append("-o StrictHostKeyChecking=accept-new")
    words.append("-o BatchMode=yes")
    if key_file:
        words.append("-i %s -o IdentitiesOnly=yes" % key_file)
    return " ".join(filter(None, words))
