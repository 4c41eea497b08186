"""The command `wxruntime`: a file a subcommand, imported when it is asked for.

A health check runs every few seconds and a gateway's image has no PyTorch, so nothing heavy is imported before.
"""

from __future__ import annotations

from importlib import import_module

import click

# What `wxruntime --help` lists; the command is the function of the module's own name, in wxruntime.cli, with _ for -.
COMMANDS = {
    "engine": "Load a checkpoint and answer until SIGTERM or Ctrl-C.",
    "gateway": "Stand in front of engines: allowlist, queue, failover.",
    "gateway-key": "Make an API key for a client of the gateway.",
    "check": "Say what is wrong with a profile or a gateway's configuration, or what it runs.",
    "switch": "Take running replicas over to another precision, without a lost request.",
    "recommend": "Say which precision of a profile the load of now calls for.",
    "gang": "Print the program that keeps an engine's parts on several hosts together.",
    "model": "Models as directories: add, list, verify, export, quantize, eval.",
    "tiny": "Make a tiny ERNIE 4.5 checkpoint, for tests; takes seconds on a CPU.",
    "healthcheck": "Ask a server whether it is ready.",
}


class Commands(click.Group):
    """A group that knows its subcommands' names and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"wxruntime.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(package_name="wxruntime")
def main() -> None:
    """Serves ERNIE 4.5 over OpenAI's HTTP API: engines, and the gateway in front of them."""
