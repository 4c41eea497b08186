"""What rules judge by, besides the host's record: the tables, the policies that hold, the demand, and today's date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from wxops.audit.demand import Demand
from wxops.audit.policy import Policy
from wxops.audit.shapes import catalogue, shape
from wxops.audit.tables import Tables


@dataclass(frozen=True)
class Knowledge:
    """today: what has reached its end of life is judged by it. demand: the model that the hosts are to serve."""

    today: date
    tables: Tables
    policies: tuple[Policy, ...] = ()
    demand: Demand | None = None

    @classmethod
    def of(
        cls, policies: Sequence[str] = ("guide",), demand: Demand | None = None, today: date | None = None
    ) -> Knowledge:
        """By the names, or files, of policies. Raises InputError for a policy, model or engine that there is not."""
        if demand:
            shape(demand.model)
            catalogue().engine(demand.engine)
        return cls(today or date.today(), Tables.load(), tuple(Policy.load(name) for name in policies), demand)
