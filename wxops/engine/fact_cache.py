"""Facts kept between runs: `fact_caching = jsonfile`, a file a host in the format of Ansible's own cache.

A fact that holds a secret is not kept: the files are in clear.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.errors import InputError

if TYPE_CHECKING:
    from wxops.engine.state import HostState
    from wxops.playbook.secrets import SecretRegistry

SCHEMA = "s1_"
"""What ansible-core 2.19 puts before a host's name, for the layout that `__payload__` stands for."""


@dataclass(frozen=True)
class FactCache:
    """Where facts are kept. seconds: how long they count; 0 is for ever. prefix: of the files' names."""

    directory: Path
    seconds: float = 86400
    prefix: str = ""

    def recall(self, host: str) -> HostState:
        """A host as the last run knew it. One that is not known, or too long ago, begins without facts."""
        from wxops.engine.state import HostState  # most runs keep no facts

        state = HostState(host)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # absent, or not ours: it is only a cache
            path = self._path(host)
            if not self.seconds or time.time() - path.stat().st_mtime < self.seconds:
                state.learn(json.loads(json.loads(path.read_text(encoding="utf-8"))["__payload__"]))
        state.facts_are_kept = True
        return state

    def keep(self, states: Iterable[HostState], secrets: SecretRegistry) -> None:
        """Write the facts of hosts that learned or forgot some. Raises InputError where that cannot be."""
        for state in [state for state in states if not state.facts_are_kept]:
            facts = {name: value for name, value in state.facts.items() if not secrets.finds_in({name: value})}
            try:
                self._write(state.name, facts)
            except OSError as error:
                raise InputError(f"facts cannot be kept: {error.strerror}", where=str(self.directory),
                                 fix="set fact_caching_connection to a directory of yours") from None  # fmt: skip
            state.facts_are_kept = True

    def flush(self, hosts: Iterable[str]) -> None:
        """Forget what is kept of hosts (--flush-cache)."""
        for host in hosts:
            self._path(host).unlink(missing_ok=True)

    def _path(self, host: str) -> Path:
        return self.directory / f"{self.prefix}{SCHEMA}{host.replace('/', '_')}"

    def _write(self, host: str, facts: Mapping[str, Any]) -> None:
        path = self._path(host)
        if not facts:
            path.unlink(missing_ok=True)
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump({"__payload__": json.dumps(facts, default=str)}, file)
        temporary.replace(path)


def cache_of(caching: str, connection: str | None, seconds: float, prefix: str) -> FactCache | None:
    """The cache that settings name; None for `memory`, which lasts as long as a run. Raises InputError."""
    kind = caching.removeprefix("ansible.builtin.")
    if kind == "memory":
        return None
    if kind != "jsonfile":
        raise InputError(f"fact_caching {caching!r} is not known", fix="memory or jsonfile")
    if not connection:
        raise InputError("fact_caching jsonfile needs a directory", fix="set fact_caching_connection")
    return FactCache(Path(os.path.expanduser(os.path.expandvars(connection))), seconds, prefix)
