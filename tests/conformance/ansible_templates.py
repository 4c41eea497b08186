"""Evaluates cases of templates with ansible-core: files come as arguments, the outcomes go back as JSON lines.

It is started with the Python of an environment that has ansible-core, in the directory of the cases.
"""

import json
import os
import pathlib
import sys

from ansible._internal._templating._utils import Omit
from ansible.errors import AnsibleValueOmittedError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

PLAY = pathlib.Path("play").resolve()
LOADER = DataLoader()
LOADER.set_basedir(str(PLAY))


def untrusted(value):
    """Text as a host returns it, never a template."""
    return json.loads(json.dumps(value))


def evaluated(case):
    variables = {**case.get("variables", {}), **untrusted(case.get("data", {})), "ansible_search_path": [str(PLAY)],
                 "playbook_dir": str(PLAY), "role_path": str(PLAY)}  # fmt: skip
    templar = Templar(loader=LOADER, variables=variables)
    expression, kind = case["expression"], case.get("kind", "template")
    if kind == "condition":
        return templar.evaluate_conditional(expression)
    if kind == "expression":
        return templar.evaluate_expression(expression)
    if kind == "file":
        options = untrusted(case.get("options", {}))
        text = trust_as_template(str(expression))
        result = templar.copy_with_new_env(available_variables=variables).template(
            text, escape_backslashes=False, overrides={"trim_blocks": True, **options}
        )
        return "" if result is None else str(result)
    return templar.template(expression)


def outcome(case):
    try:
        result = evaluated(case)
    except AnsibleValueOmittedError:
        return {"omitted": True}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    if result is Omit:
        return {"omitted": True}
    return {"value": json.loads(json.dumps(result, default=str))}


init_plugin_loader()
for file in sys.argv[1:]:
    for case in LOADER.load_from_file(os.path.abspath(file), trusted_as_template=True):
        print(json.dumps(outcome(case)), flush=True)
