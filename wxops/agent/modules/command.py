"""A command on the host, without a shell."""

from __future__ import annotations

import glob
import shlex
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from wxops.agent.arguments import Path, Raw
    from wxops.agent.change import Change

FREE_FORM = "_raw_params"


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
    expand_argument_vars: expand $VARIABLES in the arguments.
    """
    text = cmd or _raw_params
    if bool(text) == bool(argv):
        raise ModuleFailure("give either a command or `argv`", rc=256)
    words = argv or shlex.split(text or "")
    if expand_argument_vars:
        words = [change.expand(word) for word in words]
    return execute(
        change, words, text or " ".join(words), chdir, creates, removes, stdin, stdin_add_newline, strip_empty_ends
    )


def execute(
    change: Change, argv: Sequence[str], shown: Any, chdir: Optional[str], creates: Optional[str],
    removes: Optional[str], stdin: Any, stdin_add_newline: bool, strip_empty_ends: bool,
) -> Dict[str, Any]:  # fmt: skip
    """Run argv and return what Ansible's command registers; shared with `shell`, `script` and `raw`."""
    empty = {
        "cmd": shown,
        "stdout": "",
        "stderr": "",
        "stdout_lines": [],
        "stderr_lines": [],
        "rc": 0,
        "changed": False,
    }
    unneeded = _unneeded(change, chdir, creates, removes)
    if unneeded:
        return dict(empty, msg=unneeded, skipped=False)
    if change.check:
        return dict(empty, msg="the command would run; it is not run in check mode", skipped=not (creates or removes),
                    changed=bool(creates or removes))  # fmt: skip
    given = None
    if stdin is not None:
        given = (str(stdin) + ("\n" if stdin_add_newline else "")).encode()
    done = change.run_command(argv, " ".join(argv), stdin=given, cwd=chdir)
    result = dict(done.result(), cmd=shown, changed=True, **_times(done.start, done.end))
    if not strip_empty_ends:
        result.update(stdout=done.stdout, stderr=done.stderr)
    if done.rc != 0:
        raise ModuleFailure("the command ended with %d" % done.rc, **result)
    return result


def _unneeded(change: Change, chdir: Optional[str], creates: Optional[str], removes: Optional[str]) -> Optional[str]:
    if creates and _exists(change, chdir, creates):
        return "not run: %s exists" % creates
    if removes and not _exists(change, chdir, removes):
        return "not run: %s does not exist" % removes
    return None


def _exists(change: Change, chdir: Optional[str], pattern: str) -> bool:
    path = (chdir.rstrip("/") + "/" if chdir and not pattern.startswith("/") else "") + pattern
    return bool(glob.glob(path)) or change.file(path, follow=True)["type"] != "absent"


def _times(start: float, end: float) -> Dict[str, str]:
    """Start, end and delta as Ansible writes them."""
    import datetime

    begun, ended = (datetime.datetime.fromtimestamp(moment) for moment in (start, end))
    return {"start": str(begun), "end": str(ended), "delta": str(ended - begun)}
