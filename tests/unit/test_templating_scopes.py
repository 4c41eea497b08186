"""Whatever was evaluated before, in whatever scope, a variable has the value that it has in a fresh scope."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wxops.errors import WxopsError
from wxops.playbook.source import load_text
from wxops.playbook.templating import Templar

NAMES = "abcd"


def texts(name: str) -> st.SearchStrategy[str]:
    """A text that uses names after this one, so that most have a value; now and then any, so that some have none."""
    later = st.sampled_from(NAMES[NAMES.index(name) + 1 :] or "z")
    used = st.one_of(later, later, later, st.sampled_from(NAMES)).map("{{{{ {0} | default('-') }}}}".format)
    return st.lists(used | st.sampled_from(["{{ 1 }}", "x"]), min_size=1, max_size=2).map("".join)


def values(name: str) -> st.SearchStrategy[Any]:
    return texts(name) | st.integers(0, 9) | st.fixed_dictionaries({"k": texts(name)})


layers = st.fixed_dictionaries({}, optional={name: values(name) for name in NAMES})
steps = st.permutations([(scope, name) for scope in range(3) for name in [*NAMES, "a.k"]])


def outcome(templar: Templar, name: str) -> Any:
    try:
        return templar.render(load_text(f"'{{{{ {name} }}}}'", "x"))
    except WxopsError:
        return "error"


@settings(max_examples=300, deadline=None)
@given(st.lists(layers, min_size=3, max_size=3), steps)
def test_what_is_remembered_is_never_stale(given_layers: list[Any], given_steps: list[tuple[int, str]]) -> None:
    sources = [load_text(repr(layer), "v") for layer in given_layers]

    def fresh() -> list[Templar]:
        outer = Templar(sources[0])
        middle = outer.extended(sources[1])
        return [outer, middle, middle.extended(sources[2])]

    used = fresh()
    for scope, name in given_steps:
        assert outcome(used[scope], name) == outcome(fresh()[scope], name)
