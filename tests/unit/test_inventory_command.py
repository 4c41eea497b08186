"""`wxops inventory list` and `graph`, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from wxops.cli.inventory import inventory
from wxops.errors import InputError

VAULT = Path(__file__).parent / "data" / "vault"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hosts.ini").write_text("[web]\nw1 a=1\nw2\n[db]\nd1\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "web.yml").write_text("name: 文心\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def output(*arguments: str) -> str:
    result = CliRunner().invoke(inventory, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_prints_the_json_of_an_inventory_script() -> None:
    listed = json.loads(output("list", "-i", "hosts.ini"))
    assert listed["web"] == {"hosts": ["w1", "w2"]}
    assert listed["_meta"]["hostvars"]["w1"] == {"a": 1, "name": "文心"}


def test_list_narrows_by_pattern_and_limit() -> None:
    assert set(json.loads(output("list", "-i", "hosts.ini", "web", "-l", "!w2"))["_meta"]["hostvars"]) == {"w1"}


def test_list_prints_one_host() -> None:
    assert json.loads(output("list", "-i", "hosts.ini", "--host", "w1")) == {"a": 1, "name": "文心"}
    assert output("list", "-i", "hosts.ini", "--host", "w1", "--yaml") == "a: 1\nname: 文心\n"


def test_yaml_is_an_inventory_that_reads_back_the_same(project: Path) -> None:
    (project / "again.yml").write_text(output("list", "-i", "hosts.ini", "--yaml"))
    assert yaml.safe_load(output("list", "-i", "again.yml", "--yaml")) == yaml.safe_load(
        output("list", "-i", "hosts.ini", "--yaml")
    )


def test_i_repeats_and_defaults_to_the_settings(project: Path) -> None:
    (project / "wxops.toml").write_text('inventory = ["hosts.ini", "extra,"]\n')
    assert output("graph") == output("graph", "-i", "hosts.ini", "-i", "extra,")
    assert "extra" in output("graph")


def test_graph_draws_a_group_with_its_variables() -> None:
    assert output("graph", "-i", "hosts.ini", "web", "--vars").splitlines() == [
        "@web:",
        "  |--w1",
        "  |  |--{a = 1}",
        "  |  |--{name = 文心}",
        "  |--w2",
        "  |  |--{name = 文心}",
        "  |--{name = 文心}",
    ]


def test_group_vars_beside_a_playbook_are_found(project: Path) -> None:
    (project / "play" / "group_vars").mkdir(parents=True)
    (project / "play" / "group_vars" / "db.yml").write_text("beside: play\n")
    arguments = ("list", "-i", "hosts.ini", "--playbook-dir", "play", "--host", "d1")
    assert json.loads(output(*arguments)) == {"beside": "play"}


def test_the_vault_password_of_the_settings_opens_files(project: Path) -> None:
    (project / "wxops.toml").write_text(f'vault_password_file = "{VAULT}/password"\n')
    shown = json.loads(output("list", "-i", str(VAULT / "hosts.yml"), "--host", "h"))
    assert shown["db_password"] == "***"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["list"], "no inventory is given"),
        (["list", "-i", "hosts.ini", "wev"], "did you mean 'web'"),
        (["list", "-i", "hosts.ini", "-l", "wev"], "did you mean 'web'"),
        (["list", "-i", "hosts.ini", "--host", "w3"], "known: d1, w1, w2"),
        (["graph", "-i", "hosts.ini", "wev"], "did you mean 'web'"),
    ],
)
def test_a_mistake_is_an_error(arguments: list[str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        output(*arguments)


def test_a_name_of_both_a_host_and_a_group_is_warned_about(project: Path) -> None:
    (project / "same.ini").write_text("[web]\nweb\n")
    result = CliRunner().invoke(inventory, ["graph", "-i", "same.ini"])
    assert "'web' is a host and a group" in result.stderr


def test_ping_of_a_closed_port_names_the_host_and_exits_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    code = inventory.main(["ping", "-i", "127.0.0.1:1,"], standalone_mode=False)
    assert code == 4
    assert capsys.readouterr().out.startswith("127.0.0.1  failed  127.0.0.1:1 cannot be reached")
