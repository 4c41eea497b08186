"""How an agent takes another user's rights: for each method its command, its prompt, and what its refusals mean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wxops.transport.options import Become

PROMPT = "wxops-sudo-prompt:"


@dataclass(frozen=True)
class Method:
    """One way to become another user.

    command: the words of the agent's command -> those that run it as that user. prompt: how it asks for the password.
    refusals: a part of what it prints -> what that means; {user} is the login user, {become} the one to become.
    remedies: how a meaning begins -> what to do about it.
    """

    command: Callable[[Become, Sequence[str]], list[str]]
    prompt: re.Pattern[bytes]
    wants_password: str
    refuses_password: str
    refusals: Mapping[str, str]
    remedies: Mapping[str, str]


def method_of(become: Become | None) -> Method:
    """The method by which a user is become; sudo where nobody is."""
    return METHODS[become.method if become is not None else "sudo"]


def _sudo(become: Become, words: Sequence[str]) -> list[str]:
    password = ["-S", "-p", PROMPT] if become.password is not None else ["-n"]
    flags = "-H" if become.flags is None else become.flags
    return [*shlex.split(become.exe or "sudo"), *shlex.split(flags), *password, "-u", become.user, "--", *words]


def _su(become: Become, words: Sequence[str]) -> list[str]:
    """su asks by PAM, in the language of its locale: it gets the plain one, and the agent the host's own again.

    Without a terminal PAM reads the password from standard input, byte by byte up to the line's end.
    """
    restored = 'if [ -n "$WXOPS_LC_ALL" ]; then LC_ALL=$WXOPS_LC_ALL; else unset LC_ALL; fi; unset WXOPS_LC_ALL; exec '
    inside = shlex.join(["/bin/sh", "-c", restored + shlex.join(words)])
    su = [*shlex.split(become.exe or "su"), *shlex.split(become.flags or ""), become.user, "-c", inside]
    return ["/bin/sh", "-c", f"WXOPS_LC_ALL=$LC_ALL LC_ALL=C exec {shlex.join(su)}"]


GIVE_PASSWORD = "give it with --ask-become-pass (-K) or --become-password-file"
GIVE_RIGHT_PASSWORD = (
    "give the right one with --ask-become-pass or ansible_become_password; "
    "it was tried once only, so that the account is not locked"
)

SUDO = Method(
    command=_sudo,
    prompt=re.compile(PROMPT.encode()),
    wants_password="sudo on the host wants a password",
    refuses_password="sudo refuses the password of {user!r}",
    refusals={
        "incorrect password attempt": "sudo refuses the password of {user!r}",
        "Sorry, try again": "sudo refuses the password of {user!r}",
        "Authentication failed": "sudo refuses the password of {user!r}",
        "incorrect authentication attempt": "sudo refuses the password of {user!r}",
        "password is expired": "the password of {user!r} has expired on the host",
        "is your account locked": "the account of {user!r} is locked or has expired on the host",
        "a password is required": "sudo on the host wants a password",
        "interactive authentication is required": "sudo on the host wants a password",
        "is not in the sudoers file": "{user!r} may not use sudo on the host",
        "is not allowed to execute": "sudo does not allow {user!r} to run commands as {become!r}",
        "unknown user": "sudo on the host knows no user {become!r}",
        "must have a tty": "sudo on the host wants a terminal (requiretty)",
        "sudo: not found": "there is no sudo on the host",
        "sudo: command not found": "there is no sudo on the host",
        "I'm afraid I can't do that": "{user!r} may not use sudo on the host",
    },
    remedies={
        "sudo refuses the password": GIVE_RIGHT_PASSWORD,
        "sudo on the host wants a password": GIVE_PASSWORD,
        "the password of": "log in there once and choose a new one",
        "sudo on the host wants a terminal": "remove `Defaults requiretty` for this user in /etc/sudoers",
    },
)
SU = Method(
    command=_su,
    prompt=re.compile(rb"[Pp]assword[^\n:]*: ?$"),
    wants_password="su on the host wants the password of {become!r}",
    refuses_password="su refuses the password of {become!r}",
    refusals={
        "Authentication failure": "su refuses the password of {become!r}",
        "incorrect password": "su refuses the password of {become!r}",
        "Permission denied": "{user!r} may not use su on the host",
        "does not exist": "su on the host knows no user {become!r}",
        "Unknown id": "su on the host knows no user {become!r}",
        "currently not available": "{become!r} has no shell on the host",
        "password has expired": "the password of {become!r} has expired on the host",
        "Account or password is expired": "the account of {become!r} has expired on the host",
        "must be run from a terminal": "su on the host wants a terminal",
        "su: not found": "there is no su on the host",
    },
    remedies={
        "su refuses the password": GIVE_RIGHT_PASSWORD,
        "su on the host wants the password": GIVE_PASSWORD,
        "su on the host wants a terminal": "use sudo there",
    },
)
METHODS = {"sudo": SUDO, "su": SU}
