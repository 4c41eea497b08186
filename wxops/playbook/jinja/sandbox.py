"""Jinja2's sandbox, taught to let undefined values travel and to give results of their own type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TOKEN_STRING, Lexer, get_lexer
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import SandboxedEnvironment

from wxops.playbook.jinja.checks import check_names
from wxops.playbook.jinja.embedded import expand_lookup_terms
from wxops.playbook.jinja.evaluation import current
from wxops.playbook.jinja.guard import listed
from wxops.playbook.jinja.scope import Scope, Template, joined
from wxops.playbook.jinja.settings import from_header
from wxops.playbook.jinja.undefined import Tripped, Undefined

_DICT_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))


class Jinja(SandboxedEnvironment):
    """One set of delimiters and rules for white space.

    raw_strings: a backslash in a string constant stands for itself, as in a template within YAML
                 (`regex_replace('(\\d+)', '<\\1>')`); in files and conditions it escapes.
    """

    context_class = Scope
    template_class = Template
    concat = staticmethod(joined)  # of macros and {% set %} blocks: native as well

    def __init__(
        self,
        filters: dict[str, Any],
        tests: dict[str, Any],
        globals: Mapping[str, Any],
        *,
        raw_strings: bool = False,
        settings: Mapping[str, Any],
    ) -> None:
        options = {"trim_blocks": True, **settings}
        super().__init__(undefined=Undefined, optimized=False, cache_size=0, loader=_SearchPath(), **options)
        self.code_generator_class: type[CodeGenerator] = _CodeGenerator
        self.filters, self.tests = filters, tests
        self.globals.update(globals)
        self.raw_strings = raw_strings
        self._files: dict[tuple[str, str], Template] = {}

    @property
    def lexer(self) -> Lexer:
        lexer = get_lexer(self)
        return _RawStrings(lexer) if self.raw_strings else lexer

    def parsed(self, text: str, file: str | None = None) -> nodes.Template:
        """A template without its header; lines are counted with it. Raises jinja2.TemplateSyntaxError."""
        body, _ = from_header(text)
        skipped = int(body is not text)
        try:
            tree = Parser(self, body, file, file).parse()
        except TemplateSyntaxError as error:
            error.lineno += skipped
            raise
        for node in tree.find_all(nodes.Node) if skipped else ():
            node.lineno += skipped
        return tree

    def parsed_expression(self, text: str) -> nodes.Template:
        """One expression without braces, as a template that gives its value."""
        parser = Parser(self, text, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail("expected one expression", parser.stream.current.lineno)
        tree = nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)
        tree.set_environment(self)
        return tree

    def compiled(self, tree: nodes.Template, file: str | None = None) -> Template:
        """Raises UnknownName."""
        check_names(tree, self.filters, self.tests)
        code = self.compile(expand_lookup_terms(tree, self), file, file)
        template: Template = Template.from_code(self, code, self.globals)  # type: ignore[assignment]
        return template

    def file(self, name: str, text: str) -> Template:
        """A whole file, compiled once for each content."""
        template = self._files.get((name, text))
        if template is None:
            template = self._files[name, text] = self.compiled(self.parsed(text, name), name)
        return template

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute not in _DICT_METHODS:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping) and attribute not in _DICT_METHODS and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(argument, Undefined):
            return argument
        return super().getitem(obj, argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a function or method of a template's. An undefined argument is the result; macros take it as it is."""
        if isinstance(__obj, Undefined):
            return __obj
        if not isinstance(__obj, Macro) and not getattr(__obj, "takes_undefined", False):
            for argument in (*args, *kwargs.values()):
                if isinstance(argument, Undefined):
                    return argument
        try:
            return listed(super().call(__context, __obj, *args, **kwargs))
        except Tripped as trip:
            return trip.source


class _CodeGenerator(NativeCodeGenerator):
    """Leaves `{{ 1 }}` a number: jinja would join constants into a text while compiling."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> Any:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class _RawStrings(Lexer):
    """A lexer whose string constants keep their backslashes."""

    def __init__(self, lexer: Lexer) -> None:
        self.__dict__.update(lexer.__dict__)  # jinja keeps one lexer for each set of delimiters: share its rules

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        for line, token, text in super().tokeniter(source, name, filename, state):
            yield line, token, text.replace("\\", "\\\\") if token == TOKEN_STRING else text


class _SearchPath(jinja2.BaseLoader):
    """Finds what a template includes: beside the including files, then in the templates/ of role and playbook."""

    def load(
        self, environment: jinja2.Environment, name: str, globals: MutableMapping[str, Any] | None = None
    ) -> jinja2.Template:
        assert isinstance(environment, Jinja)
        path = self._found(name)
        return environment.file(str(path), path.read_text(encoding="utf-8"))

    def _found(self, name: str) -> Path:
        evaluation = current.get()
        if evaluation is None:
            raise jinja2.TemplateNotFound(name)
        beside = [folder / name for folder in evaluation.folders()]
        candidates = [*beside, *evaluation.templar.candidates(name, "templates")]
        for path in candidates:
            if path.is_file():
                return path
        looked = ", ".join(dict.fromkeys(str(path) for path in candidates))
        raise jinja2.TemplateNotFound(name, f"the template {name!r} is not there; looked for {looked}")
