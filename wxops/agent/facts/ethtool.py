"""Offload features and time stamping of an interface: the answers of `ethtool -k` and `ethtool -T`, by its ioctl."""

from __future__ import annotations

import fcntl
import socket
import struct
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List

# linux/sockios.h and linux/ethtool.h
SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSSET_INFO, ETHTOOL_GFEATURES, ETHTOOL_GET_TS_INFO = 0x1B, 0x37, 0x3A, 0x41
ETH_SS_FEATURES = 4
NAME_SIZE = 32

OLD_NAMES = {  # from before the kernel had names of its own; plays know them
    "rx-checksum": "rx-checksumming", "tx-generic-segmentation": "generic-segmentation-offload",
    "rx-gro": "generic-receive-offload", "rx-lro": "large-receive-offload", "rx-vlan-hw-parse": "rx-vlan-offload",
    "tx-vlan-hw-insert": "tx-vlan-offload", "rx-ntuple-filter": "ntuple-filters", "rx-hashing": "receive-hashing",
}  # fmt: skip
GROUPS = (  # on when any feature of this beginning and end is
    ("tx-checksumming", "tx-checksum-", ""),
    ("scatter-gather", "tx-scatter-gather", ""),
    ("tcp-segmentation-offload", "tx-tcp", "-segmentation"),
)
# linux/net_tstamp.h, by bit
TIME_STAMPS = ("tx_hardware", "tx_software", "rx_hardware", "rx_software", "software", "sys_hardware", "raw_hardware")
FILTERS = ("none", "all", "some", "ptp_v1_l4_event", "ptp_v1_l4_sync", "ptp_v1_l4_delay_req", "ptp_v2_l4_event",
           "ptp_v2_l4_sync", "ptp_v2_l4_delay_req", "ptp_v2_l2_event", "ptp_v2_l2_sync", "ptp_v2_l2_delay_req",
           "ptp_v2_event", "ptp_v2_sync", "ptp_v2_delay_req", "ntp_all")  # fmt: skip


def ethtool(name: str) -> Dict[str, Any]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return dict(_features(control, name), **_time_stamping(control, name))


def _ask(control: socket.socket, name: str, question: bytes) -> bytes:
    """The kernel writes its answer over the question. Raises OSError when the driver does not know the question."""
    buffer = array("B", question)
    fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), buffer.buffer_info()[0]))
    return buffer.tobytes()


def _features(control: socket.socket, name: str) -> Dict[str, Any]:
    try:
        names = _feature_names(control, name)
        blocks = (len(names) + 31) // 32
        answer = _ask(control, name, struct.pack("=II", ETHTOOL_GFEATURES, blocks) + bytes(16 * blocks))
    except OSError:
        return {}
    known = {}
    for number, feature in enumerate(names):
        changeable, requested, active, never = (
            word >> number % 32 & 1 for word in struct.unpack_from("=IIII", answer, 8 + 16 * (number // 32))
        )
        known[feature] = _state(bool(active), bool(requested), bool(changeable) and not never)
    states = {OLD_NAMES.get(feature, feature): state for feature, state in known.items() if feature}
    for group, start, end in GROUPS:
        members = [state for feature, state in known.items() if feature.startswith(start) and feature.endswith(end)]
        states[group] = "on" if any(state.startswith("on") for state in members) else "off"
    return {"features": {feature.replace("-", "_"): state for feature, state in states.items()}}


def _feature_names(control: socket.socket, name: str) -> List[str]:
    counted = _ask(control, name, struct.pack("=IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0))
    count = struct.unpack_from("=I", counted, 16)[0]
    question = struct.pack("=III", ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count) + bytes(NAME_SIZE * count)
    text = _ask(control, name, question)[12:]
    return [text[at : at + NAME_SIZE].rstrip(b"\0").decode() for at in range(0, NAME_SIZE * count, NAME_SIZE)]


def _state(active: bool, requested: bool, changeable: bool) -> str:
    words = {True: "on", False: "off"}
    if not changeable:
        return words[active] + " [fixed]"
    return words[active] + ("" if requested == active else " [requested %s]" % words[requested])


def _time_stamping(control: socket.socket, name: str) -> Dict[str, Any]:
    try:
        answer = _ask(control, name, struct.pack("=I", ETHTOOL_GET_TS_INFO) + bytes(40))
    except OSError:
        return {}
    stamps, clock, filters = struct.unpack_from("=Ii16xI", answer, 4)
    facts: Dict[str, Any] = {
        "timestamping": [word for bit, word in enumerate(TIME_STAMPS) if stamps >> bit & 1],
        "hw_timestamp_filters": [word for bit, word in enumerate(FILTERS) if filters >> bit & 1],
    }
    return dict(facts, phc_index=clock) if clock >= 0 else facts
