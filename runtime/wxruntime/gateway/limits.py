"""What each client may use: requests a minute, requests at once, tokens a day. Over it is a 429 that says when."""

from __future__ import annotations

import time
from collections import deque

from wxruntime.gateway.allowlist import Guest
from wxruntime.gateway.exchange import Answer, Call, Refusal
from wxruntime.gateway.pipeline import Proceed

DAY = 86_400


BYTES_PER_TOKEN = 4  # of a request, about, in English as in Chinese


class Account:
    """What one client has used. It outlives reloads of the allowlist."""

    def __init__(self) -> None:
        self.running = 0
        self.arrivals: deque[float] = deque()  # of the last minute
        self.day = 0  # since 1970, UTC
        self.tokens = 0  # on that day

    def tokens_on(self, day: int) -> int:
        if day != self.day:
            self.day, self.tokens = day, 0
        return self.tokens


def charged(call: Call) -> int:
    """Tokens that a budget pays: the engine's count, or about so many where a client left before it was told."""
    usage = call.usage
    if usage.completion and not usage.exact:
        return max(usage.prompt, len(call.body) // BYTES_PER_TOKEN) + usage.completion
    return usage.prompt + usage.completion


class Limits:
    """The stage that holds clients to what their entries allow."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        guest = call.guest
        account = self.accounts.get(guest.name)
        if account is None:
            account = self.accounts[guest.name] = Account()
        self._check(guest, account, call.received)
        account.running += 1

        def over() -> None:
            account.running -= 1
            account.tokens_on(int(time.time()) // DAY)
            account.tokens += charged(call)

        call.endings.append(over)
        return await proceed(call)

    def _check(self, guest: Guest, account: Account, now: float) -> None:
        settings = guest.settings
        if settings.tokens_per_day is not None:
            clock = time.time()
            if account.tokens_on(int(clock) // DAY) >= settings.tokens_per_day:
                raise Refusal(
                    429,
                    "token_budget",
                    f"{guest.name} has used its {settings.tokens_per_day} tokens of today (UTC)",
                    retry_after=DAY - clock % DAY,
                )
        if settings.concurrent is not None and account.running >= settings.concurrent:
            message = f"{guest.name} may have {settings.concurrent} requests at once"
            raise Refusal(429, "concurrent_requests", message, retry_after=1)
        if settings.requests_per_minute is not None:
            arrivals = account.arrivals
            while arrivals and arrivals[0] <= now - 60:
                arrivals.popleft()
            if len(arrivals) >= settings.requests_per_minute:
                message = f"{guest.name} may make {settings.requests_per_minute} requests a minute"
                raise Refusal(429, "rate", message, retry_after=arrivals[0] + 60 - now)
            arrivals.append(now)
