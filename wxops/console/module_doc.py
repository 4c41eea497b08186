"""A module's page: its summary, then each argument with type, default and meaning."""

from __future__ import annotations

import textwrap

from wxops.actions.catalog import Module
from wxops.playbook.signature import Argument


def one_line(module: Module) -> str:
    return f"{module.name:<20} {module.signature.doc.partition(chr(10))[0]}"


def page(module: Module) -> str:
    """What `wxops doc MODULE` prints."""
    intro, meanings = _parts(module.signature.doc, set(module.signature.arguments))
    lines = [module.name, "", *textwrap.wrap(intro, 100), ""]
    aliases = {target: [alias for alias, to in module.signature.aliases.items() if to == target]
               for target in module.signature.aliases.values()}  # fmt: skip
    for name, argument in module.signature.arguments.items():
        if not name.startswith("_"):
            lines += [_heading(argument, aliases.get(name, []))]
            lines += textwrap.wrap(meanings.get(name, ""), 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines).rstrip()


def _heading(argument: Argument, aliases: list[str]) -> str:
    default = f"default {argument.default}" if argument.default not in (None, ()) else ""
    tail = "required" if argument.required else default
    other = f" (also {', '.join(aliases)})" if aliases else ""
    heading = f"  {argument.name}{other}  [{argument.type_name}{'; ' + tail if tail else ''}]"
    return heading.replace("\r", "\\r").replace("\n", "\\n")  # of arguments whose values are line ends


def _parts(doc: str, names: set[str]) -> tuple[str, dict[str, str]]:
    """The text before the arguments, and each argument's own."""
    intro: list[str] = []
    meanings: dict[str, str] = {}
    current = ""
    for line in doc.splitlines():
        name, colon, text = line.partition(":")
        if colon and name in names:
            current, meanings[name] = name, text.strip()
        elif current and line.startswith(" "):
            meanings[current] += " " + line.strip()
        else:
            current = ""
            intro.append(line.strip())
    return " ".join(part for part in intro if part), meanings
