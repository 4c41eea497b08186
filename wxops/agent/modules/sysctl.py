"""Kernel parameters, in the file that sets them at boot and in the running kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.resources.sysctl import path_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change

ALIASES = {"key": "name", "val": "value"}
TRUE, FALSE = ("true", "yes", "on", "y", "t"), ("false", "no", "off", "n", "f")


def sysctl(
    change: Change,
    name: str,
    value: Optional[str] = None,
    state: Literal["absent", "present"] = "present",
    sysctl_file: Path = "/etc/sysctl.conf",
    sysctl_set: bool = False,
    reload: bool = True,
    ignoreerrors: bool = False,
) -> Dict[str, Any]:
    """Set a kernel parameter for the next boot and, by default, now.

    name: the parameter, as net.ipv4.ip_forward.
    value: its value; a boolean is written as 1 or 0.
    state: whether the file is to name it. The running kernel keeps the value that it has.
    sysctl_file: the file; one below /etc/sysctl.d is made if it is missing.
    sysctl_set: set the running kernel's value even if the file is right already.
    reload: let the running kernel take all that the file says, if the file or the kernel's value is not as wanted.
    ignoreerrors: pass over parameters that this kernel does not know.
    """
    name = name.strip()
    if not name:
        raise ModuleFailure("`name` is empty")
    if state == "present" and not (value or "").strip():
        raise ModuleFailure("`value` is missing: what %s is to be" % name)
    wanted = _value(value) if state == "present" else None
    before = (change.read(sysctl_file) or b"").decode("utf-8", "surrogateescape")
    after = _with(before, name, wanted)
    differs = wanted is not None and change.state("sysctl", path_of(name))["value"] != wanted
    now = [(name, wanted)] if wanted is not None and differs and sysctl_set else []
    if reload and (after != before or differs):
        now += _entries(after)
    settings = _known(change, now, ignoreerrors)
    if after != before:
        change.write(sysctl_file, after.encode("utf-8", "surrogateescape"))
    for path, setting, forgiving in settings:
        _set(change, path, setting, forgiving)
    return {"name": name, "state": state, **({"value": wanted} if wanted is not None else {})}


def _value(value: Optional[str]) -> str:
    text = " ".join((value or "").split())
    return "1" if text.lower() in TRUE else "0" if text.lower() in FALSE else text


def _entry(line: str) -> Optional[Tuple[str, str]]:
    """The parameter and value that a line sets; None for a comment and anything else."""
    if line.strip().startswith(("#", ";")) or "=" not in line:
        return None
    parameter, _, setting = line.partition("=")
    return parameter.strip(), " ".join(setting.split())


def _entries(text: str) -> List[Tuple[str, str]]:
    """What a file sets, in its order: of a parameter that it sets twice the last counts."""
    return [entry for entry in map(_entry, text.splitlines()) if entry is not None]


def _with(text: str, name: str, value: Optional[str]) -> str:
    """The file with the parameter set once to that value, or not at all; a line that is right stays as written."""
    lines: List[str] = []
    found = False
    for line in text.splitlines():
        entry = _entry(line)
        if entry is None or path_of(entry[0].lstrip("-")) != path_of(name):
            lines.append(line)
        elif value is not None and not found:
            lines.append(line if entry[1] == value else "%s=%s" % (name, value))
            found = True
    if value is not None and not found:
        lines.append("%s=%s" % (name, value))
    if lines == text.splitlines():
        return text
    return "".join(line + "\n" for line in lines)


def _known(change: Change, settings: Sequence[Tuple[str, str]], ignoreerrors: bool) -> List[Tuple[str, str, bool]]:
    """Path, value and whether a failure is passed over, of the parameters that this kernel has.

    As sysctl(8): a leading `-` passes over what fails. Told before anything is written: the file stays as it is.
    """
    found = []
    for parameter, value in settings:
        forgiving = ignoreerrors or parameter.startswith("-")
        path = path_of(parameter.lstrip("-"))
        if change.state("sysctl", path)["value"] is not None:
            found.append((path, value, forgiving))
        elif not forgiving:
            raise ModuleFailure(
                "this kernel has no parameter %s; load its module first, or set `ignoreerrors`" % parameter
            )
    return found


def _set(change: Change, path: str, value: str, forgiving: bool) -> None:
    try:
        change.set("sysctl", path, {"value": value})
    except ModuleFailure:
        if not forgiving:
            raise
