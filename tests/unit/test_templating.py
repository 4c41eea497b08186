"""What templating promises beyond single expressions: scopes, laziness, data that stays data, files."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from wxops.errors import InputError, TemplateError, UndefinedVariable
from wxops.playbook.source import load_text
from wxops.playbook.templating import OMIT, Templar, check_condition, check_syntax, lookup


def yaml(text: str, name: str = "site.yml") -> Any:
    return load_text(text, name)


class TestScopes:
    def test_a_loop_item_changes_what_is_made_from_it_and_nothing_else(self) -> None:
        templar = Templar(yaml("{unit: '{{ item }}.service', root: '{{ base }}/etc', base: /srv}"))
        paths = [templar.extended({"item": each}).render(yaml("'{{ root }}/{{ unit }}'")) for each in ("a", "b")]
        assert paths == ["/srv/etc/a.service", "/srv/etc/b.service"]

    def test_a_name_given_anew_reaches_variables_that_use_it_through_others(self) -> None:
        templar = Templar(yaml("{a: '{{ b }}', b: '{{ c }}', c: outer, d: {x: '{{ a }}'}, e: '{{ d.x }}'}"))
        expression = yaml("'{{ a }} {{ e }} {{ d.x }}'")
        assert templar.render(expression) == "outer outer outer"
        assert templar.extended({"c": "inner"}).render(expression) == "inner inner inner"
        assert templar.render(expression) == "outer outer outer"

    def test_a_name_that_was_missing_outside_may_be_there_inside(self) -> None:
        templar = Templar(yaml("{greeting: \"hello {{ name | default('nobody') }}\"}"))
        expression = yaml("'{{ greeting }}'")
        assert templar.render(expression) == "hello nobody"
        assert templar.extended({"name": "ernie"}).render(expression) == "hello ernie"

    def test_what_an_inner_scope_says_of_a_name_stays_in_it(self) -> None:
        templar = Templar(yaml("{x: outer, y: '{{ x }}'}"))
        assert templar.extended(yaml("{x: '{{ 1 + 1 }}'}")).render(yaml("'{{ x }} {{ y }}'")) == "2 2"
        assert templar.render(yaml("'{{ x }} {{ y }}'")) == "outer outer"

    def test_scopes_nest(self) -> None:
        outer = Templar(yaml("{v: '{{ a }}{{ b }}'}")).extended({"a": 1, "b": 2})
        assert outer.extended({"b": 3}).extended({"c": 4}).render(yaml("'{{ v }}'")) == "13"
        assert outer.render(yaml("'{{ v }}'")) == "12"

    def test_what_no_inner_name_touches_is_evaluated_once_for_all_items(self) -> None:
        variables = yaml("{count: '{{ numbers | length }}', numbers: [1, 2]}")
        templar = Templar(variables)
        assert templar.extended({"item": 1}).render(yaml("'{{ count }}'")) == 2
        variables["numbers"].append(3)
        assert templar.extended({"item": 2}).render(yaml("'{{ count }}'")) == 2

    def test_a_lookup_is_made_anew_each_time(self, tmp_path: Path) -> None:
        command = f"echo x >> {tmp_path}/marks; wc -l < {tmp_path}/marks"
        templar = Templar(
            yaml(f"{{count: \"{{{{ lookup('pipe', '{command}') }}}}\", box: {{count: \"{{{{ count }}}}\"}}}}")
        )
        assert [templar.render(yaml("'{{ count }}'")) for _ in range(2)] == ["1", "2"]
        assert [templar.render(yaml("'{{ box.count }}'")) for _ in range(2)] == ["3", "4"]

    def test_a_template_that_changes_a_variable_changes_its_own_copy(self) -> None:
        variables = yaml("{names: [a, b]}")
        templar = Templar(variables)
        assert templar.render(yaml("'{% set _ = names.append(\"c\") %}{{ names }}'")) == ["a", "b", "c"]
        assert templar.render(yaml("'{{ names }}'")) == ["a", "b"]
        assert list(variables["names"]) == ["a", "b"]

    def test_threads_may_share_a_templar(self) -> None:
        templar = Templar(yaml("{a: '{{ b }}', b: '{{ c.x }}', c: {x: '{{ d }}'}, d: 5}"))
        results: list[Any] = []
        work = [threading.Thread(target=lambda: results.append(templar.render(yaml("'{{ a }}'")))) for _ in range(16)]
        for each in work:
            each.start()
        for each in work:
            each.join()
        assert results == [5] * 16


class TestLaziness:
    def test_an_unused_member_may_be_wrong(self) -> None:
        templar = Templar(yaml("{d: {good: 1, bad: '{{ nope }}', worse: '{{ 1 / 0 }}'}}"))
        assert templar.render(yaml("'{{ d.good }}'")) == 1

    def test_members_may_refer_to_each_other(self) -> None:
        assert Templar(yaml("{d: {a: 1, b: '{{ d.a + 1 }}'}}")).render(yaml("'{{ d }}'")) == {"a": 1, "b": 2}

    def test_another_hosts_variables_are_evaluated_with_that_hosts_variables(self) -> None:
        hosts = {
            name: Templar({**yaml("{url: 'http://{{ address }}'}"), "address": name}).namespace() for name in ("a", "b")
        }
        templar = Templar({"hostvars": hosts, "address": "mine", "groups": {"all": ["a", "b"]}})
        assert templar.render(yaml("'{{ hostvars.b.url }}'")) == "http://b"
        expression = yaml("\"{{ groups.all | map('extract', hostvars, 'url') | join(' ') }}\"")
        assert templar.render(expression) == "http://a http://b"
        assert templar.render(yaml("\"{{ hostvars['a'].nope | default('none') }}\"")) == "none"

    def test_vars_holds_all_variables(self) -> None:
        templar = Templar(yaml("{a: '{{ b }}', b: 2}"))
        assert templar.render(yaml("\"{{ vars['a'] }} {{ vars.a }} {{ 'zz' in vars }}\"")) == "2 2 False"


class TestData:
    @pytest.mark.parametrize(
        "expression",
        [
            "'{{ out }}'",
            "'{{ via }}'",
            "'{{ box.out }}'",
            "'{{ [out] | first }}'",
            "'{{ out | trim }}'",
            "'{{ vars.out }}'",
            "\"{{ lookup('vars', 'out') }}\"",
            "\"{{ {'k': out}.k }}\"",
            "'{% for x in [out] %}{{ x }}{% endfor %}'",
        ],
    )
    def test_what_a_host_says_is_never_evaluated(self, expression: str) -> None:
        variables = {"out": "{{ secret }}", "secret": "leaked", **yaml("{via: '{{ out }}', box: {out: '{{ out }}'}}")}
        assert Templar(variables).render(yaml(expression)) == "{{ secret }}"

    def test_a_result_is_data_when_it_is_used_again(self) -> None:
        templar = Templar({"out": "{{ secret }}", "secret": "leaked"})
        once = templar.render(yaml("'{{ out }}'"))
        assert templar.render(once) == "{{ secret }}"
        assert templar.render(yaml("\"{{ '{' ~ '{ secret }}' }}\"")) == "{{ secret }}"

    def test_text_that_is_not_the_operators_is_no_condition(self) -> None:
        templar = Templar({"out": "true"})
        with pytest.raises(TemplateError, match="when must be true, false or an expression"):
            templar.condition("true")
        with pytest.raises(TemplateError, match="its result is of type 'str'"):
            templar.condition(yaml("'{{ out }}'"))

    def test_python_is_out_of_reach(self) -> None:
        with pytest.raises(UndefinedVariable, match="unsafe"):
            Templar({"x": "a"}).render(yaml('"{{ x.__class__.__mro__ }}"'))


class TestRender:
    def test_omitted_members_are_left_out_and_an_omitted_value_says_so(self) -> None:
        templar = Templar({})
        assert templar.render(yaml("{a: '{{ omit }}', b: ['{{ omit }}', 1], c: '{{ x | default(omit) }}'}")) == {
            "b": [1]
        }
        assert templar.render(yaml("'{{ x | default(omit) }}'")) is OMIT

    def test_a_list_is_no_condition(self) -> None:
        with pytest.raises(TemplateError, match="when must be true, false or an expression, not a list"):
            Templar({"a": 1}).condition(yaml("['a == 1', true]"))

    def test_a_loops_lookup_takes_terms_with_templates(self) -> None:
        templar = Templar(yaml("{users: [{name: a, keys: [1, 2]}]}"))
        assert lookup("items", yaml("['{{ users }}', 3]"), templar) == [{"name": "a", "keys": [1, 2]}, 3]
        assert lookup("subelements", yaml("['{{ users }}', keys]"), templar) == [[{"name": "a"}, 1], [{"name": "a"}, 2]]
        assert lookup("dict", yaml("'{{ {\"k\": 1} }}'"), templar) == [{"key": "k", "value": 1}]

    def test_first_found_of_a_loop_looks_where_the_module_would(self, tmp_path: Path) -> None:
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "b.j2").touch()
        templar = Templar({}, search_path=[tmp_path])
        assert lookup("first_found", yaml("[a.j2, b.j2]"), templar, subdir="templates") == [
            str(tmp_path / "templates" / "b.j2")
        ]


class TestFiles:
    @pytest.fixture
    def play(self, tmp_path: Path) -> Path:
        for name, text in {
            "role/templates/main.j2": "\n\n".join(
                f"{{% include '{part}' %}}" for part in ("part.j2", "shared.j2", "sub/own.j2")
            ),
            "role/templates/part.j2": "role\n",
            "role/templates/sub/own.j2": "{{ deep }}\n",
            "templates/part.j2": "play\n",
            "templates/shared.j2": "shared {{ name }}\n",
        }.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    def text(self, play: Path, **variables: Any) -> str:
        main = play / "role/templates/main.j2"
        templar = Templar(variables, search_path=[play / "role", play])
        return templar.template_text(main.read_text(), name=str(main))

    def test_includes_come_from_the_role_then_from_the_playbook(self, play: Path) -> None:
        assert self.text(play, name="a", deep=1) == "role\nshared a\n1"

    def test_hosts_share_compiled_templates_and_nothing_else(self, play: Path) -> None:
        (play / "templates/shared.j2").write_text("{% import 'macros.j2' as m with context %}{{ m.hello() }}\n")
        (play / "templates/macros.j2").write_text("{% set to = name %}{% macro hello() %}to {{ to }}{% endmacro %}\n")
        assert [self.text(play, name=name, deep=1).splitlines()[1] for name in ("a", "b")] == ["to a", "to b"]

    def test_a_changed_include_is_read_again(self, play: Path) -> None:
        self.text(play, name="a", deep=1)
        (play / "role/templates/part.j2").write_text("changed\n")
        assert self.text(play, name="a", deep=1).startswith("changed\n")

    def test_an_imported_file_that_is_shown_itself_is_its_text(self, play: Path) -> None:
        (play / "templates/shared.j2").write_text("{% import 'text.j2' as t %}\n{{ t }}\n")
        (play / "templates/text.j2").write_text("{% set five = 5 %}{{ five }}\n")
        assert self.text(play, deep=1) == "role\n5\n1"
        (play / "templates/text.j2").write_text("{{ nowhere }}\n")
        with pytest.raises(UndefinedVariable, match="'nowhere' is undefined"):
            self.text(play, deep=1)

    def test_an_error_in_an_include_names_that_file(self, play: Path) -> None:
        with pytest.raises(UndefinedVariable) as failure:
            self.text(play, name="a")
        assert str(failure.value.where) == f"{play}/role/templates/sub/own.j2:1"

    def test_a_file_knows_where_it_comes_from_and_goes_to(self, play: Path) -> None:
        path = play / "templates/shared.j2"
        scope = Templar({}).for_template(path, src="shared.j2", dest="/etc/x")
        expression = yaml("'{{ ansible_managed }} {{ template_path }} {{ template_destpath }}'")
        assert scope.render(expression) == "Ansible managed shared.j2 /etc/x"
        assert Templar({"ansible_managed": "ours"}).for_template(path).render(yaml("'{{ ansible_managed }}'")) == "ours"

    def test_ansible_cfg_says_what_managed_files_begin_with(self, play: Path) -> None:
        path, show = play / "templates/shared.j2", yaml("'{{ ansible_managed }}'")
        os.utime(path, (0, 86400 * 365))
        scope = Templar({}, managed="{file} of %Y, {{{{ 1 + 1 }}}}").for_template(path, src="%Y {{ 1 % 0 }}.j2")
        assert scope.render(show) == "%Y {{ 1 % 0 }}.j2 of 1971, 2"
        with pytest.raises(InputError, match=r"only \{file\}, \{host\} and \{uid\} are known"):
            Templar({}, managed="{owner}").for_template(path)


class TestSyntaxCheck:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("'{{ a | uper }}'", "there is no filter 'uper'"),
            ("'{{ a is dfined }}'", "there is no test 'dfined'"),
            ("\"{{ lookup('fil', a) }}\"", "there is no lookup 'fil'"),
            ("\"{{ a | map('uper') }}\"", "there is no filter 'uper'"),
            ("\"{{ a | selectattr('x', 'equals') }}\"", "there is no test 'equals'"),
            ("'{{ a '", "unexpected end of template"),
            ("{k: [1, {deep: '{% if %}'}]}", "Expected an expression"),
        ],
    )
    def test_finds_what_no_host_can_mend(self, text: str, problem: str) -> None:
        with pytest.raises(TemplateError, match=problem):
            check_syntax(yaml(text))

    def test_evaluates_nothing(self, tmp_path: Path) -> None:
        check_syntax(yaml(f"\"{{{{ lookup('pipe', 'touch {tmp_path}/x') }}}} {{{{ nope }}}}\""))
        assert not (tmp_path / "x").exists()

    def test_takes_conditions_without_braces(self) -> None:
        check_condition(yaml("[a is defined, true, '{{ b }}']"))
        with pytest.raises(TemplateError, match="there is no test 'dfined'"):
            check_condition(yaml("[a is dfined]"))

    def test_leaves_data_alone(self) -> None:
        check_syntax({"out": "{{ a | nothing }}"})
