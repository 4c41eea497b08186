"""How rules speak of what they judge: GPUs that are alike in one line, and readings that could not be had said so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from wxops.audit.finding import Judgement, skipped, undetermined, unsupported
from wxops.audit.gpu import Gpu
from wxops.audit.reading import Reading
from wxops.audit.record import HostRecord

T = TypeVar("T")
NVIDIA = "10de"
NO_GPU = "this host has no NVIDIA GPU"
NO_ANSWER = "the driver does not answer, see driver.answers"


def gib(size: float) -> str:
    """Bytes as operators say them."""
    return f"{size / 2**30:.1f} GiB"


def missing(subject: str, reading: Reading[Any], what: str) -> Judgement:
    """What is said of a reading without a value: it is not supported, or it could not be had, never that it is fine."""
    why = f": {reading.detail}" if reading.detail else ""
    if reading.state == "not_supported":
        return unsupported(subject, f"{what} is not supported here{why}")
    return undetermined(subject, f"{what} could not be read{why}")


def nvidia_cards(host: HostRecord) -> int:
    """NVIDIA GPUs on the PCI bus that are not handed through to a virtual machine."""
    return sum(device.driver != "vfio-pci" for device in host.pci_of(NVIDIA))


def without_gpus(host: HostRecord) -> Judgement | None:
    """Why nothing can be said of the GPUs of this host; None when there are some to speak of."""
    if host.gpus:
        return None
    if not nvidia_cards(host) and not (host.nvidia and host.nvidia.gpus.state == "unknown" and not host.nvidia.error):
        return skipped("GPUs", NO_GPU)
    if host.nvidia is None or host.nvidia.error:
        return skipped("GPUs", NO_ANSWER)
    return (
        missing("GPUs", host.nvidia.gpus, "the list of GPUs") if not host.nvidia.gpus.known else skipped("GPUs", NO_GPU)
    )


def each_gpu(
    host: HostRecord, field: Callable[[Gpu], Reading[T]], what: str, judge: Callable[[str, Gpu, T], Judgement]
) -> Iterator[Judgement]:
    """Judge a field of every GPU; GPUs of which the same is to be said share one line.

    what: the field in words, for GPUs that do not have it. judge: gets the subject, the GPU and the value.
    """
    if why := without_gpus(host):
        yield why
        return

    def judged() -> Iterator[tuple[int, Judgement]]:
        for gpu in host.gpus:
            subject, reading = f"GPU {gpu.index}", field(gpu)
            if gpu.lost:
                yield gpu.index, skipped(subject, "the driver has lost it, see health.gpu-lost")
            elif not reading.known or reading.value is None:
                yield gpu.index, missing(subject, reading, what)
            else:
                yield gpu.index, judge(subject, gpu, reading.value)

    yield from alike(judged())


def alike(judged: Iterable[tuple[int, Judgement]]) -> Iterator[Judgement]:
    """GPUs of which the same is said are one subject: "GPUs 0-3, 7"."""
    groups: dict[Judgement, list[int]] = {}
    for index, judgement in judged:
        groups.setdefault(replace(judgement, subject=""), []).append(index)
    for judgement, indices in groups.items():
        yield replace(judgement, subject=f"GPU{'s' if len(indices) > 1 else ''} {ranges(indices)}")


def ranges(numbers: Iterable[int]) -> str:
    """0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
