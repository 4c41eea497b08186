"""Units of systemd: services, sockets, timers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.service import HOW, KIND, PARTS, name_of
from wxops.agent.systemctl import UNIT_FOLDERS, known_units, unit_name

if TYPE_CHECKING:
    from typing import Any, Dict, Literal, Optional

    from wxops.agent.change import Change
    from wxops.agent.resources import State

ALIASES = {"service": "name", "unit": "name", "daemon-reload": "daemon_reload", "daemon-reexec": "daemon_reexec"}


def systemd_service(
    change: Change,
    name: Optional[str] = None,
    state: Optional[Literal["reloaded", "restarted", "started", "stopped"]] = None,
    enabled: Optional[bool] = None,
    masked: Optional[bool] = None,
    force: bool = False,
    daemon_reload: bool = False,
    daemon_reexec: bool = False,
    no_block: bool = False,
    scope: Literal["system", "user", "global"] = "system",
) -> Dict[str, Any]:
    """Start, stop, restart, enable or mask a unit of systemd. A rollback sets back what was set, links included.

    name: the unit; `.service` may be left out.
    state: started and stopped act only if needed; restarted and reloaded always do, and start a unit that is stopped.
        On rollback a restart or reload is done once more, after the files are back.
    enabled: whether the unit starts at boot.
    masked: whether it is made impossible to start.
    force: let `enabled` replace links that are there.
    daemon_reload: make systemd read its files anew, before anything else. Not counted as a change.
    daemon_reexec: make systemd start itself anew, before anything else. Not counted as a change.
    no_block: do not wait until the unit has started or stopped.
    scope: the system's manager, that of the user the task runs as, or all users'.
    """
    if name is None and (state is not None or enabled is not None or masked is not None):
        raise ModuleFailure("`name` is missing: the unit that state, enabled and masked speak of")
    if name is None and not (daemon_reload or daemon_reexec):
        raise ModuleFailure("nothing to do: give state, enabled, masked, daemon_reload or daemon_reexec")
    for verb, asked in (("daemon-reload", daemon_reload), ("daemon-reexec", daemon_reexec)):
        if asked:
            _act(change, scope, verb, "", [])
    if name is None:
        return {"name": None, "changed": False, "status": {}}
    if any(letter in name for letter in "*?["):
        raise ModuleFailure("%r is a pattern; name one unit" % name)
    key = name_of(scope, unit_name(name))
    now = _look(change, scope, key, name, masked is not None and state is None and enabled is None)
    unit = now["status"].get("Id") or unit_name(name)
    wanted = {"masked": masked, "enabled": enabled, "active": _wanted_active(now, state)}
    options = {"force": ["--force"] if force else [], "no_block": ["--no-block"] if no_block else []}
    changed = _set(change, name_of(scope, unit), now, wanted, options)
    if state in ("restarted", "reloaded") and now["active"]:
        changed = _act(change, scope, state[:-2], unit, options["no_block"])
    result = {"name": name, "changed": changed, "status": now["status"]}
    if enabled is not None:
        result["enabled"] = enabled
    if state is not None:
        result["state"] = "stopped" if state == "stopped" else "started"
    return result


def _wanted_active(now: State, state: Optional[str]) -> Optional[bool]:
    """None when the state is left alone, or only something is done to what runs already."""
    if state is None or (state in ("restarted", "reloaded") and now["active"]):
        return None
    return state != "stopped"


def _set(change: Change, name: str, now: State, wanted: Dict[str, Optional[bool]], options: Dict[str, Any]) -> bool:
    """Ask for what is not so yet: with nothing to do, `now` saves a second look."""
    parts = {part: wanted[part] for part in PARTS if wanted[part] is not None}
    return not KIND.same(now, parts) and change.set("service", name, {**parts, HOW: options})


def _act(change: Change, scope: str, verb: str, unit: str, options: Any) -> bool:
    words = [verb, name_of(scope, unit) if unit else "" if scope == "system" else scope]
    return change.act("unit_action", " ".join(filter(None, words)), verb=verb, unit=unit, scope=scope, options=options)


def _look(change: Change, scope: str, key: str, name: str, may_be_missing: bool) -> State:
    """The unit now, or in check mode as earlier tasks would have made it. One that does not exist can be masked."""
    now = change.state("service", key)
    error = now["status"].get("LoadError", "")
    if now["exists"] and error and not now["masked"]:
        raise ModuleFailure("systemd cannot load %s: %s" % (key, error), status=now["status"])
    if change.check and change.file(now["status"].get("FragmentPath") or "/")["type"] == "absent":
        now = dict(now, exists=False)  # an earlier task would have removed its file
    if now["exists"] or may_be_missing:
        real = name_of(scope, now["status"].get("Id", key))
        return change.state("service", real) if change.check and real != key else now
    foreseen = _foreseen(change, key.rpartition("/")[2]) if change.check else None
    if foreseen is None:
        raise ModuleFailure(_missing(scope, name), status=now["status"])
    return dict(now, **foreseen)


def _foreseen(change: Change, unit: str) -> Optional[State]:
    """What a check can say of a unit whose file, or package, an earlier task would have brought.

    Debian's packages start and enable their services when they are installed.
    """
    template = unit.partition("@")[0] + "@." + unit.rpartition(".")[2]
    for path in change.view.pending("file"):
        folder, name = os.path.split(path)
        if folder in UNIT_FOLDERS and name in (unit, template) and change.file(path)["type"] != "absent":
            return {"exists": True, "active": False, "enabled": False, "masked": False}
    if change.view.pending("package"):
        return {"exists": True, "active": True, "enabled": True, "masked": False}
    return None


def _missing(scope: str, name: str) -> str:
    """Begins as Ansible's message does, which playbooks look for."""
    import difflib

    near = difflib.get_close_matches(unit_name(name), known_units(scope), n=1, cutoff=0.6)
    hint = "did you mean %s?" % near[0] if near else "`systemctl list-unit-files` shows those that there are"
    return "Could not find the requested service %s: this host has no such unit; %s" % (name, hint)
