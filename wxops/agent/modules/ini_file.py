"""Settings in INI files: an option in its section, or a whole section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.backup import back_up
from wxops.agent.content import Content
from wxops.agent.failure import ModuleFailure
from wxops.agent.ini import Ini, Option
from wxops.agent.text_file import TextFile, encoded

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional, Sequence

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change
    from wxops.agent.ini import Condition

ALIASES = {"dest": "path", "attr": "attributes"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def ini_file(
    change: Change,
    path: Path,
    section: Optional[str] = None,
    section_has_values: Optional[List[Dict[str, Any]]] = None,
    option: Optional[str] = None,
    value: Optional[str] = None,
    values: Optional[List[str]] = None,
    state: Literal["absent", "present"] = "present",
    exclusive: bool = True,
    no_extra_spaces: bool = False,
    ignore_spaces: bool = False,
    allow_no_value: bool = False,
    modify_inactive_option: bool = True,
    create: bool = True,
    follow: bool = False,
    backup: bool = False,
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
) -> Dict[str, Any]:
    """Set an option of an INI file, or take it out.

    path: the file.
    section: its section; without one, the lines before the first section are meant.
    section_has_values: of several sections with that name, the one with these options, each with `option` and, if
        need be, `value` or `values`.
    option: the option's name; without one the whole section is meant.
    value: its value.
    values: several lines of the option, each with one of these.
    state: present or absent.
    exclusive: other lines of the option go; without it they stay, and absent removes only those with the values.
    no_extra_spaces: no blanks around `=`.
    ignore_spaces: a line that differs in such blanks only is right.
    allow_no_value: an option may stand without a value.
    modify_inactive_option: a comment that sets the option is replaced by it.
    create: make the file, and its directories, when it is missing.
    follow: write through a link instead of replacing it.
    backup: keep a copy of the file as it was, beside it.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if value is not None and values is not None:
        raise ModuleFailure("parameters are mutually exclusive: value|values")
    wanted = [value] if value is not None else values or []
    if state == "present" and not allow_no_value and not wanted:
        raise ModuleFailure("Parameter 'value(s)' must be defined if state=present and allow_no_value=False.")
    if not section and (section_has_values or (state == "absent" and option is None)):
        raise ModuleFailure("`section` is missing: which one is meant")
    conditions = [_condition(each) for each in section_has_values or []]
    file = TextFile(change, path, Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel))
    if file.before is None and not create:
        if change.may_come_with_a_package(path):
            return change.untold(path)
        raise ModuleFailure("Destination %s does not exist!" % path, rc=257)
    text = (file.before or b"").replace(BYTE_ORDER_MARK, b"", 1).decode("utf-8", "surrogateescape")
    ini = Ini(text)
    asked = Option(
        option or "", wanted, exclusive, no_extra_spaces, ignore_spaces, allow_no_value, modify_inactive_option
    )
    _edit(ini, section, asked, conditions, state)
    data = encoded(ini.text()) if ini.text() != text else None
    result = {}
    if data is not None and not follow and change.file(path)["type"] == "link":
        result = _in_place_of_link(file, data, backup)
        data = None
    return dict(result, **dict(file.save(data, "", None, backup), msg=ini.message, path=path))


def _in_place_of_link(file: TextFile, data: bytes, backup: bool) -> Dict[str, Any]:
    """A file with the attributes of the one that the link leads to, which stays as it is."""
    copy = back_up(file.change, file.path) if backup else None
    kept: Dict[str, Any] = {key: file.now[key] for key in ("mode", "uid", "gid") if key in file.now}
    wanted = dict(kept, type="file", content=Content(data))
    file.change.set("file", file.change.place(file.path), wanted)
    return {"backup_file": copy} if copy is not None else {}


def _edit(ini: Ini, section: Optional[str], option: Option, conditions: Sequence[Condition], state: str) -> None:
    if state == "present" and option.name:
        ini.set(section, option, conditions)
    elif state == "present" and section:
        ini.add_section(section, option, conditions)
    elif state == "absent" and option.name:
        ini.remove(section, option, conditions)
    elif state == "absent":
        ini.remove_section(section, conditions)


def _condition(given: Dict[str, Any]) -> Condition:
    unknown = set(given) - {"option", "value", "values"}
    if unknown or "option" not in given:
        raise ModuleFailure("section_has_values takes option, and value or values; not %r" % given)
    if given.get("value") is not None and given.get("values") is not None:
        raise ModuleFailure("parameters are mutually exclusive: value|values found in section_has_values")
    values = [given["value"]] if given.get("value") is not None else given.get("values") or []
    return str(given["option"]), [str(value) for value in values]
