"""Host names as an inventory writes them: `web[01:10].example.com:2222` is ten names and a port."""

from __future__ import annotations

import ipaddress
import re
import string

from wxops.errors import InputError, Origin

_PORT = re.compile(r"(?P<name>(?:[^:\[\]]|\[[^\]]*\])*):(?P<port>[0-9]+)")
_BRACKETED_PORT = re.compile(r"\[(?P<name>.+)\]:(?P<port>[0-9]+)")
_RANGE = re.compile(r"\[([^\]]*)\]")
_NAME_RANGE = re.compile(r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]", re.IGNORECASE)
_HEX_RANGE = re.compile(r"\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\]", re.IGNORECASE)
_LABEL = r"\w[\w-]*(?<![_-])"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def split_port(written: str) -> tuple[str, int | None] | None:
    """(name, port) of a host name, an address or a range of them; None for text that is none of these.

    An IPv6 address takes a port only in brackets: `[2001:db8::1]:22`.
    """
    match = _BRACKETED_PORT.fullmatch(written) or _PORT.fullmatch(written)
    name, port = (match["name"], int(match["port"])) if match else (written, None)
    return (name, port) if _is_address(name) else None


def expand(written: str, at: Origin | None = None) -> tuple[list[str], int | None]:
    """The host names that `written` stands for, in order, and the port for all of them."""
    name, port = split_port(written) or (written, None)
    return list(_expand_ranges(name, written, at)), port


def _is_address(name: str) -> bool:
    if _HOSTNAME.fullmatch(_NAME_RANGE.sub("0", name)):
        return True
    try:
        ipaddress.IPv6Address(_HEX_RANGE.sub("0", name))
    except ValueError:
        return False
    return "%" not in name


def _expand_ranges(name: str, written: str, at: Origin | None) -> list[str]:
    found = _RANGE.search(name)
    if not found:
        if "[" in name or "]" in name:
            raise _bad_range(written, "its brackets do not match", at)
        return [name]
    head, tails = name[: found.start()], _expand_ranges(name[found.end() :], written, at)
    return [f"{head}{item}{tail}" for item in _items(found[1], written, at) for tail in tails]


def _items(inside: str, written: str, at: Origin | None) -> list[str]:
    """What `begin:end` or `begin:end:step` counts through, both ends included."""
    bounds = inside.split(":")
    if len(bounds) not in (2, 3) or not bounds[1]:
        raise _bad_range(written, f"[{inside}] is not a range", at)
    begin, end = bounds[0] or "0", bounds[1]
    step = bounds[2] if len(bounds) == 3 else "1"
    if not step.isdecimal() or int(step) == 0:
        raise _bad_range(written, f"the step {step!r} is not a positive number", at)
    if begin.isdecimal() and end.isdecimal():
        items = _numbers(begin, end, int(step), written, at)
    elif _is_letter(begin) and _is_letter(end):
        letters = string.ascii_letters
        items = list(letters[letters.index(begin) : letters.index(end) + 1 : int(step)])
    else:
        raise _bad_range(written, f"[{inside}] is neither numbers nor single letters", at)
    if not items:
        raise _bad_range(written, f"[{inside}] ends before it begins", at)
    return items


def _numbers(begin: str, end: str, step: int, written: str, at: Origin | None) -> list[str]:
    width = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
    if width and len(end) != width:
        raise _bad_range(written, f"{begin} and {end} differ in length, so the leading zeros are unclear", at)
    return [str(number).zfill(width) for number in range(int(begin), int(end) + 1, step)]


def _is_letter(text: str) -> bool:
    return len(text) == 1 and text in string.ascii_letters


def _bad_range(written: str, problem: str, at: Origin | None) -> InputError:
    return InputError(
        f"bad host name {written!r}: {problem}", where=at, fix="ranges look like [01:10], [a:f] or [1:9:2]"
    )
