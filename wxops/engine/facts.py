"""What a host may not say of itself: a fact must not decide how, as whom and where its tasks run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

RESTRICTED = re.compile(
    r"""ansible_(
        (?!ssh_host_key_)ssh_.*                         # the connection, but a host may tell its public keys
      | become(_.*)?
      | (?!.*bridge$)(local|winrm|psrp|paramiko|docker|podman)_.*   # docker_gwbridge is a network interface
      | connection | host | user | password | port | timeout | pipelining | private_key_file
      | shell_(executable|type) | module_compression
      | (.*_)?interpreter | playbook_python | rsync_path | facts
      | delegated_vars | check_mode | diff_mode | forks | limit | run_tags | skip_tags | verbosity | version
      | play_(batch|hosts|hosts_all|name|role_names) | role_names?
    )
    | wxops_.* | add_host | add_group | hostvars | groups | group_names | inventory_(hostname|dir|file).* | vars | omit
    | environment""",
    re.VERBOSE,
)


def with_interpreter(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a host whose Python was looked for, with the one that was found."""
    found = (facts.get("ansible_python") or {}).get("executable")
    return {**facts, **({"discovered_interpreter_python": found} if found else {})}


def allowed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without those that would reach into the controller's own variables, whoever answers for the host."""
    return {name: value for name, value in facts.items() if not RESTRICTED.fullmatch(name)}
