"""INI files as text: an option found in its section, set, added or taken out, and every other line left alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import List, Match, Optional, Sequence, Set, Tuple

    Condition = Tuple[str, Sequence[str]]
    """An option that a section must have, with one of these values; with any when there are none."""

QUIET = re.compile(r"^[ \t]*([#;].*)?$")
"""A blank line or a comment: a new option goes above those at a section's end."""


class Option:
    """What a task says of an option."""

    def __init__(
        self, name: str, values: Sequence[str], exclusive: bool, no_extra_spaces: bool, ignore_spaces: bool,
        allow_no_value: bool, modify_inactive: bool,
    ) -> None:  # fmt: skip
        self.name, self.exclusive, self.ignore_spaces = name, exclusive, ignore_spaces
        self.values: List[str] = list(dict.fromkeys(values))
        self.allow_no_value, self.modify_inactive = allow_no_value, modify_inactive
        self.separator = "=" if no_extra_spaces else " = "

    def match(self, line: str) -> Optional[Match[str]]:
        """Does a line set the option, or with `modify_inactive` say in a comment how it could be set?"""
        return match(self.name, line, self.modify_inactive)

    def line(self, value: Optional[str]) -> str:
        return self.name + "\n" if value is None else self.name + self.separator + value + "\n"

    def differs(self, line: str, new: str) -> bool:
        found, wanted = match(self.name, line, True), match(self.name, new, True)
        if self.ignore_spaces and found is not None and wanted is not None and not found.group("comment"):
            return found.group("value") != wanted.group("value")
        return line != new


def match(name: str, line: str, inactive: bool) -> Optional[Match[str]]:
    comment = r"[ \t]*(?P<comment>[#;]?)[ \t]*" if inactive else r"[ \t]*(?P<comment>)"
    return re.match(comment + re.escape(name) + r"[ \t]*(?P<sep>=|$)[ \t]*(?P<value>.*)", line)


class Ini:
    """A file's lines, each with its newline. What came before the first section is a section without a name."""

    def __init__(self, text: str) -> None:
        self._was_empty = not text
        self.lines = text.splitlines(True) or ["\n"]
        self.message = "OK"
        if not self.lines[-1].endswith("\n"):
            self.lines[-1] += "\n"

    def text(self) -> str:
        """A new file begins with an empty line; one to which nothing was added stays empty."""
        return "" if self._was_empty and self.lines == ["\n"] else "".join(self.lines)

    def section(self, name: Optional[str], conditions: Sequence[Condition]) -> Optional[Tuple[int, int]]:
        """Where the first section of that name that fulfils the conditions begins, after its header, and ends."""
        heads = [number for number, line in enumerate(self.lines) if line.startswith("[")]
        starts = [-1] if not name else [
            number for number in heads if re.match(r"^\[\s*%s\s*]" % re.escape(name.strip()), self.lines[number])
        ]  # fmt: skip
        for start in starts:
            end = next((number for number in heads if number > start), len(self.lines))
            if all(_fulfils(self.lines[start + 1 : end], condition) for condition in conditions):
                return start + 1, end
        return None

    def set(self, section: Optional[str], option: Option, conditions: Sequence[Condition]) -> None:
        """The option with these values in its section, which is made if need be."""
        place = self.section(section, conditions)
        if place is None:
            self._append_section(section, option, conditions)
            return
        body = self.lines[place[0] : place[1]]
        self.lines[place[0] : place[1]] = self._set_in(body, option)

    def add_section(self, name: str, option: Option, conditions: Sequence[Condition]) -> None:
        """The section with what it must have; `option` says how that is written."""
        if self.section(name, conditions) is None:
            self.lines += ["[%s]\n" % name, *_required(option, conditions)]
            self.message = "only section added"

    def remove(self, section: Optional[str], option: Option, conditions: Sequence[Condition]) -> None:
        """Every line of the option, or when it is not exclusive those with its values."""

        def goes(line: str) -> bool:
            found = match(option.name, line, False)
            return found is not None and (option.exclusive or found.group("value") in option.values)

        place = self.section(section, conditions)
        if place is not None:
            body = self.lines[place[0] : place[1]]
            self._replace(place, [line for line in body if not goes(line)])

    def remove_section(self, name: Optional[str], conditions: Sequence[Condition]) -> None:
        place = self.section(name, conditions)
        if place is not None:
            del self.lines[max(0, place[0] - 1) : place[1]]
            self.message = "section removed"

    def _replace(self, place: Tuple[int, int], body: List[str]) -> None:
        if self.lines[place[0] : place[1]] != body:
            self.lines[place[0] : place[1]] = body
            self.message = "option changed"

    def _set_in(self, body: List[str], option: Option) -> List[str]:
        """Lines with a wanted value first, then others of the option, which take what is left or go."""
        left = list(option.values)
        settled: Set[int] = set()
        bare = False
        for index, line in enumerate(body):
            found = option.match(line)
            if found is None or (option.values and found.group("value") not in left):
                continue
            if option.values:
                value: Optional[str] = found.group("value")
                left.remove(str(value))
                value = value or (None if option.allow_no_value else value)
            elif option.allow_no_value and not bare:
                value = None
            else:
                continue
            bare = bare or value is None
            settled.add(index)
            self._put(body, index, option, option.line(value))
        if option.exclusive and not option.allow_no_value:
            body = self._without_others(body, option, left, settled)
        return self._with_missing(body, option, left, bare)

    def _put(self, body: List[str], index: int, option: Option, new: str) -> None:
        if option.differs(body[index], new):
            body[index] = new
            self.message = "option changed"

    def _without_others(self, body: List[str], option: Option, left: List[str], settled: Set[int]) -> List[str]:
        kept = []
        for index, line in enumerate(body):
            found = option.match(line)
            remark = found is not None and found.group("comment") and not found.group("sep")
            if found is None or remark or index in settled:
                kept.append(line)
            elif left:
                kept.append(line)
                self._put(kept, len(kept) - 1, option, option.line(left.pop(0)))
            else:
                self.message = "option changed"
        return kept

    def _with_missing(self, body: List[str], option: Option, left: List[str], bare: bool) -> List[str]:
        missing = [option.line(value) for value in left]
        if not option.values and option.allow_no_value and not bare:
            missing = [option.line(None)]
        if not missing:
            return body
        at = len(body)
        while at and QUIET.match(body[at - 1].rstrip("\n")):
            at -= 1
        self.message = "option added"
        return [*body[:at], *missing, *body[at:]]

    def _append_section(self, section: Optional[str], option: Option, conditions: Sequence[Condition]) -> None:
        self.lines.append("[%s]\n" % section)
        values = list(option.values)
        self.lines += _required(option, conditions)
        for name, wanted in conditions:
            if name == option.name:
                values += [value for value in wanted if value not in values and not option.exclusive]
        self.lines += [option.line(value) for value in values]
        if not values and option.allow_no_value:
            self.lines.append(option.line(None))
        self.message = "section and option added"


def _required(option: Option, conditions: Sequence[Condition]) -> List[str]:
    """The lines that a new section must have besides the option."""
    lines: List[str] = []
    for name, values in conditions:
        if name != option.name and (values or option.allow_no_value):
            lines += [name + option.separator + value + "\n" for value in values] or [name + "\n"]
    return lines


def _fulfils(body: Sequence[str], condition: Condition) -> bool:
    name, values = condition
    found = [each.group("value") for each in (match(name, line, True) for line in body) if each is not None]
    return bool(found) and (not values or any(value in values for value in found))
