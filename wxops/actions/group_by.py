"""Groups hosts by what is known of them."""

from __future__ import annotations

from wxops.actions import Call, Result


def group_by(call: Call, key: str, parents: list[str] | None = None) -> Result:
    """Put each host into the group that `key` gives for it, for the plays to come. The groups are made.

    key: the name of the group, with a template as a rule; blanks become dashes.
    parents: groups that this group is below; `all` unless it is said.
    """
    name = key.replace(" ", "-")
    above = [parent.replace(" ", "-") for parent in (["all"] if parents is None else parents)]
    return {"changed": call.add_group(name, above), "add_group": name, "parent_groups": above}
