"""modules.yml as hypothesis strategies: one for all tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from conformance.fuzz.given import KEY, OTHER_KEY, ROOT

Task = dict[str, Any]
LEFT_OUT = object()
WORDS = {"ROOT": ROOT, "KEY": KEY, "OTHER": OTHER_KEY}


class Grammar:
    """What modules.yml says."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._choices = dict(told["choices"])
        self._choices |= {"conditions": told["conditions"]}
        self._choices |= {name: [f"ROOT/{each}" for each in names] for name, names in told["given"].items()}
        self._kinds = told["kinds"]

    def tasks(self) -> st.SearchStrategy[Task]:
        kinds = []
        for name, entries in self._kinds.items():
            kind = st.one_of([self._task(entry) for entry in entries])
            kinds += [kind] * int(name.split()[1])
        return choice(kinds)

    def value(self, said: Any) -> st.SearchStrategy[Any]:
        """What may stand where modules.yml says this; LEFT_OUT for nothing at all."""
        if isinstance(said, str) and said.startswith("$") and said[1:] in self._choices:
            return self.value(self._choices[said[1:]])
        if isinstance(said, list):
            return choice([self.value(each) if isinstance(each, str) else _literal(each) for each in said])
        return _literal(said)

    def _task(self, entry: dict[str, Any]) -> st.SearchStrategy[Task]:
        ((module, said),) = entry.items()
        if isinstance(said, list):
            return st.sampled_from([{module: filled(each)} for each in said])
        drawn = st.fixed_dictionaries({name.removesuffix("~"): self._argument(name, value)
                                       for name, value in said.items()})  # fmt: skip
        return drawn.map(lambda values: {module: {k: v for k, v in values.items() if v is not LEFT_OUT}})

    def _argument(self, name: str, said: Any) -> st.SearchStrategy[Any]:
        value = self.value(said)
        return choice([st.just(LEFT_OUT)] * 3 + [value]) if name.endswith("~") else value


def _literal(value: Any) -> st.SearchStrategy[Any]:
    return st.just(LEFT_OUT if value is None else filled(value))


def choice(some: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of these, as often as it is named: st.one_of() takes no notice of that."""
    return st.sampled_from(some).flatmap(lambda one: one)


def filled(value: Any) -> Any:
    """A value with ROOT and the keys as what they stand for."""
    if isinstance(value, str):
        for word, meant in WORDS.items():
            value = value.replace(word, meant)
        return value
    if isinstance(value, dict):
        return {name: filled(each) for name, each in value.items()}
    return [filled(each) for each in value] if isinstance(value, list) else value


def data(name: str) -> dict[str, Any]:
    """A file beside this one."""
    return dict(yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8")))


GRAMMAR = Grammar({**data("modules.yml"), "conditions": data("keywords.yml")["conditions"]})
