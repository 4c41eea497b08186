from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ask(_message.Message):
    __slots__ = ("path", "body", "id", "traceparent", "tracestate", "cache_control")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TRACESTATE_FIELD_NUMBER: _ClassVar[int]
    CACHE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    path: str
    body: bytes
    id: str
    traceparent: str
    tracestate: str
    cache_control: str
    def __init__(self, path: _Optional[str] = ..., body: _Optional[bytes] = ..., id: _Optional[str] = ..., traceparent: _Optional[str] = ..., tracestate: _Optional[str] = ..., cache_control: _Optional[str] = ...) -> None: ...

class Head(_message.Message):
    __slots__ = ("status", "content_type", "retry_after", "cache", "engine")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    status: int
    content_type: str
    retry_after: str
    cache: str
    engine: str
    def __init__(self, status: _Optional[int] = ..., content_type: _Optional[str] = ..., retry_after: _Optional[str] = ..., cache: _Optional[str] = ..., engine: _Optional[str] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("head", "data")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    head: Head
    data: bytes
    def __init__(self, head: _Optional[_Union[Head, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...
