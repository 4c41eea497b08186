"""Runs modules of ansible-core in this process: the arguments come as JSON lines, the results go back the same way.

It is started with the Python of an environment that has ansible-core, and needs nothing of wxops.
"""

import contextlib
import importlib
import io
import json
import sys


def run(module, arguments):
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": "/tmp", **arguments}}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        try:
            importlib.import_module("ansible.modules." + module).main()
        except Exception as error:  # what ansible-core's own wrapper does with one
            return {"failed": True, "msg": str(error)}
    return json.loads(said.getvalue())


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(run(asked["module"], asked["args"])), flush=True)
