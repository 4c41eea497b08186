"""Modules of the collections that change only files: the promises of the built-in ones, without ansible-core's word."""

from __future__ import annotations

import pytest

from tests.module_data import Case, all_cases
from tests.unit import test_file_modules as of_files

MODULES = ("ini_file", "kernel_blacklist", "pam_limits")
host, server = of_files.host, of_files.server


@pytest.mark.parametrize("case", all_cases(*MODULES), ids=lambda case: case.id)
def test_case(case: Case, host: of_files.HostOfOne) -> None:
    of_files.test_case(case, host)
