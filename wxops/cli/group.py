"""A group of commands that answers a wrong name with the right one."""

from __future__ import annotations

import click


class Group(click.Group):
    """As click's, but an unknown command is answered with the nearest one."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(context)
        if args[0] not in known and not args[0].startswith("-") and not context.resilient_parsing:
            from wxops.errors import nearest

            context.fail(f"there is no command {args[0]!r}; {nearest(args[0], known)}")
        return super().resolve_command(context, args)
