"""What came of the roles: a table with a row a role, and everything that differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from conformance.compare import Difference
from conformance.report import shown
from conformance.roles.trial import Account, Ran, Trial

COLUMNS = ("role", "commit", "tasks", "agree", "exit codes", "same host", "second run changed", "check", "taken back",
           "seconds")  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|"


def row(one: Trial) -> str:
    """Where there are two figures, the first is ansible-core's and the second wxops'."""
    theirs, ours, said, foretold = one.theirs, one.ours, one.comparison, one.foretold
    cells = (
        one.role.name, one.role.commit[:10], said.tasks, said.agree, f"{_codes(theirs)} {_codes(ours)}",
        _none_or_count(one.host), f"{_changed(theirs.second)} {_changed(ours.second)}",
        "changed the host" if ours.touched else f"{foretold.agree} of {foretold.tasks}", _none_or_count(ours.left),
        f"{theirs.first.seconds:.0f} {ours.first.seconds:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def table(trials: Iterable[Trial]) -> str:
    return "\n".join([HEAD, *map(row, trials)])


def account_of(one: Trial) -> str:
    """Everything that differs in a trial, for whoever mends it."""
    parts = {
        "results that differ": [_place(each) for each in one.comparison.differences],
        "the host after ansible-core -> after wxops": one.host,
        "a second run of ansible-core changed": _changes(one.theirs.second),
        "a second run of wxops changed": _changes(one.ours.second),
        "the check foretold otherwise (the run, the check)": [_place(each) for each in one.foretold.differences],
        "the check changed": one.ours.touched,
        "not taken back": one.ours.left,
    }
    return "".join(f"{what}:\n" + "".join(f"  {line}\n" for line in lines) for what, lines in parts.items() if lines)


def printed(one: Trial) -> dict[str, str]:
    """What each call printed, by a name for a file."""
    theirs, ours = one.theirs, one.ours
    calls = {"ansible.1": theirs.first, "ansible.2": theirs.second, "wxops.1": ours.first, "wxops.2": ours.second,
             "wxops.check": ours.check}  # fmt: skip
    calls.update({f"wxops.back.{number}": ran for number, ran in enumerate(ours.back, 1)})
    return {name: ran.output for name, ran in calls.items() if ran}


def results(ran: Ran) -> str:
    return "".join(json.dumps(said) + "\n" for said in ran.told)


def _codes(account: Account) -> str:
    return "/".join(str(ran.code) for ran in (account.first, account.second, *account.back) if ran)


def _none_or_count(differ: Sequence[str]) -> str:
    return f"{len(differ)} differ" if differ else "yes"


def _changed(ran: Ran | None) -> str:
    return str(ran.changed) if ran else "-"


def _changes(ran: Ran | None) -> list[str]:
    return [f"{said['where']} {said['task']}" for said in (ran.told if ran else []) if said["status"] == "changed"]


def _place(difference: Difference) -> str:
    return shown(difference)
