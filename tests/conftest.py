"""What every kind of test may ask for: a lab of real hosts, booted once a session."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wxops.agent.journal import state_directory
from wxops.lab import Lab
from wxops.lab.host import Host

# A shell that runs the tests in its background has SIGINT ignored, and so would every program that they start and end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests have labs of their own, so they never touch an operator's; several sessions may run at once.
TEST_LABS = [(f"test{letter}", f"10.78.{number}.0/24") for number, letter in enumerate("abcdefgh", start=1)]


@contextmanager
def unused_lab() -> Iterator[Lab]:
    """A lab that no other session holds, down before and after; a session that crashed holds none any more."""
    for name, subnet in TEST_LABS:
        with Path(f"/run/lock/wxops-{name}").open("w") as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            lab = Lab(name, subnet)
            lab.down()
            try:
                yield lab
            finally:
                lab.down()
            return
    pytest.fail(f"{len(TEST_LABS)} test sessions hold a lab already")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two running hosts, shared by all tests of the session; a test that needs more calls up()."""
    with unused_lab() as lab:
        lab.up(2)
        yield lab


@pytest.fixture
def spare_lab() -> Iterator[Lab]:
    """Another lab, not up yet: for tests that take one down or break it."""
    with unused_lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def shared_host(lab: Lab) -> Host:
    """A running host in the state that earlier tests left it in: for tests that only look, or undo what they do."""
    return lab.hosts[0]


@pytest.fixture
def host(lab: Lab) -> Host:
    """A pristine host: its file system is new, which takes about a second."""
    return lab.reset(lab.hosts[0].name)


@pytest.fixture(scope="session", autouse=True)
def no_handler_is_owed_to_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plays that tests let fail on this machine leave handlers in its state directory: nobody will run those plays."""
    yield
    ours = f"{tmp_path_factory.getbasetemp()}/"
    for path in Path(state_directory(), "owed").glob("*/*"):
        if ours in path.read_text():
            path.unlink()
