"""Which replicas a model has while the gateway runs: those of the file, and what an operator made of them. Pure.

A change holds as long as the file names for that model what it named when the change was made. So a reload for another
reason (a certificate, a client) keeps it, and whoever rewrites the model's replicas in the file has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from wxruntime.gateway import config
from wxruntime.gateway.exchange import Refusal


class Roster(config.Section):
    """The replicas of one model. written: what the file named when they were changed; draining: URLs."""

    written: list[config.Replica]
    replicas: list[config.Replica]
    draining: list[config.URL] = Field(default_factory=list)


class Rosters(config.Section):
    """By the model's name; a model that nobody changed is not here."""

    models: dict[str, Roster] = Field(default_factory=dict)

    def of(self, model: config.Model) -> Roster:
        """The model's, or what the file says. model: as the file has it."""
        return self.models.get(model.name) or Roster(written=model.replicas, replicas=model.replicas)

    def holding(self, written: config.Config) -> Rosters:
        """Without those whose models the file names otherwise than it did."""
        kept = {model.name: self.models[model.name] for model in written.models if model.name in self.models}
        return Rosters(models={
            model.name: kept[model.name]
            for model in written.models
            if model.name in kept and kept[model.name].written == model.replicas
        })  # fmt: skip

    def over(self, written: config.Config) -> config.Config:
        """The configuration that is in force: the file's, with these replicas."""
        models = [model.model_copy(update={"replicas": self.of(model).replicas}) for model in written.models]
        return written.model_copy(update={"models": models})

    @property
    def draining(self) -> frozenset[tuple[str, str]]:
        """Model and URL of each replica that gets no new calls."""
        return frozenset((name, url) for name, roster in self.models.items() for url in roster.draining)

    # -- changes: what holds from now on

    def added(self, model: config.Model, replica: config.Replica) -> Rosters:
        """With a replica, which gets calls again if it was draining. A Refusal if its URL has other settings."""
        now = self.of(model)
        there = _find(now, replica.url)
        if there is not None and there != replica:
            raise Refusal(409, "replica_differs", f"{replica.url} is there with other settings: remove it first")
        replicas = now.replicas if there is not None else [*now.replicas, replica]
        return self._with(model, now, replicas, [url for url in now.draining if url != replica.url])

    def drained(self, model: config.Model, url: str) -> Rosters:
        now = self.of(model)
        _known(now, model, url)
        return self._with(model, now, now.replicas, [*(each for each in now.draining if each != url), url])

    def removed(self, model: config.Model, url: str) -> Rosters:
        now = self.of(model)
        _known(now, model, url)
        replicas = [each for each in now.replicas if each.url != url]
        return self._with(model, now, replicas, [each for each in now.draining if each != url])

    def _with(self, model: config.Model, now: Roster, replicas: list[config.Replica], draining: list[str]) -> Rosters:
        """Back to what the file says is no change any more."""
        rest = {name: roster for name, roster in self.models.items() if name != model.name}
        if replicas == now.written and not draining:
            return Rosters(models=rest)
        return Rosters(models={**rest, model.name: Roster(written=now.written, replicas=replicas, draining=draining)})


def dropped(before: Rosters, after: Rosters) -> Iterator[str]:
    """The models whose changes do not hold any more."""
    yield from (name for name in before.models if name not in after.models)


def named(models: Mapping[str, config.Model], name: str) -> config.Model:
    if name not in models:
        raise Refusal(404, "no_such_model", f"there is no model {name!r}; there are {', '.join(models)}")
    return models[name]


def _find(roster: Roster, url: str) -> config.Replica | None:
    return next((each for each in roster.replicas if each.url == url), None)


def _known(roster: Roster, model: config.Model, url: str) -> None:
    if _find(roster, url) is None:
        raise Refusal(404, "no_such_replica", f"{model.name} has no replica {url}")
