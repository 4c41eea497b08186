"""Lookups of files on the controller, found in the directories of the role and the playbook."""

from __future__ import annotations

import configparser
import csv
import glob
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.errors import Origin, TemplateError
from wxops.playbook.jinja.convert import truth
from wxops.playbook.jinja.key_values import with_pairs
from wxops.playbook.jinja.lookup_password import password
from wxops.playbook.vault import is_encrypted

if TYPE_CHECKING:
    from wxops.playbook.templating import Templar


def found(templar: Templar, name: str, folder: str = "files") -> Path:
    """The first file of that name on the search path."""
    candidates = templar.candidates(name, folder)
    for path in candidates:
        if path.exists():
            return path
    looked = ", ".join(str(path) for path in candidates) or "nowhere: there is no search path"
    raise TemplateError(f"there is no file {name!r}", fix=f"looked for {looked}")


def text_in(templar: Templar, path: Path, encoding: str = "utf-8") -> str:
    """The text of a file, decrypted if it is a vault."""
    data = path.read_bytes()
    if is_encrypted(data):
        data = templar.vault.decrypt(data, Origin(str(path)))
        templar.secrets.add(data)
    return data.decode(encoding)


def file(terms: list[Any], templar: Templar, *, rstrip: bool = True, lstrip: bool = False) -> list[Any]:
    texts = [text_in(templar, found(templar, str(term))) for term in terms]
    texts = [text.lstrip() for text in texts] if lstrip else texts
    return [text.rstrip() for text in texts] if rstrip else texts


def unvault(terms: list[Any], templar: Templar) -> list[Any]:
    return [text_in(templar, found(templar, str(term))) for term in terms]


def template(
    terms: list[Any],
    templar: Templar,
    *,
    template_vars: dict[str, Any] | None = None,
    convert_data: bool = True,
    jinja2_native: bool = True,
    variable_start_string: str = "{{",
    variable_end_string: str = "}}",
    comment_start_string: str = "{#",
    comment_end_string: str = "#}",
    trim_blocks: bool = True,
) -> list[Any]:
    """Template files, evaluated. `convert_data` and `jinja2_native` are accepted; results keep their types."""
    settings = {
        "variable_start_string": variable_start_string,
        "variable_end_string": variable_end_string,
        "comment_start_string": comment_start_string,
        "comment_end_string": comment_end_string,
        "trim_blocks": trim_blocks,
    }
    results = []
    for term in terms:
        path = found(templar, str(term), "templates")
        scope = templar.for_template(path, src=str(term)).extended(template_vars or {})
        results.append(scope.template_value(text_in(templar, path), str(path), settings))
        if is_encrypted(path.read_bytes()):
            templar.secrets.add(results[-1])
    return results


def fileglob(terms: list[Any], templar: Templar) -> list[Any]:
    """The files that match, in the first directory of the search path that has the pattern's."""
    return [path for term in terms for path in _globbed(str(term), templar)]


def _globbed(pattern: str, templar: Templar) -> list[str]:
    for path in templar.candidates(pattern, "files"):
        matched = [each for each in glob.glob(str(path)) if Path(each).is_file()]
        if matched:
            return sorted(matched)
    return []


def first_found(
    terms: list[Any], templar: Templar, *, files: Any = (), paths: Any = (), skip: bool = False, subdir: str = ""
) -> list[Any]:
    """The first of the files that exists; terms are names, or dictionaries of `files`, `paths` and `skip`.

    subdir: where names are looked for first in each directory of the search path. As with ansible-core only a loop's
            own lookup has one: `files`, or `templates` and `vars` for the modules that read those.
    """
    names: list[str] = []
    for term in _flat([*terms, {"files": files, "paths": paths}]):
        if isinstance(term, Mapping):
            names += _combined(_listed(term.get("files", ())), _listed(term.get("paths", ())))
            skip = skip or bool(truth(term.get("skip", False)))
        else:
            names.append(str(term))
    for name in names:
        for path in templar.candidates(name, subdir):
            if path.exists():
                return [str(path)]
    if skip:
        return []
    raise TemplateError("none of the files is there", fix=f"looked for {', '.join(names)}; skip=True allows it")


def _flat(terms: list[Any]) -> list[Any]:
    return [item for term in terms for item in (term if isinstance(term, list) else [term])]


def _listed(value: Any) -> list[str]:
    """A list, or the parts of a text at commas, semicolons and (for paths) colons."""
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[,;:]", value) if part.strip()]
    return [part for each in value or () for part in (_listed(each) if isinstance(each, str) else [str(each)])]


def _combined(files: list[str], paths: list[str]) -> list[str]:
    return [str(Path(path) / name) for path in paths for name in files] if paths else files


def ini(
    terms: list[Any],
    templar: Templar,
    *,
    type: str = "ini",
    file: str = "ansible.ini",
    section: str = "global",
    re: bool = False,
    encoding: str = "utf-8",
    default: Any = "",
    case_sensitive: bool = False,
    allow_no_value: bool = False,
    allow_none: bool = False,
    interpolation: bool = True,
) -> list[Any]:
    """The values of keys in an ini file, or with type=properties in a Java properties file."""
    given = {"type": type, "file": file, "section": section, "re": re, "encoding": encoding, "default": default}
    results: list[Any] = []
    for term in terms:
        key, written = with_pairs(str(term), given)
        options = {**given, **written}
        chosen = "java_properties" if options["type"] == "properties" else str(options["section"])
        text = text_in(templar, found(templar, str(options["file"])), str(options["encoding"]))
        parser = configparser.ConfigParser(
            allow_no_value=allow_no_value or allow_none,
            interpolation=configparser.BasicInterpolation() if interpolation else None,
        )
        if case_sensitive:
            parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(f"[java_properties]\n{text}" if options["type"] == "properties" else text)
        except configparser.DuplicateOptionError as error:
            raise ValueError(f"Duplicate option in {options['file']!r}: {error}") from None
        results += _ini_values(parser, chosen, key, bool(truth(options["re"])), options["default"])
    return results


def _ini_values(parser: configparser.ConfigParser, section: str, key: str, is_regex: bool, default: Any) -> list[Any]:
    if not parser.has_section(section):
        raise ValueError(f"No section {section!r}; there are {', '.join(parser.sections())}")
    if is_regex:
        return [value for name, value in parser.items(section) if re.match(key, name)]
    return [parser.get(section, key, fallback=default)]


def csvfile(
    terms: list[Any],
    templar: Templar,
    *,
    file: str = "ansible.csv",
    delimiter: str = "TAB",
    col: int = 1,
    keycol: int = 0,
    encoding: str = "utf-8",
    default: Any = None,
) -> list[Any]:
    """From the first line whose column `keycol` is the key, the column `col`; both count from 0."""
    given = {
        "file": file,
        "delimiter": delimiter,
        "col": col,
        "keycol": keycol,
        "encoding": encoding,
        "default": default,
    }
    results = []
    for term in terms:
        key, written = with_pairs(str(term), given)
        if not key:
            raise ValueError("Search key is required but was not found")
        options = {**given, **written}
        text = text_in(templar, found(templar, str(options["file"])), str(options["encoding"]))
        rows = _csv_rows(text, str(options["delimiter"]))
        line = next((row for row in rows if row and row[int(str(options["keycol"]))] == key), None)
        value = options["default"] if line is None else line[int(str(options["col"]))]
        if value is not None:
            results.append(value)
    return results


def _csv_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    separator = "\t" if delimiter in ("TAB", "t", "\\t") else delimiter
    return iter(csv.reader(text.splitlines(), delimiter=separator))


LOOKUPS: dict[str, Callable[..., list[Any]]] = {
    "csvfile": csvfile,
    "file": file,
    "fileglob": fileglob,
    "first_found": first_found,
    "ini": ini,
    "password": password,
    "template": template,
    "unvault": unvault,
}
