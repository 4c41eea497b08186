"""Intel Gaudi: whether the kernel driver is of the same release as the software."""

from __future__ import annotations

from collections.abc import Iterator

from wxops.audit.finding import Judgement, failed, passed, skipped, undetermined
from wxops.audit.knowledge import Knowledge
from wxops.audit.record import HostRecord
from wxops.audit.rule import rule
from wxops.audit.subjects import missing
from wxops.audit.versions import version


@rule(
    "gaudi.driver-of-software",
    area="driver",
    severity="fail",
    title="Gaudi's driver and software are of one release",
    why="Driver, firmware and software are released, tested and listed under one number.",
    source="compat.yaml: gaudi",
)
def driver_of_software(host: HostRecord, known: Knowledge) -> Iterator[Judgement]:
    found = [each for each in host.others if each.vendor == "gaudi"]
    if not found:
        yield skipped("Gaudi", "this host has no Gaudi")
    for each in found:
        if not each.runtime.known or not each.driver.known:
            reading = each.driver if each.runtime.known else each.runtime
            yield missing("Gaudi", reading, f"the version of its {'driver' if each.runtime.known else 'software'}")
            continue
        driver, software = version(each.driver.value), version(each.runtime.value)
        if driver is None or software is None:
            yield undetermined("Gaudi", f"driver {each.driver.value!r}, software {each.runtime.value!r}: no numbers")
        elif driver.first(3) == software.first(3):
            yield passed("Gaudi", f"driver and software {software.first(3)}")
        else:
            fix = f"install habanalabs-dkms {software.first(3)}, then reboot"
            # Intel's matrix lists one number for both; a sentence that forbids another was not found.
            yield failed("Gaudi", f"driver {driver}, software {software}", fix, certain=False)
