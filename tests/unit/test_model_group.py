"""`wxops model` is wxruntime's, and says so where wxruntime is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wxops.cli import model
from wxops.errors import InputError


def test_it_has_the_commands_of_wxruntime_and_imports_no_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from wxops.cli.main import cli;"
        "told = CliRunner().invoke(cli, ['model', '--help']).output;"
        "assert 'quantize' in told and 'verify' in told, told; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_wxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed beside wxops") as refused:
        model.model.list_commands(model.click.Context(model.model))
    assert "pip install ./runtime" in str(refused.value)


def test_what_pytorch_brings_says_nothing_when_a_command_ends(tmp_path: Path) -> None:
    from wxruntime.tiny import Recipe, make_checkpoint

    make_checkpoint(tmp_path / "tiny", Recipe(taught=False))
    wxops = Path(sys.executable).with_name("wxops")
    command = [wxops, "model", "quantize", tmp_path / "tiny", tmp_path / "out", "--int8"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stderr.splitlines()
    assert len(said) == 2 and "no wxops-manifest.json" in said[0] and "int8 of" in said[1], done.stderr
