"""A command line on the host, read by a shell: pipes, redirections and globs work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.command import NOT_STARTED, Conditions, execute, standard_input

if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from wxops.agent.arguments import Path, Raw
    from wxops.agent.change import Change

FREE_FORM = "_raw_params"


def shell(
    change: Change,
    _raw_params: Optional[str] = None,
    cmd: Optional[str] = None,
    executable: Optional[Path] = None,
    chdir: Optional[Path] = None,
    creates: Optional[Path] = None,
    removes: Optional[Path] = None,
    stdin: Optional[Raw] = None,
    stdin_add_newline: bool = True,
    strip_empty_ends: bool = True,
) -> Dict[str, Any]:
    """Run a command line in a shell. It is not taken back by a rollback unless the task names its inverse.

    cmd: the command line. Quote what comes from variables: {{ name | quote }}.
    executable: the shell, /bin/sh by default.
    chdir: the directory to run it in.
    creates: a path or glob; when it exists the command is not run.
    removes: a path or glob; when it does not exist the command is not run.
    stdin: text for its standard input.
    stdin_add_newline: end that text with a newline.
    strip_empty_ends: remove empty lines at the end of what it prints.
    """
    text = _raw_params or cmd
    if not text:
        raise ModuleFailure("no command given", rc=NOT_STARTED)
    argv = [executable or "/bin/sh", "-c", text]
    conditions = Conditions(chdir, creates, removes)
    return execute(change, argv, text, conditions, standard_input(stdin, stdin_add_newline), strip_empty_ends)
