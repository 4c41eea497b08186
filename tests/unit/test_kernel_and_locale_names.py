"""Modules of the kernel and locales: names as each tool writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.agent.modules.locale_gen import _with, _without
from wxops.agent.resources import kernel_module
from wxops.agent.resources.locales import as_in_locale_gen


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "modules").write_text("nvidia_peermem 16384 0 - Live 0x0\n")
    (tmp_path / "builtin").write_text("kernel/fs/ext4/ext4.ko\nkernel/net/tcp-bbr.ko.zst\n")
    (tmp_path / "parameters").mkdir()
    monkeypatch.setattr(kernel_module, "LOADED", str(tmp_path / "modules"))
    monkeypatch.setattr(kernel_module, "BUILT_IN", str(tmp_path / "builtin") + "%.0s")
    monkeypatch.setattr(kernel_module, "PARAMETERS", str(tmp_path / "parameters") + "%.0s")
    monkeypatch.setattr(kernel_module, "_names_of_alias", {"fs-ext4": ["ext4"], "net-x": ["x"]}.get)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "loaded"),
    [("nvidia-peermem", True), ("nvidia_peermem", True), ("ext4", True), ("tcp_bbr", True), ("fs-ext4", True),
     ("net-x", False), ("nvidia", False)],
)  # fmt: skip
def test_a_module_is_loaded_by_any_of_its_names(kernel: Path, name: str, loaded: bool) -> None:
    assert kernel_module.is_loaded(name) is loaded


def test_an_unloaded_module_keeps_the_parameters_that_say_something(kernel: Path) -> None:
    for name, value in {"debug": "1\n", "path": "(null)\n", "words": "a b\n", "empty": "\n"}.items():
        (kernel / "parameters" / name).write_text(value)
    assert kernel_module._parameters("nvidia-peermem") == ["debug=1"]


@pytest.mark.parametrize(
    ("told", "written"),
    [("en_GB.utf8", "en_GB.UTF-8"), ("de_DE.iso885915@euro", "de_DE.ISO-8859-15@euro"), ("C", "C"),
     ("zh_CN.gb18030", "zh_CN.GB18030"), ("de_AT", "de_AT")],
)  # fmt: skip
def test_a_locale_is_known_by_the_name_that_it_is_asked_for(told: str, written: str) -> None:
    assert as_in_locale_gen(told) == written


def test_a_locale_is_switched_on_and_off_in_its_line() -> None:
    text = "# en_GB ISO-8859-1\n# en_GB.UTF-8 UTF-8\nde_AT ISO-8859-1\n"
    on = _with(text, ["en_GB.UTF-8", "zh_CN.UTF-8"], {"zh_CN.UTF-8": "UTF-8"})
    assert on == "# en_GB ISO-8859-1\nen_GB.UTF-8 UTF-8\nde_AT ISO-8859-1\nzh_CN.UTF-8 UTF-8\n"
    assert _without(on, ["en_GB.UTF-8", "de_AT"]).splitlines() == [
        "# en_GB ISO-8859-1", "# en_GB.UTF-8 UTF-8", "# de_AT ISO-8859-1", "zh_CN.UTF-8 UTF-8"
    ]  # fmt: skip
