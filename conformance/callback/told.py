"""An ansible-core callback: writes what every task came to on every host, and the recap, into $TOLD: JSON lines.

It needs nothing of wxops, and prints nothing: scripts read what ansible-playbook prints.
"""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "told"
    CALLBACK_NEEDS_ENABLED = True

    def _tell(self, status, result):
        task = result._task
        line = {"host": result._host.get_name(), "task": task.get_name(), "where": task.get_path(), "status": status,
                "module": task.action.rpartition(".")[2], "result": result._result}  # fmt: skip
        self._write(line)

    def _write(self, line):
        with open(os.environ["TOLD"], "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._tell("changed" if result.is_changed() else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._tell("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result):
        self._tell("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._tell("unreachable", result)

    def v2_playbook_on_stats(self, stats):
        counts = {host: stats.summarize(host) for host in stats.processed}
        named = {"failures": "failed"}
        self._write({"event": "recap", "hosts": {host: {named.get(name, name): count for name, count in each.items()}
                                                 for host, each in counts.items()}})  # fmt: skip
