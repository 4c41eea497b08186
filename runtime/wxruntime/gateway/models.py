"""The models that the gateway offers, by name and alias, with their replicas."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator

from wxruntime.gateway import config
from wxruntime.gateway.files import stamps
from wxruntime.gateway.pipeline import Observer
from wxruntime.gateway.replica import Replica


class Model:
    """A model: the replicas that serve it, and those that step in when all of them are out."""

    def __init__(self, settings: config.Model, replicas: list[Replica], emergency: list[Replica]) -> None:
        self.settings, self.name = settings, settings.name
        self.replicas, self.emergency = replicas, emergency
        self.created = int(time.time())

    @property
    def in_emergency(self) -> bool:
        """Whether none of its replicas takes calls."""
        return not any(replica.takes_calls for replica in self.replicas)

    @property
    def available(self) -> list[Replica]:
        """Those that take calls now: replicas, or emergency engines while all replicas are out."""
        return [each for each in self.replicas if each.takes_calls] or [
            each for each in self.emergency if each.takes_calls
        ]


class Models:
    """All models of a configuration."""

    def __init__(
        self,
        whole: config.Config,
        observer: Observer,
        before: Models | None = None,
        draining: Collection[tuple[str, str]] = (),
    ) -> None:
        """With `before`, replicas whose settings and files are the same stay, with their connections and breakers.

        draining: model and URL of replicas that get no new calls.
        """
        kept = (
            {(each.model, each.settings, each.files): each for each in before.replicas()}
            if before and before.like(whole)
            else {}
        )
        self._whole = whole
        self.all: list[Model] = []
        self.by_name: dict[str, Model] = {}

        def replicas(model: config.Model, given: list[config.Replica]) -> list[Replica]:
            return [
                kept.get((model.name, each, stamps(each))) or Replica(each, model, whole, observer) for each in given
            ]

        for settings in whole.models:
            model = Model(settings, replicas(settings, settings.replicas), replicas(settings, settings.emergency))
            for replica in model.replicas:
                replica.draining = (model.name, replica.url) in draining
            self.all.append(model)
            for name in (settings.name, *settings.aliases):
                self.by_name[name] = model

    def like(self, whole: config.Config) -> bool:
        """Whether replicas under `whole` behave as these."""
        return (self._whole.upstream, self._whole.breaker) == (whole.upstream, whole.breaker)

    def replicas(self) -> Iterator[Replica]:
        for model in self.all:
            yield from model.replicas
            yield from model.emergency

    def all_but(self, kept: Iterable[Replica]) -> list[Replica]:
        """The replicas that are not in `kept`."""
        stay = set(kept)
        return [replica for replica in self.replicas() if replica not in stay]
