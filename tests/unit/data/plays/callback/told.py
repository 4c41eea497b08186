"""An ansible-core callback that writes what a run told into the file $TOLD, one JSON object a line."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "told"

    def _tell(self, **line):
        with open(os.environ["TOLD"], "a") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_playbook_on_play_start(self, play):
        self._tell(event="play", play=play.get_name())

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._tell(event="start", task=task.get_name())

    v2_playbook_on_handler_task_start = lambda self, task: self.v2_playbook_on_task_start(task, False)  # noqa: E731

    def _result(self, status, result):
        told = self._clean(result)
        self._tell(event="task", host=result._host.get_name(), task=result._task.get_name(), status=status, result=told,
                   module=result._task.action.rpartition(".")[2])  # fmt: skip

    @staticmethod
    def _clean(result):
        # what the screen would show, so that `no_log` censors here as there
        return dict(result._result) if isinstance(result._result, dict) else result._result

    def v2_runner_on_ok(self, result):
        self._result("changed" if result.is_changed() else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result):
        self._result("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats):
        hosts = {host: dict(stats.summarize(host)) for host in stats.processed}
        self._tell(event="recap", hosts=hosts)
