"""What holds of every inventory beyond the recorded cases: places of mistakes, origins, secrets, additions, speed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from wxops.errors import InputError, Origin, VaultError
from wxops.playbook.inventory import Inventory
from wxops.playbook.inventory_listing import Listing, Tree, to_yaml
from wxops.playbook.vault import VaultKeys

VAULT = Path(__file__).parent / "data" / "vault"
KEYS = VaultKeys().and_password("default", b"lab-password").and_password("prod", b"prod-password")


def written(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("name", "text", "line", "column", "problem"),
    [
        ("x.yml", "all:\n  host:\n    a:\n", 2, 3, "did you mean 'hosts'?"),
        ("x.yml", "all:\n  gpu:\n    hosts: {a: }\n", 2, 3, "groups below 'all' go under `children:`"),
        ("x.yml", "all:\n  hosts:\n    - a\n", 3, 5, "without dashes"),
        ("x.yml", "all:\n  hosts:\n    a: 5\n", 3, 5, "name: value"),
        ("x.yml", "all:\n  hosts:\n    17: {b: c}\n", 3, 5, "quote it"),
        ("x.yml", "all:\n  children:\n    2024:\n", 3, 5, "quote it"),
        ("x.yml", "gpu: text\n", 1, 6, "a mapping belongs here"),
        ("x.yml", "all:\n  vars: [a]\n", 2, 9, "vars of 'all'"),
        ("x.yml", "all:\n\thosts:\n", 2, 1, "tab"),
        ("x.yml", "a:\n  children:\n    b:\nb:\n  children:\n    c:\n      children: a\n", 7, 7, "a -> b -> c -> a"),
        ("x.yml", "a:\n  children:\n    a:\n", 3, 5, "a -> a"),
        ("x.yml", "a:\n  children:\n    all:\n", 3, 5, "all -> a -> all"),
        ("x.yml", "all:\n  hosts:\n    web[1:3:\n", 3, 5, "brackets do not match"),
        ("x.yml", "all:\n  hosts:\n    web[9:1]:\n", 3, 5, "ends before it begins"),
        ("x.yml", "all:\n  hosts:\n    web[01:100]:\n", 3, 5, "differ in length"),
        ("x.yml", "all:\n  hosts:\n    web[1:5:0]:\n", 3, 5, "the step '0'"),
        ("x.yml", "all:\n  hosts:\n    web[a:9]:\n", 3, 5, "neither numbers nor single letters"),
        ("x.yml", "all:\n  hosts:\n    web[1]:\n", 3, 5, "is not a range"),
        ("x.yml", "g:\n  vars:\n    ansible_group_priority: high\n", 3, 29, "whole number"),
        ("x.yml", "plugin: aws_ec2\n", 1, 1, "ansible-inventory -i FILE --list --export --yaml"),
        ("x.ini", "[web]\nw1\n[webb:vars]\na=1\n", 3, 1, "did you mean 'web'?"),
        ("x.ini", "[web]\n[prod:children]\nweb\ndb\n", 4, 1, "'db'"),
        ("x.ini", "[web:vers]\n", 1, 1, "did you mean 'vars'?"),
        ("x.ini", "[my group]\n", 1, 1, "not a section"),
        ("x.ini", "[web]\n  w1 hunter2\n", 2, 3, "not name=value"),
        ("x.ini", "[web]\nw1 p='hunter2\n", 2, 1, "no closing quotation"),
        ("x.ini", "[web]\nw1:\n", 2, 1, "lacks a port"),
        ("x.ini", "---\nall:\n", 1, 1, "rename"),
        ("x.ini", "[p:children]\na:b\n", 2, 1, "not a group name"),
        ("x", "---\nall:\n  host: {}\n", 3, 3, "did you mean 'hosts'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_its_place_and_remedy(
    tmp_path: Path, name: str, text: str, line: int, column: int, problem: str
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as raised:
        Inventory.load([path])
    assert raised.value.where == Origin(path, line, column)
    assert problem in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("missing.yml", "no such inventory"),
        ("empty.yml", "is empty"),
        ("list.yml", "not a mapping of groups"),
        ("hosts.toml", "TOML"),
        ("script", "not run"),
        ("web[1:3],", "ranges are not read in a list"),
    ],
)
def test_what_is_no_inventory_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "empty.yml", "# nothing\n")
    written(tmp_path, "list.yml", "- a\n")
    written(tmp_path, "hosts.toml", "")
    Path(written(tmp_path, "script", "#!/bin/sh\necho '{}'\n")).chmod(0o755)
    with pytest.raises(InputError, match=problem):
        Inventory.load([source])


def test_a_bad_vars_file_is_named(tmp_path: Path) -> None:
    hosts = written(tmp_path, "hosts", "h\n")
    path = written(tmp_path, "host_vars/h.yml", "- a\n")
    with pytest.raises(InputError) as raised:
        Inventory.load([hosts]).variables("h")
    assert raised.value.where == Origin(path, 1)


def test_every_variable_knows_where_it_was_written(tmp_path: Path) -> None:
    hosts = written(tmp_path, "hosts.ini", "h port=1 path='{{ base }}/x'\n[all:vars]\nbase = /srv\n")
    file = written(tmp_path, "group_vars/all.yml", "base: /data\nlimits:\n  nofile: 5\n")
    variables = Inventory.load([hosts]).variables("h")
    assert variables["base"].origin == Origin(file, 1, 7)
    assert variables["path"].origin == Origin(hosts, 1, 1)
    assert [str(variables.at(name)) for name in ("port", "base", "limits")] == [
        f"{hosts}:1:1",
        f"{file}:1:1",
        f"{file}:2:1",
    ]


def test_a_host_keeps_its_first_port_and_file(tmp_path: Path) -> None:
    first, second = written(tmp_path, "1/a.ini", "h:1\n"), written(tmp_path, "2/b.ini", "h:2\n")
    variables = Inventory.load([first, second]).variables("h")
    assert variables["ansible_port"] == 1
    assert (variables["inventory_file"], variables["inventory_dir"]) == (first, str(tmp_path / "1"))


def test_localhost_is_the_controller_when_the_inventory_does_not_name_it(tmp_path: Path) -> None:
    inventory = Inventory.load([written(tmp_path, "hosts.ini", "h\n[all:vars]\na=1\n")])
    (host,) = inventory.select("localhost")
    assert host.implicit and host.name == "localhost"
    assert inventory.variables("localhost")["ansible_connection"] == "local"
    assert inventory.variables("localhost")["ansible_python_interpreter"] == sys.executable
    assert inventory.variables("localhost")["a"] == 1
    assert inventory.group_names("localhost") == []
    assert "localhost" not in inventory.groups["all"]
    assert host not in inventory.select("all")


def test_a_local_host_of_the_inventory_stands_for_every_local_name() -> None:
    inventory = Inventory.load(["localhost,h"])
    (host,) = inventory.select("127.0.0.1")
    assert host.name == "localhost" and not host.implicit


def test_an_unknown_host_or_group_gets_the_nearest_name() -> None:
    inventory = Inventory.load(["gpu1,gpu2"])
    with pytest.raises(InputError, match="did you mean 'gpu1'"):
        inventory.host("gpu_1")
    with pytest.raises(InputError, match="did you mean 'ungrouped'"):
        inventory.group("ungroupd")


def test_names_of_both_a_host_and_a_group_are_told(tmp_path: Path) -> None:
    assert Inventory.load([written(tmp_path, "x.ini", "[web]\nweb\n[db]\nd\n")]).clashes == ["web"]


class TestAdditions:
    """add_host and group_by give another inventory and leave this one."""

    def base(self, tmp_path: Path) -> Inventory:
        written(tmp_path, "group_vars/web.yml", "from_file: yes it is\n")
        return Inventory.load([written(tmp_path, "x.ini", "[web]\nw1 a=1\n[db]\nd1\n")])

    def test_a_new_host_joins_its_groups_and_gets_their_variables(self, tmp_path: Path) -> None:
        before = self.base(tmp_path)
        after = before.with_host("new", ["web", "fresh"], {"a": 2})
        assert after.variables("new")["a"] == 2
        assert after.variables("new")["from_file"] == "yes it is"
        assert after.group_names("new") == ["fresh", "web"]
        assert after.groups["all"] == ["new", "w1", "d1"]
        assert "new" not in before.hosts and "fresh" not in before.groups

    def test_a_new_host_without_groups_is_ungrouped(self, tmp_path: Path) -> None:
        assert self.base(tmp_path).with_host("new").group_names("new") == ["ungrouped"]

    def test_a_known_host_keeps_what_it_has(self, tmp_path: Path) -> None:
        before = self.base(tmp_path)
        after = before.with_host("w1", ["db"], {"b": 3})
        assert (after.variables("w1")["a"], after.variables("w1")["b"]) == (1, 3)
        assert after.group_names("w1") == ["db", "web"]
        assert "b" not in before.variables("w1")
        assert after.groups["all"] == before.groups["all"]

    def test_a_new_group_takes_known_hosts_below_its_parents(self, tmp_path: Path) -> None:
        after = self.base(tmp_path).with_group("os_debian", ["w1", "d1"], ["linux"])
        assert after.groups["linux"] == ["w1", "d1"]
        assert after.group("os_debian").depth == 2
        assert after.group_names("w1") == ["linux", "os_debian", "web"]

    def test_the_controller_stays_out_of_all_in_any_group(self, tmp_path: Path) -> None:
        after = self.base(tmp_path).with_group("here", ["localhost"])
        assert [host.implicit for host in after.select("here")] == [True]
        assert after.variables("localhost")["ansible_connection"] == "local"
        assert "localhost" not in after.groups["all"] + after.groups["ungrouped"]

    def test_a_group_below_itself_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="below itself"):
            self.base(tmp_path).with_group("web", ["w1"], ["web"])


class TestSecrets:
    """data/vault has `!vault` values in hosts.yml and a whole group_vars/all.yml, encrypted by ansible-vault."""

    @pytest.fixture
    def inventory(self) -> Inventory:
        return Inventory.load([str(VAULT / "hosts.yml")], KEYS)

    def test_a_whole_encrypted_file_gives_its_values(self, inventory: Inventory) -> None:
        variables = inventory.variables("h")
        assert variables["db_password"] == "correct horse"
        assert variables["pin"] == 4711
        assert variables["plain"] == "text"

    def test_no_listing_shows_what_was_encrypted(self, inventory: Inventory) -> None:
        listing = Listing(inventory, inventory.select("all"))
        shown = json.dumps(listing.as_json()) + to_yaml(listing.as_yaml()) + json.dumps(listing.json_variables("h"))
        shown += "\n".join(Tree(inventory, variables=True).lines("all"))
        for secret in ("correct horse", "battery staple", "one secret", "4711", "s3cret"):
            assert secret not in shown
        assert listing.json_variables("h")["db_password"] == "***" == listing.json_variables("h")["pin"]
        assert listing.json_variables("h")["token"]["__ansible_vault"].startswith("$ANSIBLE_VAULT;1.1;AES256\n")
        assert "token: !vault |" in to_yaml(listing.as_yaml())
        assert listing.json_variables("h")["host"] == "shown"

    def test_its_values_are_known_for_redaction(self, inventory: Inventory) -> None:
        inventory.variables("h")
        assert inventory.secrets() == ["correct horse", 4711, {"key": "battery staple"}, ["one secret"]]

    def test_without_the_password_the_file_and_the_option_are_named(self) -> None:
        with pytest.raises(VaultError, match=r"group_vars/all.yml.*(?s:.*)--vault-password-file"):
            Inventory.load([str(VAULT / "hosts.yml")]).variables("h")

    def test_an_inventory_may_be_encrypted_itself(self, tmp_path: Path) -> None:
        hosts = written(tmp_path, "hosts.ini", KEYS.encrypt("h password=hunter2\n"))
        inventory = Inventory.load([hosts], KEYS)
        assert inventory.variables("h")["password"] == "hunter2"
        assert Listing(inventory, inventory.select("all")).json_variables("h") == {"password": "***"}
        assert inventory.secrets() == ["hunter2"]


def test_a_thousand_hosts_in_two_hundred_groups_resolve_in_well_under_a_second(tmp_path: Path) -> None:
    groups = [
        f"    g{g}:\n      vars: {{rack: r{g}, slot: {g}}}\n      hosts:\n"
        + "".join(f"        h{g}-{n}: {{ansible_host: 10.0.{g}.{n}}}\n" for n in range(5))
        for g in range(200)
    ]
    hosts = written(tmp_path, "hosts.yml", "all:\n  children:\n" + "".join(groups))
    for g in range(0, 200, 2):
        written(tmp_path, f"group_vars/g{g}.yml", "limits: {nofile: 5}\npackages: [a, b]\n")
    start = time.perf_counter()
    inventory = Inventory.load([hosts])
    resolved = [inventory.variables(host.name) for host in inventory.select("all:!g7")]
    assert time.perf_counter() - start < 1.0
    assert len(resolved) == 995 and resolved[0]["packages"] == ["a", "b"]
