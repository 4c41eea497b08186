"""A look at a host whose parts fail: each costs its own section, which says why and is never taken for what is fine."""

from __future__ import annotations

from typing import Any

import pytest

from wxops.agent.facts.host import Host
from wxops.agent.gpu import gathering
from wxops.agent.gpu.gathering import Gathering


def breaks(*_: Any) -> None:
    raise RuntimeError("it broke")


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Gathering:
    monkeypatch.setattr(gathering, "find_library", lambda host: "")
    monkeypatch.setattr(Gathering, "_has_nvidia", lambda self: True)
    return Gathering(Host(timeout=5), 1, [], images=False)


def test_a_part_that_fails_says_why_in_its_own_section(look: Gathering, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kernel_log", "toolkits", "openssl"):
        monkeypatch.setattr(gathering, name, breaks)
    record = look.gather()
    for section, name in (("xids", "xids"), ("sxids", "xids"), ("toolkits", "toolkits"), ("openssl", "openssl")):
        assert record[section] == {"state": "unknown", "detail": f"{name}: RuntimeError: it broke"}


def test_a_pytorch_whose_check_broke_is_not_one_that_was_not_asked(
    look: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "deep", breaks)
    look.record["torches"] = {"value": [{"path": "/opt/venv", "place": "host"}]}
    look.deep(1)
    assert look.record["torches"]["value"][0]["deep"]["detail"] == "torch in /opt/venv: RuntimeError: it broke"
