"""Several gateways as one rotation: what becomes of the others where one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Engine, Gateway, model

from wxruntime.gateway.admin_client import Gateways
from wxruntime.profile.rolling import RotationError

LATER = "http://127.0.0.1:9"


@pytest.fixture
def living(shared_engine: Engine, gateway: Callable[..., Gateway], tmp_path: Path) -> Iterator[Any]:
    """A gateway with two replicas, of which one is not there."""
    admin = {"socket": str(tmp_path / "living.sock")}
    listed = model(shared_engine)
    listed["replicas"].append({"url": LATER})
    yield gateway(listen={"port": 0, "admin": admin}, models=[listed], health={"misses": 1000})


def both(living: Gateway, tmp_path: Path) -> Gateways:
    """It, and after two that do not answer."""
    there = Path(living.settings["listen"]["admin"]["socket"])
    return Gateways([tmp_path / "dead.sock", there, tmp_path / "gone.sock"], "m", {})


def test_a_replica_is_added_and_removed_where_it_can_be_and_all_that_fail_are_told(
    living: Gateway, shared_engine: Engine, tmp_path: Path
) -> None:
    alone = Gateways([tmp_path / "living.sock"], "m", {})
    alone.drain(shared_engine.url)
    with pytest.raises(RotationError, match=r"dead.sock: No such file.*; no gateway answers at \S+/gone.sock"):
        both(living, tmp_path).add(shared_engine.url, 1.0)
    assert living.replicas()[shared_engine.url] == "up"
    with pytest.raises(RotationError, match=r"dead.sock: No such file.*; no gateway answers at \S+/gone.sock"):
        both(living, tmp_path).remove(LATER)
    assert list(living.replicas()) == [shared_engine.url]


def test_nothing_is_drained_while_a_gateway_does_not_answer(
    living: Gateway, shared_engine: Engine, tmp_path: Path
) -> None:
    there = Path(living.settings["listen"]["admin"]["socket"])
    with pytest.raises(RotationError, match="no gateway answers at"):
        Gateways([there, tmp_path / "dead.sock"], "m", {}).drain(LATER)
    assert "draining" not in living.replicas().values()
