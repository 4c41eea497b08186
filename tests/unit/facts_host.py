"""A host as a directory: how the tests of fact collectors show them a machine that is not this one."""

from __future__ import annotations

from pathlib import Path

from wxops.agent.facts.host import Host


def host_of(root: Path, files: dict[str, str], links: dict[str, str] | None = None) -> Host:
    """Files by their path on the host; those in a bin directory can be run. Links by path, to what they point to."""
    for path, text in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o755 if "/bin/" in path or "/sbin/" in path else 0o644)
    for path, target in (links or {}).items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    return Host(root=str(root), timeout=5)
