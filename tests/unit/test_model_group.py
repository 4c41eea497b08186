"""`wxops model` is wxruntime's, and says so where wxruntime is not there."""

from __future__ import annotations

import subprocess
import sys

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
