"""A file as large as a model's weights: sent once, gone on with after a cut, not sent when the host has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.module_case import ManagedHost
from wxops.engine.record import past_run, past_runs

SIZE = 192 << 20
DRAFT = "srv/.weights.wxops-new"


@pytest.fixture
def weights(managed: ManagedHost) -> Iterator[Path]:
    path = managed.folder / "files" / "weights"
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    yield path
    managed.host.ssh("rm -f /srv/weights /" + DRAFT)


def sent(managed: ManagedHost, run: str) -> int:
    """Bytes that the run sent."""
    return int(past_run(managed.folder / "runs", run).about["traffic"]["sent"])


def test_a_copy_that_was_cut_goes_on_where_it_was(managed: ManagedHost, weights: Path) -> None:
    task = {"copy": {"src": "weights", "dest": "/srv/weights", "mode": "0640"}}
    playbook = managed.folder / "cut.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    wxops = [Path(sys.executable).with_name("wxops"), "run", playbook, "-i", managed.inventory, "-l", managed.host.name]
    draft = managed.host.root / DRAFT
    with subprocess.Popen(wxops, cwd=managed.folder, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 30
        while not draft.exists() or draft.stat().st_size < SIZE // 3:
            assert time.monotonic() < deadline and running.poll() is None
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
    had = draft.stat().st_size
    second = managed.play([task])
    assert second.statuses == ["changed"], second.told()
    assert sent(managed, second.run) < SIZE - had // 2
    assert (managed.host.root / "srv/weights").read_bytes() == weights.read_bytes() and not draft.exists()
    third = managed.play([task])
    assert third.statuses == ["ok"] and sent(managed, third.run) < 1 << 20
    assert managed.rollback(second.run).exit_code == 0
    assert not (managed.host.root / "srv/weights").exists()
    assert len(past_runs(managed.folder / "runs")) == 3
