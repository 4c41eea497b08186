"""A data file of the operator's, opened: decrypted when it is a vault text, then read as YAML or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wxops.errors import InputError, Origin
from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.source import SourceDict, SourceList, SourceStr, VaultStr, load_text
from wxops.playbook.vault import VaultKeys, is_encrypted

EXTENSIONS = (".yml", ".yaml", ".json")


@dataclass(frozen=True, slots=True)
class DataFile:
    """The text of a file. What stood in an encrypted one is secret, all of it."""

    path: str
    text: str
    encrypted: bool

    def load(self) -> Any:
        """The one value in it; None for an empty file."""
        if self.path.endswith(".json"):
            try:
                return _placed(json.loads(self.text), Origin(self.path))
            except ValueError:
                pass  # YAML's reader says where it is wrong, and takes JSON with comments
        try:
            return load_text(self.text, self.path)
        except InputError as error:
            if not self.encrypted:
                raise
            # Its own words may quote the line, and the line is secret.
            raise InputError("not valid YAML once decrypted", where=error.where, fix="see ansible-vault view") from None

    def load_variables(self) -> SourceDict:
        """The mapping in it; an empty file is an empty mapping."""
        data = self.load()
        if data is None:
            return SourceDict(Origin(self.path))
        if not isinstance(data, SourceDict):
            raise InputError(
                f"a variables file holds a mapping, and this is {'a list' if isinstance(data, list) else 'one value'}",
                where=Origin(self.path, 1),
                fix="write `name: value` lines",
            )
        return data


def read(path: str, keys: VaultKeys) -> DataFile:
    """The file at `path`, in clear. Raises VaultError when no key opens it."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    encrypted = is_encrypted(data)
    try:
        text = (keys.decrypt(data, path) if encrypted else data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 text ({error.reason} at byte {error.start})", where=path) from None
    return DataFile(path, text, encrypted)


def variables(path: str, keys: VaultKeys, secrets: SecretRegistry) -> SourceDict:
    """The variables in a file; those of an encrypted one are kept out of what is shown from now on."""
    file = read(path, keys)
    found = file.load_variables()
    if file.encrypted:
        secrets.add(found)
    return found


def _placed(value: Any, origin: Origin) -> Any:
    """JSON's values as if they were read from YAML, with Ansible's spelling of `!vault` and `!unsafe`."""
    if isinstance(value, str):
        return SourceStr(value, origin)
    if isinstance(value, list):
        items = SourceList(origin)
        items.extend(_placed(item, origin) for item in value)
        return items
    if not isinstance(value, dict):
        return value
    if value.keys() == {"__ansible_vault"}:
        return VaultStr(value["__ansible_vault"], origin)
    if value.keys() == {"__ansible_unsafe"}:
        return value["__ansible_unsafe"]
    mapping = SourceDict(origin)
    mapping.update((key, _placed(item, origin)) for key, item in value.items())
    mapping.keys_at.update(dict.fromkeys(value, origin))
    return mapping
