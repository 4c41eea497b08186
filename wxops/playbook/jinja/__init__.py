"""Jinja2 as ansible-core 2.19 speaks it: native results, lazy variables, its filters, tests and lookups."""
