"""A unit of systemd: whether it runs, starts at boot and is masked, and the very links that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent import systemctl
from wxops.agent.resources import Kind

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from wxops.agent.change import View
    from wxops.agent.journal import Journal
    from wxops.agent.resources import State

PARTS = ("active", "enabled", "masked")
# `systemctl is-enabled` of units that need no enabling, or that a generator or an alias enables.
NEEDS_NO_ENABLING = ("static", "generated", "transient", "alias")
HOW = "how"
"""The key of a wanted state for options that are no part of it: no_block, force."""


class ServiceKind(Kind):
    """The name is a unit's, with `user/` or `global/` before it in those scopes.

    States: exists; active, enabled, masked; links (path -> target), folders (where links are), names (whose links);
    status (all that systemd tells). A wanted state holds those of PARTS that matter.
    """

    def read(self, name: str, view: View) -> State:
        scope, unit = scope_of(name)
        status = systemctl.show(scope, unit)
        names = systemctl.related_names(unit, status)
        links = systemctl.links(scope, names)
        return {
            "exists": status.get("LoadState") != "not-found",
            "active": systemctl.is_active(status),
            "enabled": _is_enabled(unit, status, links),
            "masked": status.get("UnitFileState") in ("masked", "masked-runtime"),
            "links": links,
            "folders": systemctl.link_folders(scope),
            "names": sorted(names),
            "status": status,
        }

    def same(self, now: State, wanted: State) -> bool:
        if "links" in wanted and wanted["links"] != now.get("links"):
            return False
        return all(_part_is(now, part, wanted[part]) for part in PARTS if part in wanted)

    def merged(self, before: State, wanted: State) -> State:
        after = {key: value for key, value in before.items() if key not in ("links", "folders", "names", "status")}
        return dict(after, **wanted, touched=[part for part in PARTS if part in wanted])

    def predict(self, before: State, after: State) -> State:
        return dict(after, exists=True, status=before["status"])

    def write(self, name: str, state: State) -> None:
        scope, unit = scope_of(name)
        if "links" in state:
            systemctl.put_links_back(scope, set(state["names"]), state["links"], state["folders"])
        now = self.read(name, None)  # type: ignore[arg-type]  # needs no other state
        for verb in [] if "links" in state else _link_verbs(now, state):
            systemctl.command(scope, *state.get(HOW, {}).get("force", []), verb, unit)
        if "active" in state["touched"] and not _part_is(now, "active", state["active"]):
            systemctl.command(
                scope, *state.get(HOW, {}).get("no_block", []), "start" if state["active"] else "stop", unit
            )

    def save(self, name: str, before: State, after: State, journal: Journal) -> State:
        """Only what the step touches: the rest may change in the meantime without being set back."""
        saved = {part: before[part] for part in after["touched"]}
        if "enabled" in saved or "masked" in saved:
            saved.update((key, before[key]) for key in ("links", "folders", "names"))
        return saved

    def fingerprint(self, state: State) -> State:
        return {part: state.get(part) for part in state.get("touched", PARTS)}

    def diff(self, name: str, before: State, after: State) -> Dict[str, str]:
        parts = [part for part in after["touched"] if not _part_is(before, part, after[part])]
        texts = ["".join("%s: %s\n" % (part, state.get(part)) for part in parts) for state in (before, after)]
        return {"before_header": name, "after_header": name, "before": texts[0], "after": texts[1]}


KIND = ServiceKind()


def scope_of(name: str) -> Tuple[str, str]:
    scope, _, unit = name.rpartition("/")
    return scope or "system", unit


def name_of(scope: str, unit: str) -> str:
    return unit if scope == "system" else "%s/%s" % (scope, unit)


def _part_is(now: State, part: str, wanted: Any) -> bool:
    """A unit that needs no enabling is as enabled, and as disabled, as it can be."""
    if part == "active" and wanted is False and now.get("status", {}).get("ActiveState") == "deactivating":
        return False
    return bool(now.get(part) == wanted or (part == "enabled" and now.get(part) is None))


def _is_enabled(unit: str, status: Dict[str, str], links: Dict[str, str]) -> Optional[bool]:
    """None for a unit that needs no enabling. An indirect one enables others (`Also=`), whose links are its own."""
    state = status.get("UnitFileState", "")
    if status.get("LoadState") == "not-found":
        return False
    if state in ("", "generated", "bad"):
        return systemctl.script_is_enabled(unit)
    if state == "indirect":
        return bool(links)
    return None if state in NEEDS_NO_ENABLING else state == "enabled"


def _link_verbs(now: State, wanted: State) -> List[str]:
    verbs = []
    if "masked" in wanted["touched"] and now["masked"] != wanted["masked"]:
        verbs.append("mask" if wanted["masked"] else "unmask")
    if "enabled" in wanted["touched"] and not _part_is(now, "enabled", wanted["enabled"]):
        verbs.append("enable" if wanted["enabled"] else "disable")
    return verbs
