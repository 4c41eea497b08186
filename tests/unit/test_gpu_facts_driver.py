"""What gpu_facts makes of a driver: one field that hangs, fails or is not there costs that field, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.library import build
from tests.gpu.scenario import Scenario
from wxops.agent.gpu.nvml import MOST_LOST, START_FACTOR, Nvml, unread
from wxops.agent.gpu.nvml_fields import FIELDS
from wxops.audit.collect import record_of
from wxops.audit.gpu import Gpu, NvidiaDriver
from wxops.audit.record import HostRecord

DEADLINE_S = 0.5
SYSTEM = dict.fromkeys(("hostname", "os_id", "os_version", "os_name", "kernel", "architecture"), "")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask a simulated driver; its answers as the typed record has them."""

    def ask(*lines: str, gpus: tuple[str, ...] = ("h100", "h100")) -> NvidiaDriver:
        scenario = Scenario("here", driver="580.95.05", cuda="13.0", gpus=gpus, nvml=lines)
        (tmp_path / "scenario").write_text(scenario.library_text())
        monkeypatch.setenv("WXOPS_NVML_SCENARIO", str(tmp_path / "scenario"))
        told = Nvml(str(build()), DEADLINE_S).record()
        found = record_of("gpu1", {"ansible_facts": {"gpu": {"system": SYSTEM, "nvidia": told}}})
        assert isinstance(found, HostRecord), found
        assert found.nvidia is not None
        return found.nvidia

    return ask


def gpus(found: NvidiaDriver) -> tuple[Gpu, ...]:
    assert found.gpus.value is not None, found
    return found.gpus.value


def states(gpu: Gpu) -> dict[str, str]:
    """The state of each field that was asked for."""
    return {name: getattr(gpu.pcie if "." in name else gpu, name.rpartition(".")[2]).state for name in FIELDS}


def test_a_healthy_gpu_is_read_whole(driver: Any) -> None:
    found = driver()
    assert (found.error, found.driver_version.value, found.cuda_version.value) == ("", "580.95.05", "13.0")
    assert found.branch.value == "r580_00" and found.library == str(build())
    first, second = gpus(found)
    assert (first.name.value, second.name.value) == ("NVIDIA H100 80GB HBM3",) * 2
    assert (first.pci_address.value, second.pci_address.value) == ("0000:17:00.0", "0000:18:00.0")
    assert (first.architecture.value, first.compute_capability.value) == ("Hopper", "9.0")
    assert (first.power.value, first.power_limit.value) == (79.73, 700.0)
    assert first.ecc.value is not None and first.ecc.value.current and first.ecc.value.pending
    assert first.remapped_rows.value is not None and not first.remapped_rows.value.pending
    assert first.recovery_action.value == "none" and first.clocks_event_reasons.value == ("gpu_idle",)
    assert (first.pcie.generation.value, first.pcie.width.value) == (5, 16)
    assert first.nvlinks.value is not None and len(first.nvlinks.value) == 18
    link = first.nvlinks.value[0]
    assert (link.active, link.version, link.remote, link.errors.value) == (True, 6, "switch", 0)
    assert first.fabric.value is not None and first.fabric.value.state == "completed"
    assert first.gsp_firmware.value == "580.95.05"
    assert first.inforom_valid.value is True and first.processes.value == ()
    assert "unknown" not in states(first).values()


def test_what_a_gpu_does_not_have_is_not_supported_and_costs_nothing_else(driver: Any) -> None:
    first, _ = gpus(driver("0 nvmlDeviceGetEccMode error 3"))
    assert (first.ecc.state, first.ecc.detail) == ("not_supported", "NVML_ERROR_NOT_SUPPORTED")
    assert first.name.known and first.processes.known


def test_an_error_is_told_by_its_name(driver: Any) -> None:
    first, _ = gpus(driver("0 nvmlDeviceGetSerial error 4", "0 nvmlDeviceGetTemperature error 4711"))
    assert (first.serial.state, first.serial.detail) == ("unknown", "NVML_ERROR_NO_PERMISSION")
    assert (first.temperature.state, first.temperature.detail) == ("unknown", "NVML_ERROR_4711")


def test_a_call_that_hangs_costs_its_own_field(driver: Any) -> None:
    started = time.monotonic()
    first, second = gpus(driver("0 nvmlDeviceGetPowerUsage hang"))
    assert time.monotonic() - started < 10 * DEADLINE_S + 5
    assert (first.power.state, first.power.detail) == ("unknown", f"no answer in {DEADLINE_S:g} s")
    assert [name for name, state in states(first).items() if state == "unknown"] == ["power"]
    assert "unknown" not in states(second).values()


def test_a_gpu_that_hangs_again_and_again_is_asked_no_more_and_the_next_one_is(driver: Any) -> None:
    hanging = ("nvmlDeviceGetName", "nvmlDeviceGetSerial", "nvmlDeviceGetVbiosVersion", "nvmlDeviceGetPowerUsage")
    first, second = gpus(driver(*(f"0 {call} hang" for call in hanging)))
    assert first.uuid.known and first.serial.detail == f"no answer in {DEADLINE_S:g} s"
    assert first.vbios.detail == "not asked: this GPU gave no answer 2 times"
    assert "unknown" not in states(second).values()


def test_a_driver_that_hangs_everywhere_is_left_alone_soon(driver: Any) -> None:
    found = gpus(driver(*(f"{index} nvmlDeviceGetName hang" for index in range(8)), gpus=("h100",) * 8))
    assert len(found) == 8
    assert sum(f"no answer in {DEADLINE_S:g} s" == each.name.detail for each in found) <= MOST_LOST
    assert found[7].name.detail == f"not asked: the driver gave no answer {MOST_LOST} times"


def test_a_gpu_that_does_not_wake_has_no_fields_and_the_next_one_has(driver: Any) -> None:
    first, second = gpus(driver("0 nvmlDeviceGetHandleByIndex hang"))
    assert set(states(first).values()) == {"unknown"}
    assert first.name.detail == f"no answer in {DEADLINE_S * START_FACTOR:g} s"
    assert "unknown" not in states(second).values()


def test_a_gpu_that_fell_off_is_lost_and_the_next_one_is_read(driver: Any) -> None:
    first, second = gpus(driver("0 nvmlDeviceGetHandleByIndex error 15"))
    assert first.lost and first.name.detail == "NVML_ERROR_GPU_IS_LOST"
    assert not second.lost and second.name.known


def test_a_gpu_that_falls_off_meanwhile_is_lost(driver: Any) -> None:
    first, second = gpus(driver("1 nvmlDeviceGetTemperature error 15"))
    assert (first.lost, second.lost) == (False, True)


@pytest.mark.parametrize(
    ("code", "name"),
    [(9, "NVML_ERROR_DRIVER_NOT_LOADED"), (18, "NVML_ERROR_LIB_RM_VERSION_MISMATCH"), (999, "NVML_ERROR_UNKNOWN")],
)
def test_a_driver_that_does_not_start_says_why(driver: Any, code: int, name: str) -> None:
    found = driver(f"* nvmlInit error {code}")
    assert (found.error, found.gpus.known) == (name, False)


def test_a_driver_that_hangs_at_its_start_is_not_waited_for(driver: Any) -> None:
    found = driver("* nvmlInit hang")
    assert found.error == f"init: no answer in {DEADLINE_S * START_FACTOR:g} s" and not found.gpus.known


def test_a_host_without_gpus_has_none(driver: Any) -> None:
    assert gpus(driver(gpus=())) == ()


def test_a_file_that_is_no_library_is_told(tmp_path: Path) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    library.write_text("not ELF")
    told = Nvml(str(library), DEADLINE_S).record()
    assert told["error"].startswith("NVML_ERROR_LIBRARY_NOT_FOUND: ") and "gpus" not in told
    assert unread("NVML_ERROR_LIBRARY_NOT_FOUND")["library"] == ""


def test_a_library_that_crashes_costs_the_call_that_it_crashed_in(driver: Any) -> None:
    first, second = gpus(driver("0 nvmlDeviceGetSerial crash"))
    assert (first.serial.state, first.serial.detail) == ("unknown", "the driver's library crashed")
    assert first.vbios.known and second.serial.known


def test_the_version_is_that_of_the_file_that_was_loaded(tmp_path: Path) -> None:
    real = tmp_path / "libnvidia-ml.so.580.95.05"
    real.write_bytes(build().read_bytes())
    (tmp_path / "libnvidia-ml.so.1").symlink_to(real.name)
    told = Nvml(str(tmp_path / "libnvidia-ml.so.1"), DEADLINE_S).record()
    assert (told["library"], told["library_version"]) == (str(real), "580.95.05")


def test_children_that_were_left_behind_are_gone(driver: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    driver("0 nvmlDeviceGetPowerUsage hang")
    assert len(os.listdir("/proc/self/fd")) == before
