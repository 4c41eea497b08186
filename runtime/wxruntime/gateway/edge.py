"""The stage of a gateway at an edge: it has a small model of its own, and asks the center what its policy says.

A client is told by headers: X-Wxops-Engine is `center` where the center answered, with X-Wxops-Reason why it was asked,
and `edge-alone` where the center should have answered and could not.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec

from wxruntime.gateway import confidence, config
from wxruntime.gateway.center_client import Center, CenterLost
from wxruntime.gateway.edge_policy import Policy, Reason
from wxruntime.gateway.exchange import Answer, Call, Usage
from wxruntime.gateway.pipeline import Proceed

log = logging.getLogger("wxruntime.gateway.edge")

ROUTES = frozenset({"chat", "completion"})
Where = Literal["edge", "center", "alone"]


class Edge:
    """waiting: how many calls wait for a place at a model's own replicas."""

    def __init__(self, settings: config.Edge, breaker: config.Breaker, waiting: Callable[[str], int]) -> None:
        self.settings = settings
        self.center = Center(settings, breaker)
        self.policy = Policy(settings.policy)
        self.answered = Counter[tuple[Where, str]]()  # by who answered and the policy's reason
        self.unsure = 0  # local answers that were dropped for the center's
        self._waiting = waiting

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.route not in ROUTES:
            return await proceed(call)
        reason = self.policy.judge(call, self._waiting(call.model))
        if reason is not None:
            try:
                return await self._from_center(call, reason)
            except CenterLost as lost:
                return self._alone(call, await proceed(call), reason, lost)
        if self.settings.policy.mean_logprob is None:
            self.answered["edge", ""] += 1
            return await proceed(call)
        return await self._if_sure(call, proceed)

    def reload(self) -> None:
        self.center.reload()

    def leave(self) -> None:
        """Another configuration takes over; calls that are under way end as they began."""
        self.center.leave()

    def close(self) -> None:
        self.center.close()

    async def _from_center(self, call: Call, reason: Reason) -> Answer:
        answer = await self.center.ask(call, self._body(call, reason))
        self.answered["center", reason] += 1
        call.engine = "center"
        answer.headers += [(b"x-wxops-engine", b"center"), (b"x-wxops-reason", reason.encode())]
        return answer

    def _alone(self, call: Call, answer: Answer, reason: Reason, lost: CenterLost) -> Answer:
        self.answered["alone", reason] += 1
        log.warning("call %s is answered without the center: %s", call.id, lost)
        call.engine = "edge-alone"
        kept = [each for each in answer.headers if each[0] != b"x-wxops-engine"]
        answer.headers = [*kept, (b"x-wxops-engine", b"edge-alone"), (b"x-wxops-reason", reason.encode())]
        return answer

    async def _if_sure(self, call: Call, proceed: Proceed) -> Answer:
        """The small model's answer if its first tokens are likely enough to itself, else the center's."""
        settings = self.settings.policy
        asking = confidence.with_logprobs(call)
        if asking is None or settings.mean_logprob is None:
            self.answered["edge", "unknown"] += 1
            return await proceed(call)
        local = replace(asking, usage=Usage(), endings=[])
        answer = await proceed(local)
        if answer.status == 400:  # an engine that tells no log-probabilities
            _end(local)
            self.answered["edge", "unknown"] += 1
            return await proceed(call)
        heard = confidence.Heard(answer, strip=asking is not call)
        try:
            likely = await heard.listen(settings.logprob_tokens) if answer.status == 200 else None
            if likely is None or likely >= settings.mean_logprob:
                return self._keep(call, local, heard, "")
            center = await self._from_center(call, "confidence")
        except CenterLost as lost:
            return self._alone(call, self._keep(call, local, heard, None), "confidence", lost)
        except BaseException:
            await heard.drop()
            _end(local)
            raise
        self.unsure += 1
        await heard.drop()
        _end(local)
        return center

    def _keep(self, call: Call, local: Call, heard: confidence.Heard, reason: str | None) -> Answer:
        """The local attempt becomes the call's: what was noted on it, and what is to be given back at its end."""
        call.admitted, call.sent, call.attempts, call.replica = (
            local.admitted,
            local.sent,
            local.attempts,
            local.replica,
        )
        call.engine, call.first_byte, call.last_byte = local.engine, local.first_byte, local.last_byte
        call.usage = local.usage

        def over() -> None:
            call.last_byte, call.outcome, call.error = local.last_byte, local.outcome, local.error
            _end(local)

        call.endings.insert(0, over)
        if reason is not None:
            self.answered["edge", reason] += 1
        return heard.release()

    def _body(self, call: Call, reason: Reason) -> bytes:
        """What is not asked for by its name there is asked of the model that the configuration names."""
        if self.settings.model is None or reason == "model":
            return call.body
        fields = msgspec.json.decode(call.body)
        fields["model"] = self.settings.model
        return msgspec.json.encode(fields)


def _end(call: Call) -> None:
    for ending in call.endings:
        ending()
    call.endings = []
