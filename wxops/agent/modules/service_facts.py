"""What services there are, which run and which start at boot, as the fact `services`. Changes nothing."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.change import Change

    Services = Dict[str, Dict[str, str]]

BAD = ("not-found", "masked", "failed")
NO_SCRIPTS = 4
SCRIPT = re.compile(r"^\s*\[ (?P<state>[+-]) \]\s+(?P<name>.+)$", re.MULTILINE)
ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}


def service_facts(change: Change) -> Dict[str, Any]:
    """Return all services as the fact `services`: name -> name, state, source, and status for those of systemd.

    state: running, stopped, failed, inactive, ... status: enabled, disabled, static, masked, not-found, failed, ...
    A service with an init script is there twice: as `cron` and as `cron.service`.
    """
    services = _scripts(change) if shutil.which("service") and not shutil.which("chkconfig") else {}
    if os.path.isdir("/run/systemd/system"):
        services.update(_units(change))
        _foresee(change, services)
    if not services:
        return {"skipped": True, "msg": "Failed to find any services: this host has neither systemd nor `service`"}
    return {"ansible_facts": {"services": services}}


def _scripts(change: Change) -> Services:
    """Those of System V, as `service` lists them."""
    done = run(["service", "--status-all"], environment=ENGLISH)
    if done.rc == NO_SCRIPTS and not os.path.exists("/etc/init.d"):
        return {}
    if done.rc != 0:
        change.warnings.append("Unable to query 'service' tool (%d): %s" % (done.rc, done.stderr.strip()))
    listed = {found.group("name"): found.group("state") for found in SCRIPT.finditer(done.stdout)}
    return {
        name: {"name": name, "state": "running" if state == "+" else "stopped", "source": "sysv"}
        for name, state in listed.items()
    }


def _units(change: Change) -> Services:
    """systemd's: those that it has loaded, and the unit files that it has not."""
    services = {}
    for words in _table(change, "list-units", "--plain"):
        described = words[:-1]
        bad = next((state for state in BAD if state in described), None)
        services[words[0]] = _service(words[0], "running" if words[3] == "running" else "stopped", bad or words[2])
    files = {words[0]: words[1] for words in _table(change, "list-unit-files")}
    states = _active_states([name for name in files if name not in services and "@." not in name])
    for name, status in files.items():
        if name not in services:
            services[name] = _service(name, states.get(name, "unknown"), status)
        elif services[name]["status"] not in BAD:
            services[name]["status"] = status
    return services


def _service(name: str, state: str, status: str) -> Dict[str, str]:
    return {"name": name, "state": state, "status": status, "source": "systemd"}


def _table(change: Change, *words: str) -> Any:
    """The lines that name a service, in words."""
    done = run(["systemctl", "--no-pager", "--no-legend", "--type", "service", "--all", *words], environment=ENGLISH)
    if done.rc != 0:
        change.warnings.append("systemctl %s: %s" % (words[0], done.stderr.strip()))
    return [line.split() for line in done.stdout.splitlines() if ".service" in line]


def _active_states(names: Any) -> Dict[str, str]:
    """Asked all at once: one command a unit would take seconds."""
    if not names:
        return {}
    told = run(["systemctl", "show", "--property=ActiveState", "--", *names], environment=ENGLISH).stdout
    found = re.findall("^ActiveState=(.*)$", told, re.MULTILINE)
    return dict(zip(names, found)) if len(found) == len(names) else {}


def _foresee(change: Change, services: Services) -> None:
    """What earlier tasks of a check would have made of them."""
    for name in change.view.pending("service"):
        state = change.state("service", name)
        if name.endswith(".service"):
            known = services.setdefault(name, _service(name, "inactive", "unknown"))
            if "active" in state:  # systemd forgets a unit that neither runs nor is enabled
                known["state"] = "running" if state["active"] else "stopped" if state.get("enabled") else "inactive"
            if state.get("enabled") is not None:
                known["status"] = "enabled" if state["enabled"] else "disabled"
            if state.get("masked"):
                known["status"] = "masked"
