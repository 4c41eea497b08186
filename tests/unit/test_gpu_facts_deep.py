"""Putting a PyTorch to work: whatever its Python does, the record says what came of it, within the deadline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.facts.host import Host
from wxops.agent.gpu.deep import cudnn_version, deep

TOLD = (
    '{"checks": [{"device": "cuda:0 NVIDIA L4", "matmul_error": 1e-7, "convolution_error": 2e-7, "seconds": 0.5}], '
    '"architectures": ["sm_80", "sm_89"], "cudnn": 91002}'
)


def worked(folder: Path, script: str, deadline: float = 20) -> dict[str, Any]:
    """The record's PyTorch, after its Python has done this instead."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    torch: dict[str, Any] = {"place": "host", "path": str(folder), "python": "3.11", "cudnn": "9"}
    deep(Host(), torch, deadline)
    return torch


def test_what_it_says_of_itself_counts_before_what_was_read(tmp_path: Path) -> None:
    torch = worked(tmp_path, f"echo warning: noise\necho 'WXOPS {TOLD}'")
    assert torch["deep"]["value"][0]["device"] == "cuda:0 NVIDIA L4"
    assert (torch["architectures"], torch["cudnn"]) == ({"value": ["sm_80", "sm_89"]}, "9.10.2")


@pytest.mark.parametrize(
    ("script", "reading"),
    [
        ("""echo 'WXOPS {"error": "ImportError: libcudnn.so.9"}'""",
         {"value": [{"device": "", "error": "ImportError: libcudnn.so.9"}]}),
        ("""echo 'WXOPS {"checks": []}'""", {"value": []}),
        ("echo Segmentation fault >&2; exit 3",
         {"value": [{"device": "", "error": "it ended with 3: Segmentation fault"}]}),
        ("exit 0", {"value": [{"device": "", "error": "it ended with 0: it said nothing"}]}),
    ],
    ids=["cannot be imported", "sees no GPU", "crashes", "says nothing"],
)  # fmt: skip
def test_one_that_fails_says_how(script: str, reading: dict[str, Any], tmp_path: Path) -> None:
    assert worked(tmp_path, script)["deep"] == reading


def test_one_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    reading = worked(tmp_path, "exec sleep 600", deadline=0.5)["deep"]
    assert reading["state"] == "unknown" and reading["detail"].endswith("took longer than 0.5 seconds and was ended")


def test_an_environment_without_a_python_and_one_in_a_container_are_not_put_to_work(tmp_path: Path) -> None:
    gone, inside = (str(tmp_path / "gone"), "unknown"), ("/opt/venv", "not_supported")
    for place, (path, state) in (("host", gone), ("container ernie", inside)):
        torch: dict[str, Any] = {"place": place, "path": path, "python": "9.9"}
        deep(Host(), torch, 1)
        assert torch["deep"]["state"] == state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work as somebody else")
def test_root_works_as_the_one_whose_environment_it_is(tmp_path: Path) -> None:
    nobody = 65534
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    os.chown(tmp_path, nobody, nobody)
    torch = worked(tmp_path, """echo 'WXOPS {"error": "'$(id -u)'"}'""")
    assert torch["deep"]["value"][0]["error"] == str(nobody)


@pytest.mark.parametrize(("number", "version"), [(8902, "8.9.2"), (8500, "8.5.0"), (90100, "9.1.0"), (91900, "9.19.0")])
def test_versions_of_cudnn_are_written_as_its_makers_do(number: int, version: str) -> None:
    assert cudnn_version(number) == version
