"""How roles are named: by a word or a path, and within a collection as `namespace.collection.role`."""

from __future__ import annotations


def is_of_a_collection(name: str) -> bool:
    """`namespace.collection.role`"""
    return all(map(str.isidentifier, name.split("."))) and name.count(".") == 2
