"""`wxops doc`: every module has a page on which every argument that an operator can write is explained."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from wxops.actions import catalog
from wxops.cli.doc import doc


def page_of(module: str) -> str:
    shown = CliRunner().invoke(doc, [module])
    assert shown.exit_code == 0, shown.output
    return shown.output


@pytest.mark.parametrize("module", catalog.names())
def test_explains_the_module_and_each_of_its_arguments(module: str) -> None:
    page = page_of(module)
    name, empty, summary, *_ = page.splitlines()
    assert (name, empty) == (module, "")
    assert summary.strip()
    for argument in catalog.module(module).signature.arguments:
        if not argument.startswith("_"):
            heading = rf"^  {re.escape(argument)}( \(also [^)]*\))?  \[.*\]\n    \S"
            assert re.search(heading, page, re.MULTILINE), f"{argument} has no text"


def test_lists_all_modules_with_a_line_each() -> None:
    lines = CliRunner().invoke(doc).output.splitlines()
    assert tuple(line.split()[0] for line in lines) == catalog.names()
    assert all(len(line.split()) > 3 for line in lines)


def test_takes_the_names_of_collections() -> None:
    assert page_of("ansible.builtin.copy") == page_of("copy")
