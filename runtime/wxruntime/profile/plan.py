"""All that can be said of a profile: what is wrong with it, in which precision it starts, what that runs and takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wxruntime.document import DocumentError, Mistake
from wxruntime.profile.against_host import against_host, choose, slower
from wxruntime.profile.against_model import against_model, choice
from wxruntime.profile.checkpoints import Model
from wxruntime.profile.command import Choice, Command, commands
from wxruntime.profile.consistency import consistency
from wxruntime.profile.engines import engine
from wxruntime.profile.finding import Finding, doubtful
from wxruntime.profile.host import Host
from wxruntime.profile.memory import Room
from wxruntime.profile.model import Precision, Profile, read
from wxruntime.sizing import GIB, Shape


@dataclass(frozen=True)
class Plan:
    """What a profile comes to. mistakes: why it must not be started; then there is no choice and no command.

    model: None when no checkpoint was named; room: None without a host or a model.
    """

    file: Path
    profile: Profile | None = None
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()
    model: Model | None = None
    host: Host | None = None
    choice: Choice | None = None
    room: Room | None = None
    commands: tuple[Command, ...] = field(default=())

    @property
    def memory(self) -> str:
        """What it takes, in a sentence; what was not looked at is said."""
        if self.model is None:
            return "not reckoned: name the checkpoint with --model"
        if self.room is None:
            return f"weights {self.model.shape.weights(self.choice.precision) / GIB:.1f} GiB" if self.choice else ""
        taken, profile = self.room.memory, self.profile
        assert profile and self.host
        gpus = self.host.same
        where = self.host.name if self.room.cpu else f"each of {taken.gpus} x {gpus[0].name}"
        kept = f"KV cache {taken.kv / GIB:.1f} GiB for {self.room.tokens:,} tokens"
        return (
            f"on {where}: weights {taken.weights / GIB:.1f} GiB, {kept}, of {taken.free / GIB:.1f} GiB; "
            f"{self.room.holds:,} tokens would fit"
        )

    def as_json(self) -> dict[str, Any]:
        """For programs; the deploy role runs what stands here."""
        profile, chosen = self.profile, self.choice
        return {
            "ok": not self.mistakes,
            "mistakes": [str(each) for each in self.mistakes],
            "warnings": [str(each) for each in self.warnings],
            "engine": profile.engine if profile else None,
            "image": profile.image if profile else None,
            "precision": chosen.precision if chosen else None,
            "gpus": (profile.gpus // profile.nodes) if profile else None,
            "port": profile.port if profile else None,
            "ready_path": READY.get(profile.engine, "/ready") if profile else None,
            "served_names": list(profile.served_names) if profile else [],
            "api_key_file": profile.api_key_file if profile else None,
            "drain_seconds": profile.drain_seconds if profile else None,
            "memory": self.memory if profile and not self.mistakes else None,
            "commands": [
                {
                    "node": each.node,
                    "entrypoint": list(each.entrypoint),
                    "arguments": list(each.arguments),
                    "environment": dict(each.environment),
                }
                for each in self.commands
            ],
        }


# Where an engine says that it can answer: ours when it has made a token, the others once the model is loaded.
READY = {"vllm": "/health", "fastdeploy": "/health"}


def plan(
    file: Path, models: Mapping[Precision | None, Model], host: Host | None = None, only: Precision | None = None
) -> Plan:
    """Everything that is wrong at once, or what is to be run.

    models: checkpoints on this machine; None is the key of the one that the profile's `model` names, a precision that
    of its own checkpoint. host: where it is to run, if that is known. only: no other precision of the list.
    """
    try:
        profile, document = read(file)
    except DocumentError as error:
        return Plan(file, mistakes=tuple(error.mistakes))
    if only is not None:
        if only not in profile.precision:
            listed = ", ".join(profile.precision)
            return Plan(file, mistakes=(document.at(("precision",), f"precision: {only} is not among {listed}"),))
        profile = profile.model_copy(update={"precision": [only]})
    main = main_of(models)
    findings = [*consistency(profile), *(against_model(profile, main) if main else _unseen_model())]
    choices, shapes, impossible = possible(profile, models)
    findings += impossible
    findings += against_host(profile, host) if host else _unseen_host()
    chosen, room = next(iter(choices.values()), None), None
    if host and shapes and not _kept_apart(findings):
        fitting = choose(profile, shapes, choices, host)
        if isinstance(fitting, list):
            findings += fitting
        else:
            chosen, room = fitting
            findings += slower(profile, chosen.precision, host)
            findings += _crowded(profile, room)
    for each in findings:
        if each.fatal:
            document.mistake(each.place, each.message)
    mistakes = tuple(sorted(document.mistakes))
    warnings = tuple(sorted(document.at(each.place, each.message) for each in findings if not each.fatal))
    ready = commands(profile, chosen) if chosen and not mistakes else ()
    return Plan(file, profile, mistakes, warnings, main, host, chosen, room, ready)


def main_of(models: Mapping[Precision | None, Model]) -> Model | None:
    """The checkpoint that the profile's `model` names."""
    return models.get(None) or next(iter(models.values()), None)


def possible(
    profile: Profile, models: Mapping[Precision | None, Model]
) -> tuple[dict[Precision, Choice], dict[Precision, Shape], list[Finding]]:
    """The precisions of the list that the checkpoints allow, the shapes of those at hand, and why others are not."""
    choices: dict[Precision, Choice] = {}
    shapes: dict[Precision, Shape] = {}
    findings = []
    for precision in profile.precision:
        model = models.get(precision) or main_of(models)
        found = choice(profile, precision, model) if model else _assumed(profile, precision)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            choices[precision] = found
            if model:
                shapes[precision] = model.shape
    return choices, shapes, findings


def _assumed(profile: Profile, precision: Precision) -> Choice:
    """Without a checkpoint at hand: what an engine cannot make itself, the checkpoint must bring."""
    return Choice(precision, quantized=precision not in engine(profile.engine).online)


def _kept_apart(findings: list[Finding]) -> bool:
    """Whether something is wrong already with what memory is reckoned from."""
    keys = {"tensor_parallel", "pipeline_parallel", "max_model_len", "load", "kv_cache_dtype"}
    return any(each.fatal and each.place[0] in keys for each in findings)


def _unseen_model() -> Iterator[Finding]:
    yield doubtful("model", "not held against a checkpoint; name one on this machine with --model")


def _unseen_host() -> Iterator[Finding]:
    yield doubtful("engine", "not held against a host; name one with --host FACTS.json, or this machine with --here")


def _crowded(profile: Profile, room: Room) -> Iterator[Finding]:
    """Fewer sequences of full length than may run at once: the engine then puts some off and computes them again."""
    longest = profile.max_model_len
    if longest and profile.max_num_seqs and not profile.load and room.holds // longest < profile.max_num_seqs:
        what = f"the KV cache holds {room.holds // longest} sequences of {longest} tokens at once"
        yield doubtful("max_num_seqs", f"{what}; with more of them than that, longer ones are put off")
