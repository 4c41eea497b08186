"""Jobs and variables in crontabs, of users and in /etc/cron.d."""

from __future__ import annotations

import os
import pwd
import re
from typing import TYPE_CHECKING

from wxops.agent.content import Content
from wxops.agent.crontab import Crontab, job_line
from wxops.agent.failure import ModuleFailure

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

ALIASES = {"value": "job", "dom": "day", "dow": "weekday"}
SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron")  # Debian's, the RHEL family's
DIRECTORY = "/etc/cron.d"
NOT_OURS = "the crontab of %s lies in %s, which only root may enter: run the task as root, with `user: %s`"


def cron(
    change: Change,
    name: str,
    job: Optional[str] = None,
    state: Literal["absent", "present"] = "present",
    user: Optional[str] = None,
    cron_file: Optional[Path] = None,
    minute: str = "*",
    hour: str = "*",
    day: str = "*",
    month: str = "*",
    weekday: str = "*",
    special_time: Optional[Literal["annually", "daily", "hourly", "monthly", "reboot", "weekly", "yearly"]] = None,
    disabled: bool = False,
    env: bool = False,
    insertafter: Optional[str] = None,
    insertbefore: Optional[str] = None,
    backup: bool = False,
) -> Dict[str, Any]:
    """Set or remove a job, or a variable, in a crontab. Jobs are found by the comment `#Ansible: NAME` above them.

    name: the job's name, or with `env` the variable's.
    job: the command, or with `env` the variable's value.
    state: whether the entry is to exist.
    user: whose crontab; with `cron_file`, who runs the job. Default: the user that the task runs as.
    cron_file: a file in /etc/cron.d, or a path, instead of a user's crontab.
    minute: 0-59, `*`, `*/5`, lists and ranges.
    hour: 0-23.
    day: of the month, 1-31.
    month: 1-12 or names.
    weekday: 0-6 (0 is Sunday) or names.
    special_time: instead of the five fields.
    disabled: write the job as a comment.
    env: the entry is a variable.
    insertafter: put a new variable after this one.
    insertbefore: put a new variable before this one.
    backup: keep a copy of the crontab as it was; its path is returned as `backup_file`.
    """
    fields = " ".join((minute, hour, day, month, weekday))
    if special_time and fields != "* * * * *":
        raise ModuleFailure("`special_time` cannot be combined with minute, hour, day, month or weekday")
    if state == "present" and job is None:
        raise ModuleFailure("`job` is missing: the command, or with `env` the value")
    if state == "present" and cron_file and not user:
        raise ModuleFailure("a job in `cron_file` needs `user`, who is to run it")
    if (insertafter or insertbefore) and not env:
        raise ModuleFailure("`insertafter` and `insertbefore` place variables: they need `env: true`")
    if insertafter and insertbefore:
        raise ModuleFailure("give `insertafter` or `insertbefore`, not both")
    _warn(change, job, cron_file, env)
    path = _named_file(cron_file) if cron_file else _crontab_of(change, user)
    before = change.read(path)
    crontab = Crontab((before or b"").decode("utf-8", "surrogateescape"))
    if env:
        _set_variable(crontab, name, job, state, insertafter, insertbefore)
    elif state == "absent":
        crontab.remove_job(name)
        if cron_file and crontab.changed and crontab.empty:
            change.set("file", change.place(path), {"type": "absent"})
            return {"cron_file": cron_file, "state": state}
    else:
        when = "@" + special_time if special_time else fields
        crontab.set_job(name, job_line(when, job or "", user if cron_file else None, disabled))
    result = {"jobs": crontab.jobs(), "envs": crontab.variables(), **({"cron_file": cron_file} if cron_file else {})}
    if crontab.changed:
        if backup:
            result["backup_file"] = _back_up(change, before or b"")
        _write(change, path, crontab, None if cron_file else _user(user))
    return result


def _warn(change: Change, job: Optional[str], cron_file: Optional[str], env: bool) -> None:
    if cron_file and not re.match(r"^[A-Za-z0-9_-]+$", os.path.basename(cron_file)):
        change.warnings.append("cron reads no file in /etc/cron.d with other than letters, digits, - and _ in its name")
    if not env and re.search(r"[\r\n]", (job or "").strip("\r\n")):
        change.warnings.append("`job` holds a line break; cron takes what follows for an entry of its own")


def _named_file(cron_file: str) -> str:
    path = os.path.join(DIRECTORY, cron_file)
    if path == "/etc/crontab":
        raise ModuleFailure("/etc/crontab is the system's own; put jobs in a file of /etc/cron.d")
    return path


def _crontab_of(change: Change, user: Optional[str]) -> str:
    name = _user(user)
    coming = change.check and change.view.pending("package")
    spool = next((spool for spool in SPOOLS if os.path.isdir(spool)), SPOOLS[0] if coming else None)
    if spool is None:
        raise ModuleFailure("this host has no cron (no %s): install its package first" % SPOOLS[0])
    if os.path.isdir(spool) and not os.access(spool, os.W_OK | os.X_OK):
        raise ModuleFailure(NOT_OURS % (name, spool, name))
    if not change.state("user", name)["exists"] and not coming:
        raise ModuleFailure("there is no user %r on this host" % name)
    return os.path.join(spool, name)


def _user(user: Optional[str]) -> str:
    return user or pwd.getpwuid(os.geteuid()).pw_name


def _set_variable(
    crontab: Crontab, name: str, value: Optional[str], state: str, after: Optional[str], before: Optional[str]
) -> None:
    if " " in name:
        raise ModuleFailure("%r is no name for a variable: it holds a space" % name)
    if state == "absent":
        crontab.remove_variable(name)
    elif not crontab.set_variable(name, value or "", after, before):
        raise ModuleFailure("there is no variable %r to put %s beside" % (after or before, name))


def _back_up(change: Change, text: bytes) -> str:
    import tempfile

    path = os.path.join(tempfile.gettempdir(), "crontab" + os.urandom(4).hex())
    change.write(path, text, mode=0o600)
    return path


def _write(change: Change, path: str, crontab: Crontab, user: Optional[str]) -> None:
    """A user's crontab is theirs, of the spool's group and 0600, as crontab(1) makes it.

    The rename into the spool is what makes cron look: it watches the directory's time.
    """
    now = change.file(path, follow=True)
    wanted: Dict[str, Any] = {"type": "file"}
    if now["type"] == "absent" and user is None:
        wanted["mode"] = 0o644
    elif now["type"] == "absent":
        spool = os.path.dirname(path)
        if spool == SPOOLS[0]:
            crontab.give_header()
        gid = os.stat(spool).st_gid if os.path.isdir(spool) else -1
        wanted.update(mode=0o600, uid=change.state("user", str(user)).get("uid", -1), gid=gid)
    wanted["content"] = Content(crontab.text().encode("utf-8", "surrogateescape"))
    change.set("file", change.real(path), wanted)
