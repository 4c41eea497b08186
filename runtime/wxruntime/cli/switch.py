"""`wxruntime switch`: running replicas go over to another precision, one after the other, without a lost request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wxruntime.cli.check import Refused, host_of, models_of
from wxruntime.cli.profile_options import against

if TYPE_CHECKING:
    from wxruntime.gateway.admin_client import Gateways
    from wxruntime.profile.live import Found
    from wxruntime.profile.rolling import Launcher

    Engines = tuple[Any, Launcher, Callable[[Gateways], list[Found]]]


class Ports(click.ParamType[range]):
    name = "FIRST-LAST"

    def convert(self, value: Any, param: Any, ctx: Any) -> range:
        first, dash, last = str(value).partition("-")
        if not (first.isdigit() and (last if dash else first).isdigit()) or int(last or first) < int(first):
            self.fail(f"{value!r} should be two ports, like 8000-8009", param, ctx)
        return range(int(first), int(last or first) + 1)


@click.command()
@click.argument("file", metavar="PROFILE", type=click.Path(path_type=Path))
@click.option("--to", metavar="PRECISION", help="Of the profile's list.  [default: the first that fits]")
@click.option("--gateway", "sockets", type=click.Path(path_type=Path), multiple=True, required=True, metavar="SOCKET",
              help="Its admin socket; repeat it for each gateway.")  # fmt: skip
@click.option("--name", help="The model's name in the gateways.  [default: the profile's first]")
@click.option("--container", "containers", multiple=True, metavar="NAME",
              help="Engines are containers: this one, and what took its place. Repeat it for each.")  # fmt: skip
@click.option("--docker", type=click.Path(path_type=Path), default=Path("/var/run/docker.sock"), show_default=True,
              help="Docker's socket.")  # fmt: skip
@click.option("--processes", type=click.Path(path_type=Path), metavar="DIR",
              help="Engines are processes of this machine, with their records and logs in DIR.")  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), help="So many replicas at least: missing ones are started.")
@click.option("--ports", type=Ports(), help="Of new engines.  [default: the profile's and the 15 after it]")
@click.option("--address", default="127.0.0.1", show_default=True, help="Of this machine, as gateways name it.")
@against
@click.option("--ready-seconds", type=float, default=1800.0, show_default=True, help="To load a model.")
@click.option("--token-seconds", type=float, default=120.0, show_default=True, help="To make a gateway's first token.")
@click.option("--drain-seconds", type=float, default=300.0, show_default=True, help="To answer what runs.")
@click.option("--check", "only_check", is_flag=True, help="Print the plan, change nothing.")
def switch(file: Path, to: str | None, sockets: tuple[Path, ...], name: str | None, only_check: bool,
           ready_seconds: float, token_seconds: float, drain_seconds: float, count: int | None,
           **options: Any) -> None:  # fmt: skip
    """Take the replicas of PROFILE on this machine over to another precision while they are asked.

    One after the other: a new one starts, has made a token, and gets requests from the gateways; the old one gets no
    new ones, answers those that it has, and is stopped. Where memory has no room for both, the old one goes first, if
    the others bear the load. A failure leaves the old ones serving. After being killed, the same command goes on.
    """
    from wxruntime.gateway.admin_client import like_those_there
    from wxruntime.profile.live import NotPossible, Traffic, prepare
    from wxruntime.profile.rolling import LauncherError, Patience, Rolling, RotationError, SwitchFailed, told
    from wxruntime.profile.switch import SwitchRefused

    logging.basicConfig(level=logging.WARNING)
    models, host = models_of(options["models"]), host_of(options["facts"], options["host_name"], options["here"])
    if host is None:
        raise click.UsageError("memory is reckoned for a host: --here, or --host FACTS")
    try:
        profile, launcher, found = _engines(file, models, to, count, options)
        gateways = like_those_there(sockets, name or profile.served_names[0])
        with nullcontext() if only_check else launcher.alone():
            here = found(gateways)
            urls = [launcher.url(each.name) for each in here]
            traffic = Traffic(gateways.load(), gateways.elsewhere(urls), gateways.urls())
            planned = prepare(file, models, host, here, traffic, to=to, count=count or 0)  # type: ignore[arg-type]
            _show(file, planned, here, told)
            if only_check:
                return
            patience = Patience(ready_seconds, token_seconds, drain_seconds)
            Rolling(launcher, gateways, patience, click.echo).carry_out(planned.steps)
            click.echo(f"all serve in {planned.to}" if planned.steps else "nothing to do")
    except KeyboardInterrupt:
        click.echo("\nstopped on the way: the same command goes on from here; until then an engine that was to go gets "
                   "no requests", err=True)  # fmt: skip
        raise SystemExit(130) from None
    except (NotPossible, SwitchRefused) as error:
        raise Refused([str(error)]) from None
    except (LauncherError, RotationError, SwitchFailed) as error:
        raise click.ClickException(str(error)) from None


def _engines(file: Path, models: Any, to: str | None, count: int | None, options: Any) -> Engines:
    """The profile, who runs its engines here, and how those are found."""
    from wxruntime.profile.live import NotPossible
    from wxruntime.profile.plan import plan

    sketch = plan(file, models)
    if sketch.profile is None or sketch.mistakes:
        raise NotPossible(*map(str, sketch.mistakes))
    if to is not None and to not in sketch.profile.precision:
        raise NotPossible(*map(str, plan(file, models, only=to).mistakes))  # type: ignore[arg-type]
    ports = options["ports"] or range(sketch.profile.port, sketch.profile.port + 16)
    if bool(options["containers"]) == (options["processes"] is not None):
        raise click.UsageError("engines are containers (--container NAME) or processes (--processes DIR): name one")
    if options["containers"]:
        return _containers(sketch.profile, models, ports, options)
    return _processes(sketch.profile, models, ports, count, options)


def _processes(profile: Any, models: Any, ports: Sequence[int], count: int | None, options: Any) -> Engines:
    from wxruntime.profile.command import Command, commands
    from wxruntime.profile.live import Found
    from wxruntime.profile.plan import READY, possible
    from wxruntime.profile.processes import Processes
    from wxruntime.profile.rolling import LauncherError

    if not count and not any(options["processes"].glob("*.json")):
        raise LauncherError(f"{options['processes']} has no engines' records: say with --count how many are to run")
    choices, _, _ = possible(profile, models)

    def command(precision: Any, port: int) -> Command:
        return commands(profile.model_copy(update={"port": port}), choices[precision])[0]

    ready = READY.get(profile.engine, "/ready")
    launcher = Processes(options["processes"], command, ports, ready, options["address"], profile.drain_seconds + 15.0)

    def found(gateways: Gateways) -> list[Found]:
        return [
            Found(each.name, each.precision, each.replaces, launcher.running(each.name),
                  gateways.serving(launcher.url(each.name)), url=launcher.url(each.name), new=each.new)
            for each in launcher.found()
        ]  # fmt: skip

    return profile, launcher, found


def _containers(profile: Any, models: Any, ports: Sequence[int], options: Any) -> Engines:
    from wxruntime.profile.command import commands
    from wxruntime.profile.containers import Containers
    from wxruntime.profile.live import Found
    from wxruntime.profile.plan import possible

    choices, _, _ = possible(profile, models)
    rendered = {precision: commands(profile, choice)[0] for precision, choice in choices.items()}
    launcher = Containers(options["docker"], options["containers"], rendered, ports, options["address"])

    def found(gateways: Gateways) -> list[Found]:
        there = launcher.found()
        names = {each.name for each in there}
        return [
            Found(each.name, each.precision, each.replaces, each.running,
                  gateways.serving(launcher.url(each.name)), each.devices, launcher.url(each.name),
                  new=each.replaces in names - {each.name})
            for each in there
        ]  # fmt: skip

    return profile, launcher, found


def _show(file: Path, planned: Any, here: Sequence[Found], told: Callable[[Any], str]) -> None:
    running = [each for each in here if each.running]
    now = ", ".join(f"{each.name} in {each.precision}" for each in running) or "no engine"
    click.echo(f"{file}: {now} here; all to {planned.to}")
    for line in planned.memory:
        click.echo(line)
    for number, step in enumerate(planned.steps, 1):
        click.echo(f"{number}. {told(step)}")
