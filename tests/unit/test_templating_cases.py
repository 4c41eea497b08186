"""Every expression in data/templating/*.yml gives what ansible-core 2.19 gives. To add a case, write no code:

- expression: "{{ name | upper }}"
  variables: {name: ernie}    # as an operator writes them: they may be templates
  data: {out: "{{ x }}"}      # as a host returns them: never templates
  kind: template              # or condition, expression (without braces), file (with options)
  expected: ERNIE             # or error: a part of the message; or omitted: true
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wxops.errors import WxopsError
from wxops.playbook.source import load_file
from wxops.playbook.templating import OMIT, Templar

DATA = Path(__file__).parent / "data" / "templating"


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}:{case.origin.line}")
        for path in sorted(DATA.glob("*.yml"))
        for case in load_file(path)
    ]


def evaluated(case: Any) -> Any:
    variables = {**case.get("variables", {}), **plain(case.get("data", {}))}
    templar = Templar(variables, search_path=[DATA / "play"])
    expression, kind = case["expression"], case.get("kind", "template")
    if kind == "file":
        return templar.template_text(expression, name="case.j2", **plain(case.get("options", {})))
    evaluate = {"template": templar.render, "condition": templar.condition, "expression": templar.expression}
    return evaluate[kind](expression)


@pytest.mark.parametrize("case", cases())
def test_gives_what_ansible_gives(case: Any) -> None:
    if "error" in case:
        with pytest.raises(WxopsError) as failure:
            evaluated(case)
        assert case["error"] in str(failure.value)
        return
    result = evaluated(case)
    expected = OMIT if case.get("omitted") else plain(case["expected"])
    assert result == expected
    assert shape(result) == shape(expected)


def shape(value: Any) -> Any:
    """The exact types in a value: True is not 1, and a result is plain data throughout."""
    if type(value) is dict:
        return {key: (type(key), shape(item)) for key, item in value.items()}
    return [shape(item) for item in value] if type(value) is list else type(value)
