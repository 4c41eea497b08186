"""Records what ansible-core makes of every case here: run it with a Python that has ansible-core 2.19.

    python record.py [CASE ...]

A case is a file NAME.yml: `about` (what it promises), `playbook` and `files` (texts), `inventory` (a text; hosts.ini
if there is none) and `runs`, the arguments of each run. What was told goes to recorded/NAME.json: a list of runs, each
with its exit code, its recap, and `told`: task by task, what came out on each host. Of `debug` also what it showed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
BOOKKEEPING = {"changed", "failed", "failed_when_result", "_ansible_no_log", "_ansible_verbose_always", "skip_reason"}


def lay_out(case: dict, directory: Path) -> None:
    """Writes the files of a case."""
    files = {"site.yml": case["playbook"], **case.get("files", {})}
    files["hosts.ini"] = case.get("inventory") or (HERE / "hosts.ini").read_text()
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def condensed(lines: list[dict], directory: str, free: bool) -> dict:
    """What was told, task by task: {task: {host: status}}, or [status, what debug showed]. Without meta."""
    told: list = []
    recap: dict = {}
    for line in lines:
        if line["event"] == "start" and not free:
            told.append((line["task"], {}))
        elif line["event"] == "play":
            told.append((f"PLAY {line['play']}", {}))
        elif line["event"] == "task" and line["module"] != "meta":
            status = "failed" if line["status"] == "rescued" else line["status"]
            shown = what_it_showed(line, directory)
            if free or not told:
                told.append((line["task"], {}))
            told[-1][1][line["host"]] = [status, shown] if shown is not None else status
        elif line["event"] == "recap":
            recap = {host: {name: count for name, count in counts.items() if count} for host, counts in
                     line["hosts"].items()}  # fmt: skip
    recap = {host: {"failed" if name == "failures" else name: count for name, count in counts.items()}
             for host, counts in recap.items()}  # fmt: skip
    told = [[task.replace(directory, "DIR"), alike(hosts)] for task, hosts in told]
    told = [each for each in told if each[1] or each[0].startswith("PLAY ")]
    if free:
        told.sort(key=lambda each: [*each[1]])
    return {"recap": dict(sorted(recap.items())), "told": told}


def alike(outcomes: dict) -> dict:
    """{"h1 h2": outcome}: hosts with the same outcome together."""
    groups: list[tuple[list[str], object]] = []
    for host, outcome in sorted(outcomes.items()):
        same = next((hosts for hosts, other in groups if other == outcome), None)
        if same is None:
            groups.append(([host], outcome))
        else:
            same.append(host)
    return {" ".join(hosts): outcome for hosts, outcome in groups}


def what_it_showed(line: dict, directory: str):
    """What a debug task printed on a host; a list for a loop."""
    result = line["result"]
    if line["module"] != "debug" or line["status"] not in ("ok", "changed") or not isinstance(result, dict):
        return None
    if "censored" in result:
        return "CENSORED"
    if "results" in result:
        return [what_it_showed({**line, "result": each, "status": "ok"}, directory) if not each.get("skipped")
                else "SKIPPED" for each in result["results"]]  # fmt: skip
    if "msg" in result:
        shown = result["msg"]
    else:
        dull = BOOKKEEPING | {name for name in result if name.startswith(("_ansible", "ansible_loop", "ansible_index"))}
        dull |= {result.get("ansible_loop_var"), result.get("ansible_index_var"), "ms", "item"}
        shown = {name: value for name, value in result.items() if name not in dull}
    return json.loads(json.dumps(shown, default=str).replace(directory, "DIR"))


def record(name: str) -> None:
    case = yaml.safe_load((HERE / f"{name}.yml").read_text())
    runs = [record_run(case, list(map(str, arguments))) for arguments in case.get("runs", [[]])]
    (HERE / "recorded").mkdir(exist_ok=True)
    (HERE / "recorded" / f"{name}.json").write_text("[\n" + ",\n".join(map(readable, runs)) + "\n]\n")


def readable(run: dict) -> str:
    """A run as JSON with a line for each task."""
    told = ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in run["told"])
    recap = {host: dict(sorted(counts.items())) for host, counts in run["recap"].items()}
    rest = {"arguments": run["arguments"], "exit": run["exit"], "recap": recap}
    return f'{json.dumps(rest, ensure_ascii=False)[:-1]}, "told": [\n  {told}]}}'


def record_run(case: dict, arguments: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary).resolve() / "project"
        directory.mkdir()
        lay_out(case, directory)
        told = directory.parent / "told"
        told.touch()
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": temporary, "LC_ALL": "C.UTF-8", "TOLD": str(told),
            "ANSIBLE_STDOUT_CALLBACK": "told", "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_LOCAL_TEMP": f"{temporary}/tmp", "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }  # fmt: skip
        command = [str(BIN / "ansible-playbook"), "-i", "hosts.ini", "site.yml", *arguments]
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in told.read_text().splitlines()]
        if os.environ.get("SHOW"):
            print(done.stdout, done.stderr)
        return {"arguments": arguments, "exit": done.returncode,
                **condensed(lines, str(directory), case.get("free", False))}  # fmt: skip


if __name__ == "__main__":
    for name in sys.argv[1:] or [path.stem for path in sorted(HERE.glob("*.yml"))]:
        record(name)
