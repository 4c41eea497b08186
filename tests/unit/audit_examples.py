"""Audits for the tests of how they are shown: findings of every verdict, and a host that did not answer."""

from __future__ import annotations

from dataclasses import replace

from wxops.audit.finding import Finding, Verdict
from wxops.audit.gpu import Gpu, NvidiaDriver
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord, KernelModule, System
from wxops.audit.report import Audit, HostAudit
from wxops.audit.software import ContainerRuntime, Library, Toolkit, Torch

SYSTEM = System("gpu1", "debian", "12", "Debian GNU/Linux 12 (bookworm)", "6.1.0-40-amd64", "x86_64")
GPU = Gpu(0, name=Reading("NVIDIA H100 80GB HBM3"), uuid=Reading("GPU-1"), compute_capability=Reading("9.0"),
          temperature=Reading(34), vbios=Reading("96.00.61.00.01"))  # fmt: skip
RECORD = HostRecord(
    "gpu1",
    SYSTEM,
    nvidia_module=KernelModule("580.159.04", open=True),
    nvidia=NvidiaDriver("/usr/lib/libnvidia-ml.so.580.159.04", "580.159.04", "", Reading("580.159.04"),
                        cuda_version=Reading("13.0"), gpus=Reading((GPU,))),
    toolkits=Reading((Toolkit("13.0", "/usr/local/cuda-13.0", in_use=True),)),
    libraries=Reading((Library("cudnn", "9.20.0.48", "/usr/lib/libcudnn.so.9.20.0", 13),)),
    torches=Reading((Torch("host", "/opt/venv", "2.13.0+cu130", cuda="13.0"),)),
    runtime=Reading(ContainerRuntime(docker="28.2.2", toolkit="1.18.2")),
)  # fmt: skip
RULE = "driver.answers"
HOSTILE = '<script>alert("1")</script> & "quotes"\x1b[31m'
"""What a host may say of itself: nothing of it may reach a page as markup, or a terminal as a command."""


def finding(verdict: Verdict, subject: str = "driver", evidence: str = "what was found", fix: str = "") -> Finding:
    return Finding(RULE, "driver", verdict, subject, evidence, fix)


def an_audit(*verdicts: Verdict) -> Audit:
    """One host with a finding of each verdict, in the order of an audit."""
    found = [finding(verdict, f"thing {at}", fix="mend it" if verdict is Verdict.FAIL else "")
             for at, verdict in enumerate(sorted(verdicts, key=lambda verdict: verdict.rank))]  # fmt: skip
    return Audit((HostAudit("gpu1", RECORD, tuple(found)),), ("guide",), "2026-11-30T12:00:00Z", 1.25)


def with_silent_host(audit: Audit) -> Audit:
    return replace(audit, hosts=(*audit.hosts, HostAudit("gpu2", problem="no route to host", unreachable=True)))


def a_hostile_audit() -> Audit:
    """A host whose every text is an attempt."""
    record = replace(RECORD, system=replace(SYSTEM, os_name=HOSTILE), notes=(HOSTILE,),
                     torches=Reading((Torch("host", HOSTILE, HOSTILE),)))  # fmt: skip
    found = (finding(Verdict.FAIL, HOSTILE, HOSTILE, HOSTILE),)
    return Audit((HostAudit(HOSTILE, record, found),), ("guide",), "2026-11-30T12:00:00Z", 1.25)
