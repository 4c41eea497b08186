"""ansible.cfg and ANSIBLE_*: what is taken, what comes before what, what is refused and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.errors import InputError
from wxops.playbook import ansible_settings
from wxops.playbook.ansible_names import REFUSED, USED
from wxops.playbook.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "ansible.md"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a home without configuration."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for known in USED:
        for name in known.env:
            monkeypatch.delenv(name, raising=False)
    project = tmp_path / "project"
    project.mkdir()
    return project


def written(place: Path, text: str, name: str = "ansible.cfg") -> Settings:
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_text(text)
    return Settings.load(str(place))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("[defaults]\nforks = 7 ; a few\n", "forks", 7),
        ("[defaults]\nstrategy = free\n", "strategy", "free"),
        ("[defaults]\nno_log = yes\n", "no_log", True),
        ("[defaults]\nerror_on_missing_handler = no\n", "error_on_missing_handler", False),
        ("[defaults]\ninventory = hosts,more/hosts\n", "inventory", ("PLACE/hosts", "PLACE/more/hosts")),
        ("[defaults]\ninventory = gpu1,\n", "inventory", ("gpu1,",)),
        ("[defaults]\nroles_path = roles:~/r\n", "roles_path", ("PLACE/roles", "HOME/r")),
        ("[defaults]\ncollections_path = c:~/d\n", "collections_path", ("PLACE/c", "HOME/d")),
        ("[defaults]\nhost_key_checking = False\n", "accept_new", True),
        ("[defaults]\nhost_key_checking = True\n", "accept_new", False),
        ("[defaults]\ntimeout = 30\n", "timeout", 30.0),
        ("[defaults]\nvault_password_file = ./pass\n", "vault_password_file", "PLACE/pass"),
        ("[defaults]\nvault_identity_list = a@x, b@y\n", "vault_identity_list", ("a@x", "b@y")),
        ("[privilege_escalation]\nbecome = yes\nbecome_user = ops\n", "become_user", "ops"),
        ("[privilege_escalation]\nbecome_ask_pass = 1\n", "ask_become_pass", True),
        ("[ssh_connection]\nssh_args = -C -o ControlMaster=auto\n", "ssh_args", "-C -o ControlMaster=auto"),
        ("[diff]\nalways = on\n", "diff", True),
        ("[defaults]\ngathering = smart\n", "gathering", "smart"),
        ("[tags]\nskip = slow,never\n", "skip_tags", ("slow", "never")),
        ("[defaults]\nnocolor = 1\n", "color", False),
        ("[defaults]\ndisplay_skipped_hosts = no\n", "show_skipped", False),
    ],
)
def test_a_setting_of_ansible_cfg_holds(place: Path, text: str, field: str, value: Any) -> None:
    found = getattr(written(place, text), field)
    names = {str(place): "PLACE", str(place.parent / "home"): "HOME"}

    def named(each: Any) -> Any:
        for path, name in names.items():
            each = each.replace(path, name) if isinstance(each, str) else each
        return each

    assert (tuple(map(named, found)) if isinstance(found, tuple) else named(found)) == value


def test_the_environment_comes_before_wxops_toml_and_that_before_ansible_cfg(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[defaults]\nforks = 1\nremote_user = of_cfg\ntimeout = 1\n"
    written(place, 'forks = 2\nremote_user = "of_toml"\n', "wxops.toml")
    monkeypatch.setenv("ANSIBLE_FORKS", "3")
    settings = written(place, text)
    assert (settings.forks, settings.remote_user, settings.timeout) == (3, "of_toml", 1.0)


def test_the_file_is_found_where_ansible_finds_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.parent / "home").mkdir()
    (place.parent / "home" / ".ansible.cfg").write_text("[defaults]\nforks = 1\n")
    assert Settings.load(str(place)).forks == 1
    assert written(place, "[defaults]\nforks = 2\n").forks == 2
    (place.parent / "named.cfg").write_text("[defaults]\nforks = 3\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(place.parent / "named.cfg"))
    assert Settings.load(str(place)).forks == 3


def test_a_file_that_everybody_may_write_beside_is_not_read(place: Path) -> None:
    place.chmod(0o777)
    settings = written(place, "[defaults]\nforks = 2\n")
    assert settings.forks == 100
    assert "everybody may write to its directory" in settings.notices[0]


@pytest.mark.parametrize("key", REFUSED)
def test_what_would_change_the_meaning_of_playbooks_is_refused(
    key: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, _, name = key.partition(".")
    env, neutral = REFUSED[key]
    with pytest.raises(InputError, match="would change what playbooks mean") as raised:
        written(place, f"[{section}]\n\n{name} = something\n")
    assert str(raised.value).startswith(f"{place}/ansible.cfg:3: ")
    assert written(place, f"[{section}]\n{name} = {neutral}\n").notices == ()
    monkeypatch.setenv(env, "something")
    with pytest.raises(InputError, match=env):
        Settings.load(str(place))


def test_what_has_no_effect_is_told_unless_it_is_harmless(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[defaults]\nlibrary = mods\nnocows = 1\nstdout_callback = yaml\n[galaxy]\nserver = x\n"
    assert written(place, text).notices == (
        f"{place}/ansible.cfg: not used by wxops: [defaults] library, [defaults] stdout_callback",
    )
    (place / "ansible.cfg").unlink()
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "json")
    monkeypatch.setenv("ANSIBLE_NOCOWS", "1")
    assert Settings.load(str(place)).notices == (
        "ANSIBLE_STDOUT_CALLBACK has no effect: --output says how a run is shown",
    )


def test_unknown_host_keys_are_never_accepted_without_a_word(place: Path) -> None:
    (notice,) = written(place, "[defaults]\nhost_key_checking = no\n").notices
    assert "a changed one stops the run" in notice


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[defaults]\n\nforks = many\n", "ansible.cfg:3: should be a number"),
        ("[privilege_escalation]\nbecome = perhaps\n", "ansible.cfg:2: should be true or false"),
        ("forks = 3\n", "is no ansible.cfg"),
        ("[defaults]\ngathering = never\n", "ansible.cfg:2: gathering is one of implicit, explicit, smart"),
    ],
)
def test_a_value_that_is_none_is_refused_with_its_line(place: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError) as raised:
        written(place, text)
    assert problem in str(raised.value)


def test_every_setting_has_a_field_and_is_documented() -> None:
    document = DOCUMENT.read_text()
    for known in USED:
        assert known.field in Settings.__dataclass_fields__
        assert f"`{known.key}`" in document or f"{known.key}`" in document, known.key
        for name in known.env:
            assert f"`{name}`" in document, name
    for place in REFUSED:
        assert f"`{place.partition('.')[2]}`" in document


def test_an_environment_without_settings_sets_nothing(tmp_path: Path) -> None:
    found = ansible_settings.load({"HOME": str(tmp_path), "ANSIBLE_PYTHON": "x", "ANSIBLE_FORKS": ""}, str(tmp_path))
    assert (found.of_environment, found.notices) == ({}, ())
