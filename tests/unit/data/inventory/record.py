"""Records what ansible-core makes of every case here: run it with a Python that has ansible-core 2.19.

    python record.py [CASE ...]

Each case is a directory with `case.json` (sources, patterns, limits, playbook_dir) and gets an `expected.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


def ansible_inventory(case: dict, *arguments: str) -> str:
    """What the command prints. Without --playbook-dir it would read group_vars/ in its working directory."""
    command = [str(BIN / "ansible-inventory"), "--playbook-dir", case.get("playbook_dir", "nowhere"), *arguments]
    for source in case["sources"]:
        command += ["-i", source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def selected(case: dict) -> dict:
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    def hosts(pattern: str | list[str], limit: str | list[str] | None) -> list[str] | None:
        inventory.subset(limit)
        try:
            return [host.name for host in inventory.get_hosts(pattern)]
        except AnsibleError:
            return None

    inventory = InventoryManager(DataLoader(), sources=case["sources"])
    pairs = [*((pattern, None) for pattern in case["patterns"]), *case["limits"]]
    return [{"pattern": pattern, "limit": limit, "hosts": hosts(pattern, limit)} for pattern, limit in pairs]


def record(directory: Path) -> None:
    case = json.loads((directory / "case.json").read_text())
    os.chdir(directory)
    expected = {
        "list": json.loads(ansible_inventory(case, "--list")),
        "yaml": ansible_inventory(case, "--list", "--yaml"),
        "graph": ansible_inventory(case, "--graph", "--vars").splitlines(),
        "selected": selected(case),
    }
    (directory / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    names = sys.argv[1:] or [path.parent.name for path in sorted(HERE.glob("*/case.json"))]
    for name in names:
        record(HERE / name)
