"""All filters and tests beyond jinja's own."""

from __future__ import annotations

from wxops.playbook.jinja import (
    filters_data,
    filters_formats,
    filters_hash,
    filters_math,
    filters_paths,
    filters_sets,
    filters_text,
    tests,
)

FILTERS = {
    **filters_text.FILTERS,
    **filters_formats.FILTERS,
    **filters_data.FILTERS,
    **filters_sets.FILTERS,
    **filters_math.FILTERS,
    **filters_paths.FILTERS,
    **filters_hash.FILTERS,
}
TESTS = tests.TESTS
