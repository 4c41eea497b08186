"""`wxops init`: what it writes loads as it stands, and nothing of the operator's is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from wxops.cli.init import init
from wxops.errors import InputError
from wxops.playbook.inventory import Inventory
from wxops.playbook.settings import NAMES, Settings
from wxops.playbook.source import load_file
from wxops.scaffold import FILES, write_project

ROLES = Path(__file__).parents[2] / "playbooks" / "roles"


def test_a_new_project_has_all_its_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(init, [str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    written = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert written == set(FILES)
    assert all(f"created    {tmp_path}/new/{name}" in result.output for name in FILES)


def test_its_inventory_loads_through_its_settings(tmp_path: Path) -> None:
    write_project(tmp_path)
    inventory = Inventory.load(Settings.load(str(tmp_path)).inventory)
    assert inventory.groups["gpu"] == ["gpu1"]
    variables = inventory.variables("gpu1")
    assert (variables["gpu_memlock"], variables["model_directory"]) == ("unlimited", "/srv/models")


def test_its_playbook_uses_only_variables_and_groups_that_are_there(tmp_path: Path) -> None:
    write_project(tmp_path)
    inventory = Inventory.load(Settings.load(str(tmp_path)).inventory)
    plays = load_file(tmp_path / "site.yml")
    assert [inventory.unmatched(play["hosts"]) for play in plays] == [[], []]
    used = set(re.findall(r"{{ (\w+) }}", (tmp_path / "site.yml").read_text()))
    assert used and used <= set(inventory.variables("gpu1"))
    modules = {key for play in plays for task in play["tasks"] for key in task if key != "name"}
    assert all(module.startswith("ansible.builtin.") for module in modules)


def test_none_of_its_variables_is_one_of_a_role_that_wxops_brings(tmp_path: Path) -> None:
    """Or else the operator would change what `wxops provision` does without knowing."""
    write_project(tmp_path)
    variables = Inventory.load(Settings.load(str(tmp_path)).inventory).variables("gpu1")
    defaults = {name for file in ROLES.glob("*/defaults/main.yml") for name in load_file(file)}
    assert {"base_packages", "runtime_image"} <= defaults
    assert not defaults & set(variables)


def test_what_provision_must_be_told_waits_there_as_a_comment(tmp_path: Path) -> None:
    write_project(tmp_path)
    file = tmp_path / "inventories/group_vars/gpu.yml"
    file.write_text(re.sub(r"^# (\w+:)", r"\1", file.read_text(), flags=re.MULTILINE))
    variables = Inventory.load(Settings.load(str(tmp_path)).inventory).variables("gpu1")
    assert variables["runtime_image"].startswith("registry.example.com/")
    assert variables["runtime_model_src"].startswith("/srv/")


def test_its_settings_show_every_setting_and_hold_when_uncommented(tmp_path: Path) -> None:
    write_project(tmp_path)
    text = (tmp_path / "wxops.toml").read_text()
    uncommented = re.sub(r"^# (\w+ =)", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "wxops.toml").write_text(uncommented)
    settings = Settings.load(str(tmp_path))
    assert set(re.findall(r"^(\w+) =", uncommented, re.MULTILINE)) == set(NAMES)
    assert (settings.forks, settings.timeout, settings.accept_new) == (100, 10, False)


def test_a_directory_with_any_of_the_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("mine")
    (tmp_path / "unrelated").write_text("x")
    with pytest.raises(InputError, match=r"already has site\.yml"):
        write_project(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yml", "unrelated"]


def test_force_says_what_it_replaces_and_keeps_what_is_the_same(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "site.yml").write_text("mine")
    (tmp_path / "README.md").unlink()
    outcomes = {str(w.path.relative_to(tmp_path)): w.outcome for w in write_project(tmp_path, force=True)}
    assert outcomes == {**dict.fromkeys(FILES, "unchanged"), "site.yml": "replaced", "README.md": "created"}
    assert "ansible.builtin" in (tmp_path / "site.yml").read_text()


def test_a_directory_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "site.yml").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        write_project(tmp_path, force=True)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_project(tmp_path / "file" / "project")
