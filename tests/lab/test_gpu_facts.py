"""gpu_facts on real hosts: but for the driver all is real, the journal and Docker's layers too, and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gpu.place import placed, prepare
from tests.gpu.scenario import Scenario, torch_files
from tests.lab.docker.engine import clean, make_images
from tests.lab.module_case import ManagedHost, differences
from tests.lab.test_wire_cost import traffic
from wxops.audit.collect import record_of
from wxops.audit.record import HostRecord
from wxops.lab import Lab

BYTES_OF_THE_MODULE = 300_000  # with the agent and NVIDIA's binding
TORCH = {"path": "/opt/venv", "version": "2.13.0+cu130", "cuda": "13.0", "cudnn": "9.20.0.48"}
SCENARIO = Scenario(
    "two GPUs",
    driver="580.95.05",
    cuda="13.0",
    gpus=("h100", "h100"),
    torch=(TORCH,),
    nvml=("1 nvmlDeviceGetPowerUsage hang",),
    kernel_log=(
        "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        "usb 1-1: new high-speed USB device number 2",
    ),
)
IMAGE = """
set -e
mkdir -p /var/tmp/gpu-image && tar -C /var/tmp/gpu-image -xf -
cat >/var/tmp/gpu-image/Dockerfile <<'END'
FROM REGISTRY/web:1
COPY opt /opt
ENV NVIDIA_REQUIRE_CUDA="cuda>=13.0 driver>=535" CUDA_VERSION=13.0.1 NVIDIA_VISIBLE_DEVICES=all
END
docker build --quiet --tag serving:1 /var/tmp/gpu-image
docker run --detach --name ernie --env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True serving:1
"""


def read(managed: ManagedHost, **arguments: Any) -> HostRecord:
    played = managed.play([{"gpu_facts": {"deadline": 1, **arguments}}])
    assert played.exit_code == 0 and played.statuses == ["ok"], played.told()
    found = record_of(managed.host.name, played.results[0].result)
    assert isinstance(found, HostRecord), found
    return found


def test_a_host_s_driver_gpus_log_and_pytorch_are_read_and_nothing_is_changed(managed: ManagedHost) -> None:
    prepare(managed.host)
    with placed(SCENARIO, managed.host):
        before = managed.tree()
        found = read(managed)
        assert differences(before, managed.tree()) == []
    assert found.nvidia is not None and found.nvidia.library.endswith("/libnvidia-ml.so.580.95.05")
    assert found.nvidia_module is not None and found.nvidia_module.version == "580.95.05"
    first, second = found.gpus
    assert first.name.value == "NVIDIA H100 80GB HBM3" and first.power.known
    assert (second.power.state, second.power.detail) == ("unknown", "no answer in 1 s") and second.processes.known
    assert [device.address for device in found.pci] == [first.pci_address.value, second.pci_address.value]
    assert found.xids.value is not None
    assert [(xid.code, xid.pci_address, xid.count) for xid in found.xids.value] == [(79, "0000:17:00.0", 1)]
    assert found.torches.value is not None
    assert [(torch.path, torch.version, torch.cudnn) for torch in found.torches.value] == [
        ("/opt/venv", "2.13.0+cu130", "9.20.0.48")
    ]
    assert found.openssl.value is not None and found.openssl.value.version.startswith("OpenSSL 3.")


def test_a_host_without_gpus_says_so(managed: ManagedHost) -> None:
    found = read(managed)
    assert (found.nvidia, found.nvidia_module, found.pci, found.others) == (None, None, (), ())
    assert (found.xids.state, found.torches.value) == ("not_supported", ())


def test_deep_tells_of_a_pytorch_that_cannot_be_imported(managed: ManagedHost) -> None:
    prepare(managed.host)
    with placed(SCENARIO, managed.host):
        managed.host.ssh("ln -sf /usr/bin/python3 /opt/venv/bin/python || mkdir -p /opt/venv/bin && "
                         "ln -sf /usr/bin/python3 /opt/venv/bin/python")  # fmt: skip
        try:
            (torch,) = read(managed, deep=True).torches.value or ()
        finally:
            managed.host.ssh("rm -f /opt/venv/bin/python")
    assert torch.deep.value is not None
    (check,) = torch.deep.value
    assert check.device == "" and "AttributeError" in check.error


@pytest.fixture
def serving(lab: Lab, managed: ManagedHost) -> Any:
    """An image with a PyTorch that asks for a driver, and a container of it."""
    make_images(managed.host, lab.registry.address)
    clean(managed.host)
    files = torch_files(TORCH)
    packed = "".join(
        f"mkdir -p $(dirname .{path}) && cat >.{path} <<'END'\n{text}\nEND\n" for path, text in files.items()
    )
    managed.host.ssh(f"mkdir -p /var/tmp/gpu-files && cd /var/tmp/gpu-files && {packed}")
    managed.host.ssh(f"tar -C /var/tmp/gpu-files -c . | (\n{IMAGE.replace('REGISTRY', lab.registry.address)}\n)")
    yield managed
    clean(managed.host)
    managed.host.ssh("rm -rf /var/tmp/gpu-files /var/tmp/gpu-image")


def test_images_and_running_containers_are_looked_into(serving: ManagedHost) -> None:
    found = read(serving)
    runtime = found.runtime.value
    assert runtime is not None and runtime.docker.startswith("20.10.") and runtime.cgroup_driver
    images = {image.name: image for image in runtime.images.value or ()}
    assert images["serving:1"].require_cuda == "cuda>=13.0 driver>=535" and images["serving:1"].cuda_version == "13.0.1"
    assert [(each.name, each.image, each.gpu) for each in runtime.containers.value or ()] == [
        ("ernie", "serving:1", False)
    ]
    assert {(torch.place, torch.path, torch.version) for torch in found.torches.value or ()} == {
        ("container ernie", "/opt/venv", "2.13.0+cu130"),
        ("image serving:1", "/opt/venv", "2.13.0+cu130"),
    }
    assert ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", "container ernie") in {
        (setting.name, setting.value, setting.where) for setting in found.settings.value or ()
    }
    assert {torch.place for torch in read(serving, images=False).torches.value or ()} == {"container ernie"}


def test_a_docker_that_does_not_answer_costs_what_only_it_knows(serving: ManagedHost) -> None:
    serving.host.ssh("kill -STOP $(cat /var/run/docker.pid)")
    try:
        found = read(serving)
    finally:
        serving.host.ssh("kill -CONT $(cat /var/run/docker.pid)")
    assert found.runtime.value is not None and found.runtime.value.docker.startswith("20.10.")
    assert found.runtime.value.images.detail == "Docker was asked for /_ping: no answer in 1 s"
    (torch,) = found.torches.value or ()
    assert torch.place.startswith("container ") and torch.path == "/opt/venv"  # from its process, by its id


def test_the_module_and_the_binding_of_nvml_travel_once_for_all_its_tasks(managed: ManagedHost) -> None:
    one, two = traffic(managed, [{"gpu_facts": {}}]), traffic(managed, [{"gpu_facts": {}}, {"gpu_facts": {}}])
    assert one["sent"] < BYTES_OF_THE_MODULE
    assert two["sent"] - one["sent"] < 400
