"""OpenSSL, judged by what the distribution says: it mends old upstream versions, so their number says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined, warned
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord, OpenSSL, Package
from wxops.audit.rule import rule
from wxops.audit.subjects import missing
from wxops.audit.tables import last_day
from wxops.audit.versions import version

FRESH = timedelta(days=14)  # apt's own timer fetches each day; two weeks are a host on which that is off


@rule(
    "openssl.updated",
    area="host",
    severity="fail",
    title="No security update of OpenSSL waits to be installed",
    why="Distributions bring fixes to the version they shipped: only their own status tells whether it is safe.",
    source="the distribution's package index; OpenSSL release strategy",
)
def updated(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.openssl.known or host.openssl.value is None:
        yield missing("OpenSSL", host.openssl, "its package status")
        return
    found = host.openssl.value
    if not found.packages:
        yield skipped("OpenSSL", f"{found.version or 'it'} is not from a package")
    judged: dict[Judgement, list[str]] = {}
    for package in found.packages:  # libssl3 and openssl are built together, and as a rule have one thing to be said
        judged.setdefault(_of(package, found, known), []).append(package.name)
    for judgement, names in judged.items():
        yield replace(judgement, subject=", ".join(names), fix=judgement.fix.format(" ".join(names)))


def _of(package: Package, found: OpenSSL, known: Knowledge) -> Judgement:
    """What is to be said of a package, without its name."""
    said = f"{package.version} of {found.version}"
    if not package.candidate:
        return undetermined("", f"{said}; the host does not know of newer ones", "apt-get update")
    if package.candidate != package.version:
        evidence = f"{said}; {package.candidate} waits"
        if package.security:
            return failed("", f"{evidence}, a security update", "upgrade {}, then restart what uses it")
        return passed("", f"{evidence}, not for security")
    if day := _stale(found.index_day, known):
        evidence = f"{said}, the newest in the host's package lists, which are of {day}"
        return undetermined("", evidence, "apt-get update (or dnf makecache)")
    return passed("", f"{said}, the newest that the distribution has")


def _stale(day: str, known: Knowledge) -> str:
    """The day of the lists where they are so old that a fix may have come out since."""
    try:
        return day if day and known.today - date.fromisoformat(day) > FRESH else ""
    except ValueError:
        return day


@rule(
    "openssl.restarted",
    area="host",
    severity="warn",
    title="No program still runs with an OpenSSL that was replaced",
    why="An update holds only for programs that were started after it.",
    source="needrestart, /proc/PID/maps (deleted)",
)
def restarted(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.openssl.known or host.openssl.value is None:
        yield missing("OpenSSL", host.openssl, "which programs use it")
        return
    reading = host.openssl.value.restart_needed
    waiting = reading.value
    if not reading.known:
        yield missing("OpenSSL", reading, "which programs use it")
    elif waiting:
        yield warned("OpenSSL", f"the old one is used by {', '.join(waiting)}", f"restart {', '.join(waiting)}")
    elif not host.openssl.value.packages:
        yield skipped("OpenSSL", "it is not from a package")
    else:
        yield passed("OpenSSL", "no program uses an old one")


@rule(
    "openssl.branch-alive",
    area="host",
    severity="warn",
    title="An OpenSSL that was built by hand is of a branch that is kept up",
    why="A distribution mends old branches itself; for one that is not from a package only OpenSSL's own end counts.",
    source="compat.yaml: openssl_branches",
)
def branch_alive(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    if not host.openssl.known or host.openssl.value is None:
        yield missing("OpenSSL", host.openssl, "its version")
        return
    found = host.openssl.value
    number = version(found.version.removeprefix("OpenSSL "))
    if found.packages:
        yield skipped("OpenSSL", f"{found.version} is a package: its distribution keeps it, see openssl.updated")
    elif number is None:
        yield skipped("OpenSSL", "there is none")
    elif (row := next((row for row in known.tables.openssl_branches if number.starts_with(row.branch)), None)) is None:
        yield undetermined("OpenSSL", f"{found.version} is of no branch in the table of {known.tables.collected}")
    elif row.eol and last_day(row.eol) < known.today:
        evidence = f"{found.version}, not from a package: branch {row.branch} ended {row.eol}"
        alive = [each for each in known.tables.openssl_branches if each.eol and last_day(each.eol) > known.today]
        to = f"OpenSSL {alive[-1].branch} (until {alive[-1].eol})" if alive else "a branch that is kept up"
        yield warned("OpenSSL", evidence, f"use the distribution's package, or build {to}")
    else:
        yield passed("OpenSSL", f"{found.version}: branch {row.branch}" + (f", until {row.eol}" if row.eol else ""))
