"""The start of an agent over real pipes: banners, sudo's prompt, hosts without a Python, wrong passwords."""

from __future__ import annotations

import pytest

from wxops.errors import HostUnreachable
from wxops.transport.becoming import PROMPT
from wxops.transport.bootstrap import MARK, NO_PYTHON, OLD_PYTHON
from wxops.transport.handshake import Greeting, shake_hands
from wxops.transport.options import Become, ConnectionOptions
from wxops.transport.pipe import LocalPipe

OPTIONS = ConnectionOptions("host", "host", user="ops", timeout=2)
SUDO = Become(password="pässwort")
SAYS_MARK = f"printf '\\n{MARK} a70d\\nrest'"


def greet(script: str, become: Become | None = None) -> Greeting:
    pipe = LocalPipe(["/bin/sh", "-c", script])
    try:
        return shake_hands(pipe, OPTIONS, become)
    finally:
        pipe.close()


def test_what_a_login_prints_is_kept_apart_from_what_follows_the_mark() -> None:
    greeting = greet(f"echo welcome; {SAYS_MARK}")
    assert (greeting.banner, greeting.magic, greeting.rest[:4]) == ("welcome", "a70d", b"rest")


def test_the_password_goes_in_when_asked_for_after_any_lecture() -> None:
    script = f"echo 'a lecture' >&2; printf {PROMPT} >&2; read -r p; [ \"$p\" = pässwort ] && {SAYS_MARK}"
    assert greet(script, SUDO).magic == "a70d"


def test_a_prompt_in_the_form_of_sudo_rs_is_answered() -> None:
    assert greet(f"printf '[sudo: {PROMPT}] Password: ' >&2; read -r p; {SAYS_MARK}", SUDO).magic == "a70d"


def test_a_password_that_nobody_asks_for_is_not_sent() -> None:
    assert greet(f"{SAYS_MARK}; timeout 0.3 cat", SUDO).rest in (b"rest", b"")


def test_a_second_prompt_gets_no_second_attempt(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = tmp_path_factory.mktemp("sudo") / "said"
    script = f"for n in 1 2; do printf {PROMPT} >&2; read -r p && echo $p >> {said}; done; echo mark"
    with pytest.raises(HostUnreachable, match="sudo refuses the password of 'ops'"):
        greet(script, SUDO)
    assert said.read_text() == "pässwort\n"


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("sudo: a password is required", "sudo on the host wants a password"),
        ("sudo: interactive authentication is required", "sudo on the host wants a password"),
        ("ops is not in the sudoers file.", "'ops' may not use sudo"),
        ("sudo: sorry, you must have a tty to run sudo", "wants a terminal"),
        ("sudo: Account or password is expired, reset your password", "the password of 'ops' has expired"),
        ("sudo: account validation failure, is your account locked?", "locked or has expired"),
        ("sh: 1: sudo: not found", "there is no sudo"),
        (OLD_PYTHON, "older than 3.7"),
        (NO_PYTHON, "there is no Python on the host"),
        ("segmentation fault", "the host said: segmentation fault"),
    ],
)
def test_a_refusal_is_told_in_the_operators_words(said: str, meaning: str) -> None:
    with pytest.raises(HostUnreachable) as refused:
        greet(f"echo '{said}' >&2; exit 1", SUDO)
    assert meaning in str(refused.value) and "pässwort" not in str(refused.value)


def test_a_login_that_says_nothing_ends_in_time() -> None:
    with pytest.raises(HostUnreachable, match="no agent started within 2 s"):
        greet("sleep 5")


SU = Become(user="db", method="su", password="pässwort")


def test_su_gets_the_password_when_it_asks_for_it() -> None:
    script = f"printf 'Password: ' >&2; read -r p; [ \"$p\" = pässwort ] && {SAYS_MARK}"
    assert greet(script, SU).magic == "a70d"


def test_su_without_a_password_ends_at_its_prompt() -> None:
    with pytest.raises(HostUnreachable, match="su on the host wants the password of 'db'"):
        greet("printf 'Password: ' >&2; read -r p", Become(user="db", method="su"))


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("su: Authentication failure", "su refuses the password of 'db'"),
        ("su: user db does not exist or the user entry does not contain all the required fields", "no user 'db'"),
        ("This account is currently not available.", "'db' has no shell"),
        ("su: must be run from a terminal", "su on the host wants a terminal"),
    ],
)
def test_a_refusal_of_su_is_told_in_the_operators_words(said: str, meaning: str) -> None:
    with pytest.raises(HostUnreachable) as refused:
        greet(f"echo '{said}' >&2; exit 1", SU)
    assert meaning in str(refused.value)
