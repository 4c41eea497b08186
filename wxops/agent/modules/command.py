"""A command on the host, without a shell."""

from __future__ import annotations

import datetime
import errno
import glob
import os
import shlex
import shutil
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.tree import matching

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    from wxops.agent.arguments import Path, Raw
    from wxops.agent.change import Change

    Result = Dict[str, Any]

FREE_FORM = "_raw_params"
NOT_STARTED = 257  # `rc` of what is no command, as Ansible tells it


def command(
    change: Change,
    _raw_params: Optional[str] = None,
    cmd: Optional[str] = None,
    argv: Optional[List[str]] = None,
    chdir: Optional[Path] = None,
    creates: Optional[Path] = None,
    removes: Optional[Path] = None,
    stdin: Optional[Raw] = None,
    stdin_add_newline: bool = True,
    strip_empty_ends: bool = True,
    expand_argument_vars: bool = True,
    executable: Optional[Path] = None,
) -> Dict[str, Any]:
    """Run a command. It is not taken back by a rollback unless the task names its inverse with `rollback:`.

    cmd: the command as text; quotes work as in a shell, but no pipe, redirection or glob does.
    argv: the command as a list.
    chdir: the directory to run it in.
    creates: a path or glob; when it exists the command is not run.
    removes: a path or glob; when it does not exist the command is not run.
    stdin: text for its standard input.
    stdin_add_newline: end that text with a newline.
    strip_empty_ends: remove empty lines at the end of what it prints.
    expand_argument_vars: expand `~` and $VARIABLES in the arguments.
    executable: taken for Ansible's sake; only `shell` runs commands by another program.
    """
    if sum(1 for given in (_raw_params, cmd, argv) if given is not None) > 1:
        raise ModuleFailure("parameters are mutually exclusive: command, cmd, argv; give one of them", rc=256)
    words = argv or _words(_raw_params or cmd or "")
    if not words:
        raise ModuleFailure("no command given: one of the following is required: cmd, argv", rc=NOT_STARTED)
    if executable:
        change.warnings.append("executable is no longer supported by command and has no effect: `shell` takes it")
    expanded = [change.expand(word) for word in words] if expand_argument_vars else words
    conditions = Conditions(chdir, creates, removes)
    return execute(change, expanded, words, conditions, standard_input(stdin, stdin_add_newline), strip_empty_ends)


class Conditions:
    """Where a command runs, and what must be or not be there for it to run."""

    def __init__(self, chdir: Optional[str], creates: Optional[str], removes: Optional[str]) -> None:
        self.chdir, self.creates, self.removes = chdir, creates, removes

    def unneeded(self, change: Change) -> Optional[Tuple[str, str]]:
        """Why the command need not run, in Ansible's words: a path, and what of it."""
        if self.creates and self._exists(change, self.creates):
            return self.creates, "exists"
        if self.removes and not self._exists(change, self.removes):
            return self.removes, "does not exist"
        return None

    def decide(self) -> bool:
        """Does check mode know what a run would do?"""
        return bool(self.creates or self.removes)

    def _exists(self, change: Change, pattern: str) -> bool:
        folder = glob.escape(os.path.abspath(self.chdir or "."))
        return matching(change, os.path.join(folder, pattern))


def execute(change: Change, argv: Sequence[str], shown: Any, conditions: Conditions, stdin: Optional[bytes] = None,
            strip: bool = True) -> Result:  # fmt: skip
    """Run argv and return what Ansible's command registers; `shown` is what it calls `cmd`."""
    result: Result = {"cmd": shown, "stdout": "", "stderr": "", "stdout_lines": [], "stderr_lines": [], "rc": 0,
                      "start": None, "end": None, "delta": None, "msg": "", "changed": False}  # fmt: skip
    _find_directory(change, conditions.chdir, result)
    unneeded = conditions.unneeded(change)
    if unneeded:
        path, holds = unneeded
        skipped = "skipped, since %s %s" % unneeded
        said = "%s not run command since '%s' %s" % ("Would" if change.check else "Did", path, holds)
        return dict(result, msg=said, stdout=skipped, stdout_lines=[skipped])
    if change.check:
        unknown = {} if conditions.decide() else {"skipped": True}
        return dict(result, msg="Command would have run if not in check mode", changed=not unknown, **unknown)
    _find_program(argv, conditions.chdir, result)
    done = change.run_command(argv, " ".join(argv).rstrip(), stdin=stdin, cwd=conditions.chdir)
    out, err = (text.rstrip("\r\n") if strip else text for text in (done.stdout, done.stderr))
    result.update(stdout=out, stderr=err, stdout_lines=out.splitlines(), stderr_lines=err.splitlines(), rc=done.rc,
                  changed=True, **_times(done.start, done.end))  # fmt: skip
    if done.rc != 0:
        raise ModuleFailure("non-zero return code", **_without_message(result))
    return result


def standard_input(stdin: Any, add_newline: bool) -> Optional[bytes]:
    return None if stdin is None else (str(stdin) + ("\n" if add_newline else "")).encode()


def _words(text: str) -> List[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ModuleFailure("%s in: %s" % (error, text), rc=256) from None


def _find_directory(change: Change, chdir: Optional[str], result: Result) -> None:
    if chdir and change.file(chdir, follow=True)["type"] != "directory":
        raise ModuleFailure(
            "Unable to change directory before execution: there is none at %s" % chdir,
            **dict(_without_message(result), rc=None),
        )


def _find_program(argv: Sequence[str], chdir: Optional[str], result: Result) -> None:
    """A command that cannot start is no change, and must not stand in the journal as one."""
    name = argv[0]
    path = os.path.join(chdir or ".", name) if "/" in name else name
    if shutil.which(path) is None:
        line = " ".join(map(shlex.quote, argv))
        there = os.path.isfile(path)
        told = dict(_without_message(result), rc=errno.EACCES if there else errno.ENOENT, cmd=line)
        said = (
            "%r cannot be executed: it is a file without permission for it"
            if there
            else "there is no program %r on this host"
        )
        raise ModuleFailure(said % name, **told)


def _without_message(result: Result) -> Result:
    return {key: value for key, value in result.items() if key != "msg"}


def _times(start: float, end: float) -> Dict[str, str]:
    """Start, end and delta as Ansible writes them."""
    begun, ended = (datetime.datetime.fromtimestamp(moment) for moment in (start, end))
    return {"start": str(begun), "end": str(ended), "delta": str(ended - begun)}
