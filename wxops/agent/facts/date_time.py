"""The host's clock, as local time, UTC and time zone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict

    from wxops.agent.facts.host import Host

LOCAL_FORMATS = {
    "year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S",
    "weekday": "%A", "weekday_number": "%w", "weeknumber": "%W", "date": "%Y-%m-%d", "time": "%H:%M:%S",
    "iso8601_basic_short": "%Y%m%dT%H%M%S", "tz": "%Z", "tz_offset": "%z",
}  # fmt: skip


def date_time(host: Host) -> Dict[str, Any]:
    nanoseconds = time.time_ns()
    seconds, microseconds = nanoseconds // 10**9, nanoseconds // 1000 % 10**6
    local, utc = time.localtime(seconds), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    facts = {name: time.strftime(form, local) for name, form in LOCAL_FORMATS.items()}
    facts["epoch"] = facts["epoch_int"] = str(seconds)
    facts["iso8601"] = utc + "Z"
    facts["iso8601_micro"] = "%s.%06dZ" % (utc, microseconds)
    facts["iso8601_basic"] = "%s%06d" % (facts["iso8601_basic_short"], microseconds)
    facts["tz_dst"] = time.tzname[1]
    return {"date_time": facts}
