"""The agent runs on hosts as they are: Python 3.7 to today's, its standard library, and nothing else."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wxops.agent
from wxops.transport.package import CARRIED

AGENT = Path(wxops.agent.__file__).parent
FILES = sorted(AGENT.rglob("*.py"))
OLDEST = (3, 7)

# Library modules that not every Python since 3.7 has: https://docs.python.org/3/whatsnew/ and PEP 594.
NEWER = {"graphlib", "tomllib", "zoneinfo", "compression", "annotationlib", "concurrent.interpreters"}
GONE = {
    "aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp",
    "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau",
    "telnetlib", "uu", "xdrlib",
}  # fmt: skip
# Names that came after 3.7, of those that an agent could reach for.
LATER_NAMES = {
    "cached_property", "removeprefix", "removesuffix", "memfd_create", "posix_spawnp", "pidfd_open",
    "is_relative_to", "with_stem", "unparse", "aclosing", "to_thread", "pairwise", "batched", "prod", "isqrt", "dist",
    "bit_count", "add_note", "process_cpu_time", "hash_file", "file_digest",
}  # fmt: skip
LATER_TYPING = {
    "Final",
    "Literal",
    "Protocol",
    "TypedDict",
    "final",
    "runtime_checkable",
    "Annotated",
    "ParamSpec",
    "Self",
}


def id_of(path: Path) -> str:
    return str(path.relative_to(AGENT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST)


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that no host executes: annotations, and what is under `if TYPE_CHECKING:`."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns") or (field == "body" and is_type_checking(node)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from run_time_nodes(child)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Every module that is imported, under `if TYPE_CHECKING:` too, with the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def test_there_is_an_agent_to_check() -> None:
    assert AGENT / "facts" / "__init__.py" in FILES and len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_syntax_is_that_of_the_oldest_python(path: Path) -> None:
    parsed(path)


@pytest.mark.parametrize("name", sorted(CARRIED))
def test_what_it_carries_is_one_file_for_the_oldest_python_and_its_standard_library(name: str) -> None:
    found = importlib.util.find_spec(name.removesuffix(".py"))
    assert found is not None and found.origin is not None
    tree = parsed(Path(found.origin))
    assert {module.partition(".")[0] for module, _ in imported(tree)} <= sys.stdlib_module_names - NEWER - GONE


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_imports_are_the_standard_library_or_the_agent_itself(path: Path) -> None:
    for module, _ in imported(parsed(path)):
        top = module.partition(".")[0]
        own = module == "wxops.agent" or module.startswith("wxops.agent.") or f"{module}.py" in CARRIED
        assert own or top in sys.stdlib_module_names, f"{module} is not on every host"
        assert own or not {module, top} & (NEWER | GONE), f"not every Python since {OLDEST} has {module}"


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_names_exist_in_the_oldest_python(path: Path) -> None:
    for node in run_time_nodes(parsed(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in LATER_NAMES, f"line {node.lineno}: {node.attr} came after Python 3.7"
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            assert not {alias.name for alias in node.names} & LATER_TYPING, f"line {node.lineno}: not in 3.7's typing"


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_annotations_are_never_evaluated(path: Path) -> None:
    """`X | None` and `list[str]` are fine in them, as long as they stay text."""
    tree = parsed(path)
    annotated = any(getattr(node, "annotation", None) or getattr(node, "returns", None) for node in ast.walk(tree))
    assert not annotated or ("__future__", ["annotations"]) in imported(tree)


def oldest_python() -> str | None:
    """A Python 3.7 on this machine that starts, if there is one."""
    found = [shutil.which("python3.7"), *map(str, Path.home().glob(".pyenv/versions/3.7.*/bin/python3.7"))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", "pass"], capture_output=True).returncode == 0:
            return path
    return None


IMPORT_ALL = """
import importlib, pkgutil, sys
import wxops.agent
for module in pkgutil.walk_packages(wxops.agent.__path__, "wxops.agent."):
    if module.name != "wxops.agent.loader":  # the second stage of the bootstrap; it runs by itself
        importlib.import_module(module.name)
from wxops.agent.facts.gathering import gather
facts, warnings = gather()
print(facts["ansible_python_version"], warnings)
"""


def test_every_file_loads_and_facts_are_gathered_under_python_3_7() -> None:
    python = oldest_python()
    if python is None:
        pytest.skip("no Python 3.7 on this machine")
    done = subprocess.run([python, "-B", "-c", IMPORT_ALL], cwd=AGENT.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3.7.") and done.stdout.endswith(" []\n")
