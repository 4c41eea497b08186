"""NVIDIA's driver and its GPUs, as NVML tells them, within deadlines: a call that hangs costs its own field only.

A driver in trouble may never answer, and then no signal ends the call. So a child asks (nvml_child.py); one that is
silent for too long is left behind, and another goes on with what is left.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING

from wxops.agent.apart import abandon, fork_apart
from wxops.agent.gpu.nvml_child import COUNT, HANDLE, LIBRARY, SYSTEM_WIDE, tell
from wxops.agent.gpu.nvml_error import LOST
from wxops.agent.gpu.nvml_library import version_in
from wxops.agent.gpu.reading import read, unknown

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from wxops.agent.gpu.nvml_child import Question
    from wxops.agent.gpu.reading import Reading

MOST_LOST = 4
"""Children left behind at one host. A driver that hangs so often would only be asked to hang more."""
MOST_OF_A_GPU = 2
START_FACTOR = 6
"""How much longer than other calls a start may take: a GPU without persistence mode is woken by it."""
STARTS = ("load", "init", COUNT, HANDLE)
LONGEST_S = 600  # a child that was left behind ends then, if the driver lets it


class Nvml:
    """Asks as soon as it is made; `record` waits for the answers."""

    def __init__(self, library: str, deadline: float) -> None:
        self._library, self._deadline = library, deadline
        self._told: Dict[Question, Reading] = {}
        self._asked: Question = (SYSTEM_WIDE, "load")
        self._silences: Dict[int, int] = {}
        self._given_up = ""
        self._error = ""
        self._lost = 0
        self._begin()

    def _begin(self) -> None:
        answered = frozenset(self._told)
        silent = {gpu for gpu, times in self._silences.items() if times >= MOST_OF_A_GPU}
        silent |= {gpu for gpu, name in answered if name == HANDLE and "value" not in self._told[gpu, name]}
        self._buffer: List[bytes] = []
        self._asked = (SYSTEM_WIDE, "load")
        self._pid, self._pipe = fork_apart(
            lambda write: tell(write, self._library, answered, silent), seconds=LONGEST_S
        )

    def record(self) -> Dict[str, Any]:
        """The driver as the audit's record has it (wxops/audit/gpu.py: NvidiaDriver)."""
        while not self._over():
            pass
        path = str(self._told.pop((SYSTEM_WIDE, LIBRARY), {}).get("value") or os.path.realpath(self._library))
        driver: Dict[str, Any] = {"library": path, "library_version": version_in(path), "error": self._error}
        if self._error:
            return driver
        for (gpu, name), reading in self._told.items():
            if gpu == SYSTEM_WIDE and name not in STARTS:
                driver[name] = reading
        return dict(driver, gpus=self._gpus())

    def _over(self) -> bool:
        """Take the next word; is it the last one?"""
        line = self._line(self._deadline * (START_FACTOR if self._asked[1] in STARTS else 1))
        if not line:
            return self._lose(line is None)
        words = json.loads(line.decode("utf-8"))
        if words[0] == "ask":
            self._asked = (words[1], words[2])
        elif words[0] == "told":
            self._told[words[1], words[2]] = words[3]
        elif words[0] == "failed":
            self._fail(words[1])
        if words[0] in ("failed", "end"):
            os.close(self._pipe)
            os.waitpid(self._pid, 0)
            return True
        return False

    def _lose(self, hangs: bool) -> bool:
        """The child is silent, or has died within the library. Is nobody to be asked any more?"""
        gpu, name = self._asked
        seconds = self._deadline * (START_FACTOR if name in STARTS else 1)
        why = "no answer in %g s" % seconds if hangs else "the driver's library crashed"
        os.close(self._pipe)
        abandon(self._pid)
        self._lost += 1
        if gpu == SYSTEM_WIDE and name in STARTS:
            self._fail("%s: %s" % (name, why))
            return True
        self._told[gpu, name] = unknown(why)
        self._silences[gpu] = self._silences.get(gpu, 0) + 1
        if self._lost >= MOST_LOST:
            self._given_up = "not asked: the driver gave no answer %d times" % self._lost
            return True
        self._begin()
        return False

    def _fail(self, why: str) -> None:
        """NVML does not start: there is nothing to tell, or no more than what was told before."""
        self._given_up = why
        if (SYSTEM_WIDE, COUNT) not in self._told:
            self._error = why

    def _line(self, seconds: float) -> Optional[bytes]:
        """The child's next line; empty when it has ended, None when it is silent for so long."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        end = time.monotonic() + seconds
        while not self._buffer or b"\n" not in self._buffer[-1]:
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                return None
            part = os.read(self._pipe, 65536)
            if not part:
                return b""
            self._buffer.append(part)
        line, _, rest = b"".join(self._buffer).partition(b"\n")
        self._buffer = [rest] if rest else []
        return line

    def _gpus(self) -> Reading:
        count = self._told.get((SYSTEM_WIDE, COUNT)) or unknown(self._given_up)
        if "value" not in count:
            return count
        from wxops.agent.gpu.nvml_fields import FIELDS

        return read([self._gpu(index, FIELDS) for index in range(count["value"])])

    def _gpu(self, index: int, fields: Any) -> Dict[str, Any]:
        handle = self._told.get((index, HANDLE), {})
        if "value" not in handle and handle.get("detail"):
            why = str(handle["detail"])
        elif self._silences.get(index, 0) >= MOST_OF_A_GPU:
            why = "not asked: this GPU gave no answer %d times" % self._silences[index]
        else:
            why = self._given_up
        about: Dict[str, Any] = {"index": index, "lost": self._is_lost(index), "pcie": {}}
        for name in fields:
            reading = self._told.get((index, name)) or unknown(why)
            if name.startswith("pcie."):
                about["pcie"][name[len("pcie.") :]] = reading
            else:
                about[name] = reading
        return about

    def _is_lost(self, index: int) -> bool:
        return any(gpu == index and reading.get("detail") == LOST for (gpu, _), reading in self._told.items())


def unread(error: str) -> Dict[str, Any]:
    """The driver's record where its library is missing."""
    return {"library": "", "error": error}
