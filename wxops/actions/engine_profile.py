"""An engine's profile, judged on the controller before the host is touched, and turned into what its container runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wxops.actions import Call, Result, succeed
from wxops.errors import InputError, TaskFailed

if TYPE_CHECKING:
    from wxruntime.profile.checkpoints import Model
    from wxruntime.profile.host import Host
    from wxruntime.profile.model import Precision

NEEDS = "engine_profile needs the package wxruntime beside wxops"


def engine_profile(
    call: Call,
    path: str,
    model: str | None = None,
    facts: dict[str, Any] | None = None,
    node: int = 0,
) -> Result:
    """Refuse a profile with all that `wxruntime check` refuses, or return what it runs. Changes nothing.

    Returned are `precision`, `image`, `entrypoint`, `command` and `env` of the container, `port`, `ready_path`,
    `served_names`, `api_key_file`, `drain_seconds`, `gpus` and `nodes` of the replica, `memory` in words, `warnings`.

    path: the profile, looked for in the role's files/ and beside the playbook.
    model: the checkpoint's directory on the controller, or a name of `wxops audit --for`, to hold it against.
    facts: what `gpu_facts` returned of the host, to hold it against.
    node: the host's place among those of `multi_node`.
    """
    try:
        from wxruntime.profile.checkpoints import ModelError, look
        from wxruntime.profile.host import HostError, from_facts
        from wxruntime.profile.plan import plan
    except ImportError as error:
        raise InputError(f"{NEEDS} ({error})", fix="install it on the controller: pip install wxruntime") from None
    models: dict[Precision | None, Model] = {}
    host: Host | None = None
    try:
        if model:
            models[None] = look(model)
        if facts:
            host = from_facts(json.dumps(facts), f"gpu_facts of {call.host}")
    except (ModelError, HostError) as error:
        raise _refused(path, [str(error)]) from None
    found = plan(call.find(path, "files"), models, host)
    if found.mistakes or found.profile is None:
        raise _refused(path, [str(each) for each in found.mistakes])
    if node >= len(found.commands):
        told = f"node {node} is not among the {len(found.commands)} hosts of the profile"
        raise _refused(path, [told])
    told_json = found.as_json()
    command = told_json.pop("commands")[node]
    del told_json["ok"], told_json["mistakes"]
    return succeed(
        **told_json,
        nodes=found.profile.nodes,
        entrypoint=command["entrypoint"],
        command=command["arguments"],
        env=command["environment"],
    )


def _refused(path: str, sentences: list[str]) -> TaskFailed:
    said = "\n".join(sentences)
    return TaskFailed(f"{Path(path).name} cannot be run like this:\n{said}", {"mistakes": sentences})
