"""The command `wxops`: its groups, loaded only when they are used, so that help comes at once."""

from __future__ import annotations

import gc
import io
import os
import sys
from importlib import import_module

import click

from wxops import __version__
from wxops.cli.ending import exit_code
from wxops.cli.group import Group

YOUNG = 50_000
"""New objects between two searches for garbage. Python's own 700 cost a short command 5 to 20 % of its processor time,
nearly all while modules are imported, where there is no garbage."""

# Name -> (file, its command, what help says). The help stands here so that `wxops --help` imports none of the files.
COMMANDS = {
    "provision": ("run", "provision", "Prepare GPU hosts and start the inference service on them."),
    "run": ("run", "run", "Run a playbook."),
    "rollback": ("runs", "rollback", "Take a run back."),
    "audit": ("audit", "audit", "Whether what is on GPU hosts works together and is healthy."),
    "drift": ("drift", "drift", "What is no longer as the last run left it."),
    "model": ("model", "model", "Models as directories: add, list, verify, export, quantize, eval."),
    "runs": ("runs", "runs", "What ran, by whom, and what it changed."),
    "inventory": ("inventory", "inventory", "Look at the inventory and reach its hosts."),
    "vault": ("vault", "vault", "Encrypt, read and change secrets."),
    "init": ("init", "init", "Start a new project."),
    "doc": ("doc", "doc", "What a module does and takes."),
    "lab": ("lab", "lab", "Real hosts on this machine, to try things on."),
    "completion": ("completion", "completion", "Shell completion for bash, zsh and fish."),
}


class LazyGroup(Group):
    """Commands by name; a file is imported when its command is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        file, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(import_module(f"wxops.cli.{file}"), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="wxops")
def cli() -> None:
    """Take GPU hosts that answer SSH to a hardened ERNIE 4.5 service, keep them there, and take every step back."""


def main() -> None:
    """Run the command line; errors are sentences, never tracebacks."""
    gc.set_threshold(YOUNG)
    _take_any_output()
    code = exit_code(lambda: cli.main(standalone_mode=False))
    if "torch" not in sys.modules:  # with it comes Triton, which tells on stderr of all that is left at the end
        gc.freeze()  # or else the interpreter searches all that is in memory for garbage as it ends: 0.1 s
    sys.exit(code)


def _take_any_output() -> None:
    """A terminal that cannot show a character shows its number; output that was closed (`>&-`) goes nowhere."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
