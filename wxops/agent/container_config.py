"""Is a container as it was asked for? Docker's configuration in a form in which equal things are equal.

A configuration is what Docker's API takes to create a container: the fields of Config, and HostConfig within it.
Only the fields that were asked for are compared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

    Config = Dict[str, Any]
    Difference = Tuple[str, str, str]

STEP_LABEL = "wxops.step"
"""On each container that wxops makes: the run that made it and a mark, by which a rollback knows it again."""

UPDATED_IN_PLACE = ("RestartPolicy", "NanoCpus", "CpusetCpus")
"""Fields of HostConfig that Docker changes in a container that runs, and changes back."""

DECIDED_ELSEWHERE = ("Image", "HostConfig", "NetworkingConfig")
HIDDEN = "***"


def config_of(inspected: Dict[str, Any]) -> Config:
    """The configuration of a container that was inspected."""
    return dict(inspected["Config"], HostConfig=inspected["HostConfig"])


def complete(config: Config, image: Optional[Config]) -> Config:
    """A configuration with what its image adds: environment and labels, under those that were asked for."""
    full, image = dict(config), image or {}
    if "Env" in config:
        variables = dict(mapping(image.get("Env")), **mapping(config["Env"]))
        full["Env"] = [name if value is None else "%s=%s" % (name, value) for name, value in variables.items()]
    if "Labels" in config:
        full["Labels"] = dict(image.get("Labels") or {}, **(config["Labels"] or {}))
    return full


def differences(now: Config, wanted: Config) -> List[Difference]:
    """What is not as it was asked for: (field, before, after) as text. Values of the environment are hidden."""
    found: List[Difference] = []
    for has, asked in ((now, wanted), (now.get("HostConfig") or {}, wanted.get("HostConfig") or {})):
        for field, value in sorted(asked.items()):
            if field not in DECIDED_ELSEWHERE:
                found.extend(_compare(field, has.get(field), value))
    return found


def mapping(env: Optional[Iterable[str]]) -> Dict[str, Optional[str]]:
    """`NAME=value` lines as a mapping; a bare NAME has no value."""
    split = (line.partition("=") for line in env or ())
    return {name: value if sign else None for name, sign, value in split}


def _compare(field: str, has: Any, value: Any) -> Iterator[Difference]:
    if field == "Env":
        yield from _compare_env(mapping(has), mapping(value))
        return
    normal = NORMAL.get(field, _plain)
    before, after = normal(has), normal(value)
    if field in AT_LEAST:
        missing = {key: item for key, item in (after or {}).items() if (before or {}).get(key) != item}
        if missing:
            yield field, _text({key: (before or {}).get(key) for key in missing}), _text(missing)
    elif before != after:
        yield field, _text(before), _text(after)


def _compare_env(before: Dict[str, Optional[str]], after: Dict[str, Optional[str]]) -> Iterator[Difference]:
    for name in sorted({**before, **after}):
        if name not in before:
            yield "Env " + name, "", HIDDEN
        elif name not in after:
            yield "Env " + name, HIDDEN, ""
        elif before[name] != after[name]:
            yield "Env " + name, HIDDEN, HIDDEN + " (another value)"


def _plain(value: Any) -> Any:
    """Not given, empty, zero and off are one."""
    return value or None


def _solid(value: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """A mapping without what is empty in it."""
    return {key: item for key, item in (value or {}).items() if item}


def _set(value: Any) -> Any:
    """A list whose order means nothing."""
    return sorted(_text(_solid(item) if isinstance(item, dict) else item) for item in value or ()) or None


def _capabilities(value: Any) -> Any:
    names = (str(name).upper() for name in value or ())
    return sorted(name[4:] if name.startswith("CAP_") else name for name in names) or None


def _binds(value: Any) -> Any:
    """`/host:/container` is `/host:/container:rw`."""
    found = []
    for bind in value or ():
        source, target, *options = bind.split(":")
        found.append(":".join([source, target, ",".join(sorted(set((options or [""])[0].split(",")) - {"", "rw"}))]))
    return sorted(found) or None


def _restart(value: Any) -> Any:
    value = value or {}
    name = value.get("Name") or "no"
    return "%s:%d" % (name, value.get("MaximumRetryCount") or 0) if name == "on-failure" else name


def _labels(value: Any) -> Any:
    return {name: text for name, text in (value or {}).items() if name != STEP_LABEL} or None


def _network_mode(value: Any) -> Any:
    return "default" if value in (None, "", "bridge") else value


def _log(value: Any) -> Any:
    """The engine adds the options of its own defaults, so what was asked for is compared one by one."""
    value = value or {}
    return dict(value.get("Config") or {}, **({"": value["Type"]} if value.get("Type") else {}))


NORMAL: Dict[str, Callable[[Any], Any]] = {
    "Binds": _binds, "CapAdd": _capabilities, "CapDrop": _capabilities, "DeviceRequests": _set, "Devices": _set,
    "ExtraHosts": _set, "GroupAdd": _set, "Healthcheck": _solid, "Labels": _labels, "LogConfig": _log,
    "Mounts": _set, "NetworkMode": _network_mode, "RestartPolicy": _restart, "SecurityOpt": _set, "Ulimits": _set,
}  # fmt: skip
AT_LEAST = ("ExposedPorts", "Healthcheck", "LogConfig", "Volumes")
"""Fields that the image or the engine may add to: what was asked for must be there."""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, sort_keys=True)
