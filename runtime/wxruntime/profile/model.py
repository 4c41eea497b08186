"""What a profile says. The files in profiles/ beside this one explain every key to those who write one."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wxruntime.document import Document

EngineName = Literal["vllm", "fastdeploy", "transformers", "paged", "onnx"]
Precision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4"]
Argument = bool | int | float | str | dict[str, str | int | float | bool]

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]


def _digest(text: str) -> str:
    if text.endswith("@sha256:" + "0" * 64):
        raise ValueError("is an example's: put the digest of your image there")
    if re.fullmatch(r"[\w.:/-]+@sha256:[0-9a-f]{64}", text):
        return text
    if "@" not in text:
        raise ValueError("should be named by its digest (NAME@sha256:...): a tag may be another image tomorrow")
    raise ValueError("should end in @sha256: and 64 hexadecimal digits")


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+){1,3}", text):
        raise ValueError('should be a version in quotes, like "0.32.0"')
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("should be an IP address, which the engine binds to") from None


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("should be an absolute path, as the engine sees it in its container")
    return text


def _argument_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text):
        raise ValueError("should be the flag's name without dashes in front, like max-logprobs")
    return text


def _variable_name(text: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", text):
        raise ValueError("should be a variable's name in capitals, like NCCL_SOCKET_IFNAME")
    return text


def _several(value: object) -> object:
    """One is a list of one."""
    return [value] if isinstance(value, str) else value


Path_ = Annotated[str, AfterValidator(_absolute)]


class Section(BaseModel):
    """A mapping of exactly these keys; "1" is not 1."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Load(Section):
    """What is to fit into the KV cache at once; by it a precision is chosen from several."""

    sequences: Count
    tokens: Count


class Queue(Section):
    """How many requests, or tokens of prompts, may wait before new ones are refused."""

    requests: Annotated[int, Field(ge=0)] | None = None
    tokens: Count | None = None


class Speculative(Section):
    """Multi-token prediction with the layer that the checkpoint brings for it."""

    method: Literal["ernie_mtp"]
    tokens: Count = 1
    model: Path_ | None = None


class MultiNode(Section):
    """The hosts of one replica, the first of which answers clients; a host's rank is its place in the list."""

    backend: Literal["mp", "ray"] = "mp"
    addresses: Annotated[list[Annotated[str, AfterValidator(_address)]], Field(min_length=2)]
    port: Annotated[int, Field(ge=1, le=65534)] = 29501

    @property
    def gang_port(self) -> int:
        """On which the first host waits until all others are there (gang.py); on `port` the engine itself meets."""
        return self.port + 1


class Profile(Section):
    """One engine serving one model."""

    engine: EngineName
    version: Annotated[str, AfterValidator(_version)] | None = None
    cuda: Annotated[str, AfterValidator(_version)] | None = None
    image: Annotated[str, AfterValidator(_digest)] | None = None
    model: Path_ = "/models"
    precision: Annotated[list[Precision], BeforeValidator(_several), Field(min_length=1)]
    checkpoints: dict[Precision, Path_] = {}
    load: Load | None = None
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    multi_node: MultiNode | None = None
    max_model_len: Count | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Count | None = None
    prefix_caching: bool = True
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = 0.9
    speculative: Speculative | None = None
    queue: Queue = Queue()
    reasoning_parser: Literal["ernie45"] | None = None
    tool_parser: Literal["ernie45"] | None = None
    served_names: Annotated[list[Annotated[str, Field(pattern=r"^\S+$")]], Field(min_length=1)]
    host: Annotated[str, AfterValidator(_address)] = "0.0.0.0"
    port: Port = 8000
    api_key_file: Path_ | None = None
    drain_seconds: Annotated[int, Field(ge=0)] = 30
    environment: dict[Annotated[str, AfterValidator(_variable_name)], str] = {}
    arguments: dict[Annotated[str, AfterValidator(_argument_name)], Argument] = {}

    @property
    def gpus(self) -> int:
        """Of one replica, over all its hosts."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def nodes(self) -> int:
        return len(self.multi_node.addresses) if self.multi_node else 1

    def checkpoint(self, precision: Precision) -> str:
        """The directory, as the engine sees it, that is served in a precision."""
        return self.checkpoints.get(precision, self.model)


def read(path: Path) -> tuple[Profile, Document]:
    """A profile, and where its values stand. Raises DocumentError with everything that is wrong with its types."""
    document = Document(path)
    return document.into(Profile), document
