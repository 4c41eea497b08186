"""What an operator reads when a template is wrong: the name, the place, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.errors import TemplateError, UndefinedVariable, VaultError
from wxops.playbook.source import load_text
from wxops.playbook.templating import Templar

VARIABLES = """\
server: {tls: {port: 443, cert: x}, name: a}
port: "{{ server.tls.prot }}"
outer: "{{ port }}"
a: "{{ b }}"
b: "{{ c.x }}"
c: {x: "{{ a }}"}
models: [1, 2]
broken: "{{ server.name | from_json }}"
"""


def said(expression: str) -> str:
    templar = Templar(load_text(VARIABLES, "all.yml"))
    with pytest.raises(TemplateError) as failure:
        templar.render(load_text(expression, "site.yml"))
    return str(failure.value)


@pytest.mark.parametrize(
    ("expression", "lines"),
    [
        (
            "x: '{{ sevrer.name }}'",
            ["site.yml:1:4: 'sevrer' is undefined", "did you mean 'server'?", "in: {{ sevrer.name }}"],
        ),
        ("x: '{{ nothing_like_it }}'", ["site.yml:1:4: 'nothing_like_it' is undefined", "in: {{ nothing_like_it }}"]),
        (
            "x: '{{ server.tls.prot }}'",
            [
                "site.yml:1:4: object of type 'dict' has no attribute 'prot', read from 'server.tls'",
                "did you mean 'port'?",
                "in: {{ server.tls.prot }}",
            ],
        ),
        (
            "x: \"{{ server['tls'].zzz }}\"",
            [
                "site.yml:1:4: object of type 'dict' has no attribute 'zzz', read from \"server['tls']\"",
                "it has: cert, port",
                "in: {{ server['tls'].zzz }}",
            ],
        ),
        (
            "x: '{{ models[7] }}'",
            ["site.yml:1:4: list object has no element 7 ('models' has 2)", "in: {{ models[7] }}"],
        ),
        (
            "x: '{{ server.x }}{{ server.tls.x }}'",
            [
                "site.yml:1:4: object of type 'dict' has no attribute 'x', read from 'server'",
                "it has: name, tls",
                "in: {{ server.x }}{{ server.tls.x }}",
            ],
        ),
        (
            "x: '{{ server.name }}{{ server.tls.name }}'",
            [
                "site.yml:1:4: object of type 'dict' has no attribute 'name', read from 'server.tls'",
                "it has: cert, port",
                "in: {{ server.name }}{{ server.tls.name }}",
            ],
        ),
        (
            "x: '{{ outer }}'",
            [
                "all.yml:2:7: object of type 'dict' has no attribute 'prot', read from 'server.tls'",
                "did you mean 'port'?",
                "in: {{ server.tls.prot }}",
                "the variable 'port' used at site.yml:1:4",
            ],
        ),
        (
            "x: '{{ broken }}'",
            [
                "all.yml:8:9: the filter 'from_json' failed: Expecting value: line 1 column 1 (char 0)",
                "in: {{ server.name | from_json }}",
                "the variable 'broken' used at site.yml:1:4",
            ],
        ),
        ("x: |\n  one\n  {{ 1 }}\n  {{ nope }}\n  end\n", ["site.yml:4: 'nope' is undefined", "in: {{ nope }}"]),
        (
            "x: |\n  one\n  {{ 1 | uper }}\n",
            ["site.yml:3: there is no filter 'uper'", "did you mean 'upper'?", "in: {{ 1 | uper }}"],
        ),
        (
            "x: |\n  {% for x in models %}\n  {{ x.y }}\n  {% endfor %}\n",
            ["site.yml:3: object of type 'int' has no attribute 'y', read from 'x'", "in: {{ x.y }}"],
        ),
        (
            "x: '{{ a }}'",
            [
                "all.yml:4:4: the variable 'a' refers to itself: a -> b -> c -> a",
                "give one of them another name, or a value that does not need the others",
            ],
        ),
        (
            "x: \"{{ 1 + 'a' }}\"",
            [
                "site.yml:1:4: cannot be evaluated: unsupported operand type(s) for +: 'int' and 'str'",
                "in: {{ 1 + 'a' }}",
            ],
        ),
        (
            "x: '{{ models | random(sed=1) }}'",
            [
                "site.yml:1:4: the filter 'random' failed: random got an unexpected keyword argument 'sed'",
                "in: {{ models | random(sed=1) }}",
            ],
        ),
    ],
)
def test_names_what_is_wrong_and_where(expression: str, lines: list[str]) -> None:
    assert said(expression) == "\n  ".join(lines)


def test_an_undefined_variable_is_an_error_of_its_own_kind() -> None:
    with pytest.raises(UndefinedVariable):
        Templar({}).render(load_text("'{{ nope }}'", "x"))


def test_a_template_file_counts_its_own_lines_header_included() -> None:
    with pytest.raises(UndefinedVariable) as failure:
        Templar({}).template_text("#jinja2: lstrip_blocks: True\none\n{{ nope }}\n", name="a.j2")
    assert (str(failure.value.where), failure.value.fix) == ("a.j2:3", "in: {{ nope }}")


def test_a_condition_is_not_a_template_with_text_after_it() -> None:
    with pytest.raises(TemplateError) as failure:
        Templar({"x": 1}).condition(load_text("'{{ x }} == 1'", "site.yml"))
    assert "write it without {{ }}" in str(failure.value)


def test_a_condition_that_is_neither_true_nor_false_says_which_keyword_it_stands_at() -> None:
    with pytest.raises(TemplateError) as failure:
        Templar({"x": "a"}).condition(load_text("x", "site.yml"), what="failed_when")
    assert failure.value.what == "failed_when must be true or false, but its result is of type 'str'"
    assert str(failure.value.where) == "site.yml:1:1"


def test_an_encrypted_variable_without_its_password_fails_only_who_uses_it() -> None:
    text = "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nplain: 1\n"
    templar = Templar({"box": load_text(text, "vault.yml")})
    assert templar.render(load_text("'{{ box.plain }}'", "x")) == 1
    assert templar.render(load_text("'{{ box.secret is vault_encrypted }}'", "x")) is True
    with pytest.raises(VaultError) as failure:
        templar.render(load_text("\"{{ box.secret | default('x') }}\"", "x"))
    assert str(failure.value.where).startswith("vault.yml:1")


def test_includes_without_end_are_an_error(tmp_path: Any) -> None:
    (tmp_path / "loop.j2").write_text("{% include 'loop.j2' %}")
    with pytest.raises(TemplateError, match="without end"):
        Templar({}, search_path=[tmp_path]).template_text("{% include 'loop.j2' %}", name="a.j2")
