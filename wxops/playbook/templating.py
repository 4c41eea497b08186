"""Templates of a playbook, evaluated with the variables of a host as ansible-core 2.19 evaluates them.

Only `SourceStr` is a template: text that an operator wrote. A plain `str` came from a host, a file or a lookup; it is
data, and its braces stay braces.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jinja2
from jinja2.utils import missing

from wxops.errors import Origin, TemplateError, VaultError
from wxops.playbook.jinja.about import about_template
from wxops.playbook.jinja.embedded import has_template
from wxops.playbook.jinja.environment import Environment, shared
from wxops.playbook.jinja.evaluation import VOLATILE, Evaluation, current
from wxops.playbook.jinja.explain import explained, syntax_error
from wxops.playbook.jinja.lazy import OMIT, DecryptedStr, Owner, plain, present, view
from wxops.playbook.jinja.lookups import OF_WHAT_IS_DEFINED, run, short_name
from wxops.playbook.jinja.settings import checked
from wxops.playbook.jinja.undefined import Failure, Tripped, error_of, type_name
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.source import KeywordStr, SourceStr, VaultStr, origin_of
from wxops.playbook.vault import VaultKeys

__all__ = ["OMIT", "Environment", "Templar", "check_condition", "check_syntax", "lookup"]


class _Known(NamedTuple):
    """A variable that was evaluated, and what it was made from."""

    value: Any
    names: set[str]


class Templar:
    """The variables of one host, and the evaluation of templates with them.

    A variable is evaluated when it is first used, and once. Values made from a lookup, the clock or chance are made
    anew each time.
    search_path: the directories of the role and the playbook, in this order, for files and included templates.
    """

    __slots__ = ("_known", "_layers", "_outer", "environment", "managed", "search_path", "secrets", "vault")

    def __init__(
        self,
        variables: Mapping[str, Any],
        *,
        environment: Environment | None = None,
        search_path: Sequence[Path] = (),
        vault: VaultKeys | None = None,
        secrets: SecretRegistry | None = None,
        managed: str | None = None,
    ) -> None:
        """managed: what `ansible_managed` in ansible.cfg says, if it is there."""
        self.environment = environment or shared()
        self.managed = managed
        self.search_path = tuple(search_path)
        self.vault = vault or VaultKeys()
        self.secrets = secrets or SecretRegistry()
        self._layers: tuple[Mapping[str, Any], ...] = (
            tuple(variables.maps) if isinstance(variables, ChainMap) else (variables,)
        )
        self._outer: Templar | None = None
        self._known: dict[str, _Known] = {}

    def extended(self, extra: Mapping[str, Any]) -> Templar:
        """The same with more variables, which go first: a loop's item, a task's `vars`. Cheap.

        What this scope knows stays known in that one, except what was made from a name that `extra` gives anew.
        """
        inner = Templar(
            extra, environment=self.environment, search_path=self.search_path, vault=self.vault, secrets=self.secrets,
            managed=self.managed,
        )  # fmt: skip
        inner._layers = (extra, *self._layers)
        inner._outer = self
        return inner

    # -- evaluating --------------------------------------------------------------------------------------------------

    def render(self, value: Any, *, where: Origin | None = None) -> Any:
        """A value with its templates evaluated, as plain data.

        A template that is one expression gives a value of its own type, others give text. OMIT is left out of dicts
        and lists, and is the result if it is all there is; not of a keyword. Keys are not templates.
        """
        if isinstance(value, SourceStr):
            result = self._rendered(value, value.origin or where)
            return self.render(value.otherwise) if result is OMIT and isinstance(value, KeywordStr) else result
        if isinstance(value, dict):
            pairs = ((plain(key), self.render(item, where=where)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not OMIT}
        if isinstance(value, (list, tuple)):
            return [item for item in (self.render(item, where=where) for item in value) if item is not OMIT]
        return value

    def condition(self, expression: Any, *, where: Origin | None = None, what: str = "when") -> bool:
        """Whether a condition holds: true, false, or the operator's text that gives one. `what` names it in errors."""
        if isinstance(expression, bool):
            return expression
        result = self._condition_result(expression, where, what)
        if isinstance(result, bool):
            return result
        raise TemplateError(
            f"{what} must be true or false, but its result is of type {type_name(result)!r}",
            where=getattr(expression, "origin", where),
            fix=f"say what about it must hold, such as `... | length > 0` or `... | bool`, in: {expression}",
        )

    def members(self, text: SourceStr) -> list[Any] | None:
        """The list that a template gives, its members not evaluated yet; None where it gives none."""
        value = self._evaluated(Evaluation(self, text, text.origin), self.environment.inline)
        return [*list.__iter__(value)] if isinstance(value, list) else None

    def expression(self, text: str, *, where: Origin | None = None) -> Any:
        """The value of one expression without braces. The caller vouches for the text."""
        return self._finished(text, getattr(text, "origin", where), self.environment.expression)

    def template_text(self, text: str, *, name: str, **settings: Any) -> str:
        """A whole template file. The caller vouches for the text; `name` is its path.

        settings: delimiters and rules for white space, see `jinja.settings.NAMES`. As with ansible-core the line break
        after a block is dropped, and the text ends with no fewer line breaks than the file.
        """
        result = self.template_value(text, name, {"keep_trailing_newline": False, **settings})
        return "" if result is None or result is OMIT else str(result)

    def template_value(self, text: str, name: str, settings: Mapping[str, Any]) -> Any:
        """The same, but a file that is one expression gives a value of its own type."""
        known = checked(dict(settings))
        return self._finished(text, Origin(name), lambda body: self.environment.file(name, body, known))

    def for_template(self, path: Path, *, src: str | None = None, dest: str = "") -> Templar:
        """A scope with the variables that a template file finds about itself: ansible_managed, template_path...

        src: the file as the task names it.
        """
        about = about_template(path, src or str(path), dest, self.managed)
        if self.resolve("ansible_managed") is not missing:
            del about["ansible_managed"]
        return self.extended(about)

    def lookup(self, name: str, terms: Any, **options: Any) -> list[Any]:
        """What a lookup finds for its terms, which may be templates: the list that `with_NAME` walks over."""
        lenient = short_name(name) in OF_WHAT_IS_DEFINED
        given = present(view(terms, Owner(self, None))) if lenient else self.render(terms)
        return self._finished(f"with_{name}", origin_of(terms), lambda _: _Lookup(name, given, options))  # type: ignore[no-any-return]

    # -- variables ---------------------------------------------------------------------------------------------------

    def namespace(self) -> Mapping[str, Any]:
        """The variables as a template sees them, each evaluated when it is read: `vars`, or a host in `hostvars`."""
        return _Namespace(self)

    def names(self) -> list[str]:
        """The names of all variables."""
        return list(dict.fromkeys(str(name) for layer in self._layers if is_listed(layer) for name in layer))

    def resolve(self, name: str) -> Any:
        """A variable as a template sees it: jinja's `missing` if there is none, an Undefined if its template fails."""
        evaluation = current.get()
        if evaluation is not None:
            evaluation.names.add(name)
        known = self._recalled(name)
        if known is not None:
            if evaluation is not None:
                evaluation.names |= known.names
            return known.value
        raw = self._raw(name)
        if raw is missing:
            return self.namespace() if name == "vars" else missing
        owner = Owner(self, name)
        value = view(raw, owner)
        if value is not raw:
            self._remember(name, _Known(value, owner.names))
        return value

    def text_in(self, text: SourceStr, owner: Owner) -> Any:
        """A text in a variable, evaluated if it is a template. What it read is added to the owner's names."""
        if isinstance(text, VaultStr):
            try:
                result = self._text_in(self._decrypted(text), owner)
            except VaultError as error:
                return Failure(error)
            self.secrets.add(result)
            return result
        return self._text_in(text, owner)

    def forget(self, variable: str | None) -> None:
        """Makes the next use of a variable evaluate it again."""
        if variable is not None:
            self._known.pop(variable, None)

    def peek(self, expression: str) -> Any:
        """The value of an expression, unfinished, to tell what an error is about."""
        return self._evaluated(Evaluation(self, expression, None), self.environment.expression)

    def candidates(self, name: str, folder: str) -> list[Path]:
        """Where a file may be: in `folder` of each directory of the search path, then in the directory itself."""
        path = Path(name).expanduser()
        if path.is_absolute():
            return [path]
        inside = [folder, ""] if folder else [""]
        return [base / each / path for base in self.search_path for each in inside]

    # -- within ------------------------------------------------------------------------------------------------------

    def _rendered(self, text: SourceStr, where: Origin | None) -> Any:
        if isinstance(text, VaultStr):
            value = self.text_in(text, Owner(self, None))
            return _demanded(value) if isinstance(value, jinja2.Undefined) else plain(value)
        if not has_template(text):
            return str(text)
        return self._finished(text, where, self.environment.inline)

    def _finished(self, text: str, where: Origin | None, compiled: _Compile) -> Any:
        return _demanded(self._evaluated(Evaluation(self, text, where), compiled, plain))

    def _condition_result(self, expression: Any, where: Origin | None, what: str) -> Any:
        origin = getattr(expression, "origin", where)
        expression = _demanded(expression)
        if not isinstance(expression, SourceStr) or not expression.strip():
            shown = repr(expression) if isinstance(expression, str) else f"a {type_name(expression)}"
            raise TemplateError(f"{what} must be true, false or an expression, not {shown}", where=origin)
        if not _is_template_only(expression):
            return _demanded(self._evaluated(Evaluation(self, expression, origin), self.environment.expression))
        result = _demanded(self._evaluated(Evaluation(self, expression, origin), self.environment.inline))
        return self._condition_result(result, origin, what) if isinstance(result, SourceStr) else result

    def _text_in(self, text: SourceStr, owner: Owner) -> Any:
        if not has_template(text):
            return text
        evaluation = Evaluation(self, text, text.origin, owner.variable)
        if evaluation.is_within_itself():
            return Failure(_endless(evaluation))
        result = self._evaluated(evaluation, self.environment.inline)
        owner.names |= evaluation.names
        if evaluation.outer is not None:
            evaluation.outer.names |= evaluation.names
        if VOLATILE in evaluation.names:
            self.forget(owner.variable)
        return result

    def _evaluated(self, evaluation: Evaluation, compiled: _Compile, finish: Callable[[Any], Any] | None = None) -> Any:
        """The result of a template; an Undefined if it has none, and a Failure if it is wrong."""
        token = current.set(evaluation)
        try:
            result = compiled(evaluation.text).result(self)
            return finish(result) if finish else result
        except Tripped as trip:
            return trip.source
        except Exception as error:
            return Failure(explained(error, evaluation))
        finally:
            current.reset(token)

    def _decrypted(self, text: VaultStr) -> DecryptedStr:
        secret = DecryptedStr(self.vault.decrypt_text(text, text.origin), text.origin)
        self.secrets.add(secret)
        return secret

    def _raw(self, name: str) -> Any:
        for layer in self._layers:
            if name in layer:
                return layer[name]
        return missing

    def _recalled(self, name: str) -> _Known | None:
        known = self._known.get(name)
        if known is None and self._outer is not None and name not in self._layers[0]:
            known = self._outer._recalled(name)
            if known is not None and not (_is_shared(known) and known.names.isdisjoint(self._layers[0])):
                return None
        return known

    def _remember(self, name: str, known: _Known) -> None:
        """Keeps a value in the outermost scope that has all that it was made from."""
        if VOLATILE in known.names:
            return
        made_from, scope = {name, *known.names}, self
        while scope._outer and _is_shared(known) and made_from.isdisjoint(scope._layers[0]):
            scope = scope._outer
        scope._known[name] = known


def lookup(name: str, terms: Any, templar: Templar, **options: Any) -> list[Any]:
    """See Templar.lookup."""
    return templar.lookup(name, terms, **options)


class _Namespace(Mapping[str, Any]):
    """See Templar.namespace."""

    def __init__(self, templar: Templar) -> None:
        self._templar = templar

    def __getitem__(self, name: str) -> Any:
        value = self._templar.resolve(name) if name != "vars" else missing
        if value is missing:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return any(name in layer for layer in self._templar._layers if is_listed(layer))

    def __iter__(self) -> Iterator[str]:
        return iter(self._templar.names())

    def __len__(self) -> int:
        return len(self._templar.names())


def is_listed(layer: Mapping[str, Any]) -> bool:
    """Do its variables stand in `vars`?"""
    return not getattr(layer, "unlisted", False)


def check_syntax(value: Any, *, environment: Environment | None = None) -> None:
    """Raises TemplateError for the first template in a value that cannot be parsed, or that names a filter, test or
    lookup that does not exist. Evaluates nothing."""
    if isinstance(value, SourceStr):
        if has_template(value) and not isinstance(value, VaultStr):
            _check(value, (environment or shared()).inline)
    elif isinstance(value, dict):
        for item in value.values():
            check_syntax(item, environment=environment)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_syntax(item, environment=environment)


def check_condition(value: Any, *, environment: Environment | None = None) -> None:
    """The same for a condition, or a list of them."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, SourceStr) and each.strip():
            known = environment or shared()
            _check(each, known.inline if _is_template_only(each) else known.expression)


class _Evaluable(Protocol):
    """A compiled template, or what else has a result for a host."""

    def result(self, templar: Templar) -> Any: ...


_Compile = Callable[[str], _Evaluable]


class _Lookup(NamedTuple):
    """A loop's lookup."""

    name: str
    terms: Any
    options: Mapping[str, Any]

    def result(self, templar: Templar) -> Any:
        return run(self.name, self.terms, templar, self.options)


def _check(text: SourceStr, compiled: _Compile) -> None:
    try:
        compiled(text)
    except Exception as error:
        raise syntax_error(error, text, text.origin) from None


def _demanded(value: Any) -> Any:
    if isinstance(value, jinja2.Undefined):
        raise error_of(value)
    return value


def _is_shared(known: _Known) -> bool:
    """Whether inner scopes may use a value: containers are evaluated by the scope that made them, so they may not."""
    return isinstance(known.value, (str, int, float)) or known.value is None


def _is_template_only(text: str) -> bool:
    return text.startswith(("{{", "{%", "{#")) and text.rstrip().endswith(("}}", "%}", "#}"))


def _endless(evaluation: Evaluation) -> TemplateError:
    """The error for a variable that needs itself."""
    chain = [each.variable for each in evaluation.outward() if each.variable]
    first = chain.index(chain[0], 1) if chain[0] in chain[1:] else len(chain) - 1
    shown = " -> ".join(reversed(chain[: first + 1]))
    return TemplateError(
        f"the variable {chain[0]!r} refers to itself: {shown}",
        where=evaluation.origin,
        fix="give one of them another name, or a value that does not need the others",
    )
