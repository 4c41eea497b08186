"""A model that `wxops audit --for` names: by its name, or by a directory whose config.json holds together."""

from __future__ import annotations

from pathlib import Path

import pytest

from wxops.audit.shapes import shape
from wxops.errors import InputError


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{bad", "it is no JSON"),
        ("[]", "no JSON object"),
        ('{"num_attention_heads": 0}', "num_attention_heads is 0"),
        ('{"num_attention_heads": "8"}', "num_attention_heads is '8'"),
    ],
)
def test_a_model_that_is_none_is_refused_with_its_file(config: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=told) as error:
        shape(str(tmp_path))
    assert "config.json" in str(error.value)


def test_the_names_in_the_help_are_known() -> None:
    assert shape("21b-a3b").name == "ernie-4.5-21b-a3b"
