"""Starts one host's part of an engine over several hosts when all are there, and ends it when another's is gone.

An engine's parts do not see to that themselves: vLLM 0.32.0's first host still calls itself healthy minutes after a
worker's host died, and workers outlive
the first host without ever joining its next start (docs/evidence/vllm-multinode.md).
All or none is what Kubernetes' LeaderWorkerSet does, too. It runs in the engine's image as `python3 -c`, so with
nothing but the standard library and the psutil that vLLM brings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import ipaddress
import json
import os
import signal
import sys
from pathlib import Path

BEAT_S = 5.0  # every host says that it is there this often
SILENT_S = 20.0  # a host that says nothing for this long is gone: its power, its network, or a cut between the two
GRACE_S = 10.0  # for an engine that is to end because another's part is gone: there is nothing left to drain
RETRY_S = 1.0


class Refused(Exception):
    """Why this host cannot be part of it, for its log."""


class Peer:
    """A connection to another host, over which nothing goes but beats."""

    def __init__(self, rank: int, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.rank, self.address = rank, address
        self.reader, self.writer = reader, writer
        self.beats: asyncio.Task[None] | None = None

    async def say(self, **fields: object) -> None:
        self.writer.write(json.dumps(fields).encode() + b"\n")
        await self.writer.drain()

    async def hear(self) -> dict[str, object]:
        """The next line; an empty one when the host is gone."""
        try:
            line = await asyncio.wait_for(self.reader.readline(), SILENT_S)
            told = json.loads(line) if line.strip() else {}
        except (OSError, ValueError, TimeoutError):
            return {}
        return told if isinstance(told, dict) else {}

    async def gone(self) -> str:
        """Returns when the host is gone, with the words for it."""
        while await self.hear():
            pass
        return f"host {self.rank} ({self.address}) is gone"

    def beat(self) -> None:
        """From now on, until the connection breaks."""
        self.beats = asyncio.ensure_future(self._beat())

    async def _beat(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self.say(beat=True)
                await asyncio.sleep(BEAT_S)


def interface(address: str) -> str:
    """The network interface that has an address. Raises Refused where none has."""
    if ipaddress.ip_address(address).is_loopback:
        return "lo"  # all of 127.0.0.0/8 is there, and listed is the first only
    import psutil

    for name, held in psutil.net_if_addrs().items():
        if any(each.address.partition("%")[0] == address for each in held):
            return str(name)
    raise Refused(f"no interface of this host has the address {address}: is it another host of the profile's list?")


def listed(model: Path) -> str:
    """A digest of the files that a model's manifest lists; "" without a manifest."""
    try:
        files = json.loads((model / "wxops-manifest.json").read_bytes())["files"]
    except FileNotFoundError:
        return ""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


async def gather(addresses: list[str], port: int, digest: str) -> list[Peer]:
    """The first host waits until all others are there, and starts them."""
    there: dict[int, Peer] = {}
    changed = asyncio.Event()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        rank = addresses.index(address) if address in addresses else 0
        peer = Peer(rank, address, reader, writer)
        hello = await peer.hear()
        if wrong := _wrong(rank, hello, digest):
            tell(f"{address} is refused: {wrong}")
            with contextlib.suppress(OSError):
                await peer.say(refused=wrong)
            writer.close()
            return
        if earlier := there.pop(rank, None):
            earlier.writer.close()
        peer.beat()
        there[rank] = peer
        changed.set()

    server = await asyncio.start_server(met, addresses[0], port)
    while len(there) < len(addresses) - 1:
        missing = [each for rank, each in enumerate(addresses) if rank and rank not in there]
        tell(f"waiting for {', '.join(missing)}")
        changed.clear()
        await changed.wait()
    server.close()
    peers = list(there.values())
    for peer in peers:
        await peer.say(start=True)
    return peers


def _wrong(rank: int, hello: dict[str, object], digest: str) -> str:
    if not rank:
        return "its address is not in the profile's list"
    if hello.get("rank") != rank:
        return f"it says it is host {hello.get('rank')}, its address is that of host {rank}"
    if hello.get("model") != digest:
        theirs, ours = (str(each or "none")[:12] for each in (hello.get("model"), digest))
        return f"it has another model: the files in its manifest ({theirs}) are not those of host 0 ({ours})"
    return ""


async def join(addresses: list[str], rank: int, port: int, digest: str) -> list[Peer]:
    """The others wait for the first host, for as long as it takes. Raises Refused when it does not want them."""
    tell(f"waiting for {addresses[0]}:{port}")
    while True:
        try:
            reader, writer = await asyncio.open_connection(addresses[0], port, local_addr=(addresses[rank], 0))
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        peer = Peer(0, addresses[0], reader, writer)
        with contextlib.suppress(OSError):
            await peer.say(rank=rank, model=digest)
            while told := await peer.hear():
                if "refused" in told:
                    raise Refused(f"{addresses[0]} does not want this host: {told['refused']}")
                if "start" in told:
                    peer.beat()
                    return [peer]
        writer.close()
        await asyncio.sleep(RETRY_S)


async def run(options: argparse.Namespace) -> int:
    """Starts the engine with the others, and returns its exit code, or 1 when another host is gone."""
    addresses, rank = options.addresses.split(","), options.rank
    name, digest = interface(addresses[rank]), listed(options.model)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stop = asyncio.ensure_future(stopped.wait())
    meeting = asyncio.ensure_future(
        join(addresses, rank, options.port, digest) if rank else gather(addresses, options.port, digest)
    )
    await asyncio.wait([stop, meeting], return_when=asyncio.FIRST_COMPLETED)
    if not meeting.done():
        return 0
    peers = meeting.result()
    tell(f"all {len(addresses)} hosts are there, over {name}: {options.command[0]} starts")
    # Gloo goes by the hostname, which is often 127.0.1.1; NCCL by what looks right first ("=": this one).
    environment = {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": f"={name}", **os.environ}
    child = await asyncio.create_subprocess_exec(*options.command, env=environment, start_new_session=True)
    ended = asyncio.ensure_future(child.wait())
    lost = [asyncio.ensure_future(peer.gone()) for peer in peers]
    await asyncio.wait([stop, ended, *lost], return_when=asyncio.FIRST_COMPLETED)
    if stopped.is_set():
        await end(child, None)
        return 0
    if not ended.done():
        told = [each.result() for each in lost if each.done()]
        tell(f"{', '.join(told)}: {options.command[0]} ends, all hosts start again together")
        await end(child, GRACE_S)
        return 1
    await end(child, GRACE_S)
    return ended.result() if ended.result() >= 0 else 128 - ended.result()


async def end(child: asyncio.subprocess.Process, grace: float | None) -> None:
    """SIGTERM, and after the grace period SIGKILL, for whatever it has started as well."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


def tell(text: str) -> None:
    print(f"gang: {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="gang", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rank", type=int, required=True, help="this host's place in the list")
    parser.add_argument("--addresses", required=True, help="of all hosts, the first one first, with commas between")
    parser.add_argument("--port", type=int, required=True, help="on which the first one waits for the others")
    parser.add_argument("--model", type=Path, required=True, help="whose manifest must be the same everywhere")
    parser.add_argument("command", nargs="+", help="after --: what to start")
    try:
        code = asyncio.run(run(parser.parse_args()))
    except Refused as refusal:
        tell(str(refusal))
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
