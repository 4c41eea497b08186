"""PyTorch put to work: imported by its own Python, in a child with a deadline, and its GPUs' results compared.

Whoever owns an environment could put anything into it: root runs it as its owner.
"""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.gpu.reading import not_supported, read, unknown
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Any, Dict, List

    from wxops.agent.facts.host import Host
    from wxops.agent.gpu.reading import Reading

SCRIPT = r"""
import json, sys, time

def difference(found, wanted):
    return float((found - wanted).abs().max() / wanted.abs().max())

def check(device):
    started = time.time()
    about = {"device": "cuda:%d" % device}
    try:
        about["device"] += " " + torch.cuda.get_device_name(device)
        left, right = torch.randn(512, 768), torch.randn(768, 256)
        place = torch.device("cuda", device)
        about["matmul_error"] = difference((left.to(place) @ right.to(place)).cpu(), left @ right)
        if not torch.backends.cudnn.is_available():
            raise RuntimeError("cuDNN is not available to it")
        picture, kernel = torch.randn(4, 16, 48, 48), torch.randn(32, 16, 3, 3)
        convolve = torch.nn.functional.conv2d
        found = convolve(picture.to(place), kernel.to(place)).cpu()
        about["convolution_error"] = difference(found, convolve(picture, kernel))
        torch.cuda.synchronize(device)
    except Exception as error:
        about["error"] = "%s: %s" % (type(error).__name__, str(error).strip().split("\n")[0])
    about["seconds"] = round(time.time() - started, 3)
    return about

try:
    import torch
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    told = {"checks": [check(device) for device in range(torch.cuda.device_count())]}
    told["architectures"] = torch.cuda.get_arch_list()
    told["cudnn"] = torch.backends.cudnn.version() or 0
except Exception as error:
    told = {"error": "%s: %s" % (type(error).__name__, str(error).strip().split("\n")[0])}
sys.__stdout__.write("\nWXOPS " + json.dumps(told) + "\n")
"""
MARK = "WXOPS "


def deep(host: Host, torch: Dict[str, Any], deadline: float) -> None:
    """Put this PyTorch of the record to work, and note in it what came of that. deadline: seconds for all of it."""
    if torch["place"] != "host":
        torch["deep"] = not_supported("only PyTorchs of the host itself are put to work")
        return
    python = python_for(host, torch["path"], torch.get("python", ""))
    if not python:
        torch["deep"] = unknown("there is no Python in %s" % torch["path"])
        return
    try:
        told = _told(as_owner(python, torch["path"]), deadline)
    except ModuleFailure as failure:
        torch["deep"] = unknown(str(failure.result["msg"]))
        return
    torch["deep"] = reading_of(told)
    if told.get("architectures"):
        torch["architectures"] = read(told["architectures"])
    if told.get("cudnn"):
        torch["cudnn"] = cudnn_version(told["cudnn"])


def python_for(host: Host, path: str, version: str) -> str:
    """The environment's own; for one of the system's directories the system's of that version."""
    own = [path + "/bin/python", path + "/bin/python3"]
    systems = [path.partition("/lib")[0] + "/bin/python" + (version or "3"), host.command("python" + (version or "3"))]
    return next((each for each in own + systems if each and os.access(each, os.X_OK)), "")


def as_owner(python: str, path: str) -> List[str]:
    """The command that runs this Python as the one who can change what is in the environment."""
    owner = os.stat(path).st_uid
    if os.geteuid() != 0 or owner == 0:
        return [python]
    try:
        return ["runuser", "-u", pwd.getpwuid(owner).pw_name, "--", python]
    except KeyError:
        raise ModuleFailure("%s belongs to user %d, whom this host does not know" % (path, owner)) from None


def _told(command: List[str], deadline: float) -> Dict[str, Any]:
    done = run([*command, "-c", SCRIPT], cwd="/", environment={"PYTHONDONTWRITEBYTECODE": "1"}, timeout=deadline)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            found: Dict[str, Any] = json.loads(line[len(MARK) :])
            return found
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return {"error": "it ended with %d: %s" % (done.rc, last[:300])}


def reading_of(told: Dict[str, Any]) -> Reading:
    if "error" in told:
        return read([{"device": "", "error": told["error"]}])
    return read(told["checks"])


def cudnn_version(number: int) -> str:
    """9.1.0 of 90100, and before cuDNN 9 8.9.2 of 8902."""
    if number >= 90000:
        return "%d.%d.%d" % (number // 10000, number // 100 % 100, number % 100)
    return "%d.%d.%d" % (number // 1000, number // 100 % 10, number % 100)
