"""What an error of NVML says of a value: that there is no such value here, or that it could not be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.gpu.reading import not_supported, read, unknown

if TYPE_CHECKING:
    from typing import Any, Callable

    from wxops.agent.gpu.reading import Reading

PREFIX = "NVML_ERROR_"
LOST = "NVML_ERROR_GPU_IS_LOST"
LACKS = ("NOT_SUPPORTED", "FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH", "DEPRECATED", "VGPU_ECC_NOT_SUPPORTED")
"""The device, or a driver older or newer than the call, does not have it."""


def error_name(nvml: Any, code: int) -> str:
    """NVML_SUCCESS, NVML_ERROR_...: as nvml.h has it; a code that the binding does not know keeps its number."""
    if code == 0:
        return "NVML_SUCCESS"
    names = (name for name, value in vars(nvml).items() if name.startswith(PREFIX) and value == code)
    return next(names, "%s%d" % (PREFIX, code))


def reading_of(nvml: Any, call: Callable[[], Any]) -> Reading:
    """The call's value, or why there is none. An answer that nobody expected is no reason to end."""
    try:
        found = call()
        return read(found.decode("utf-8", "replace") if isinstance(found, bytes) else found)
    except nvml.NVMLError as error:
        name = error_name(nvml, error.value)
        return not_supported(name) if name[len(PREFIX) :] in LACKS else unknown(name)
    except Exception as error:
        return unknown("%s: %s" % (type(error).__name__, error))
