"""Every recorded case: wxops makes of an inventory what ansible-core made of it (see data/inventory/record.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from wxops.errors import InputError
from wxops.playbook.inventory import Inventory
from wxops.playbook.inventory_listing import Listing, Tree, to_yaml

CASES = Path(__file__).parent / "data" / "inventory"
NAMES = [path.parent.name for path in sorted(CASES.glob("*/case.json"))]


class VaultLoader(yaml.SafeLoader):
    """Reads `!vault` as its ciphertext."""


VaultLoader.add_constructor("!vault", lambda loader, node: {"__ansible_vault": node.value})


class Case:
    def __init__(self, name: str) -> None:
        directory = CASES / name
        self.described: dict[str, Any] = json.loads((directory / "case.json").read_text())
        self.expected: dict[str, Any] = json.loads((directory / "expected.json").read_text())
        self.playbook_dir: str | None = self.described.get("playbook_dir")
        self.inventory = Inventory.load(self.described["sources"])

    def selected(self, pattern: str | list[str], limit: str | list[str] | None) -> list[str] | None:
        try:
            return [host.name for host in self.inventory.select(pattern, limit)]
        except InputError:
            return None

    @property
    def listing(self) -> Listing:
        return Listing(self.inventory, self.inventory.select("all"), self.playbook_dir)


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.chdir(CASES / request.param)
    return Case(request.param)


def test_groups_and_variables_are_those_of_ansible(case: Case) -> None:
    assert json.loads(json.dumps(case.listing.as_json())) == case.expected["list"]


def test_yaml_listing_holds_the_same_as_that_of_ansible(case: Case) -> None:
    def values(text: str) -> Any:
        return yaml.load(text, VaultLoader)

    assert values(to_yaml(case.listing.as_yaml())) == values(case.expected["yaml"])


def test_tree_reads_line_by_line_as_that_of_ansible(case: Case) -> None:
    lines = Tree(case.inventory, case.playbook_dir, variables=True).lines("all")
    assert "\n".join(lines).splitlines() == case.expected["graph"]


def test_patterns_select_the_hosts_of_ansible_in_its_order(case: Case) -> None:
    for recorded in case.expected["selected"]:
        pattern, limit = recorded["pattern"], recorded["limit"]
        assert (pattern, limit, case.selected(pattern, limit)) == (pattern, limit, recorded["hosts"])
