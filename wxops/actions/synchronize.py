"""Trees brought to a host, or from it, by rsync; what changes on the host is journaled like any other change."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any, Literal

from wxops.actions import Call, Reach, Result
from wxops.errors import InputError, TaskFailed
from wxops.transport.ssh_command import ssh_command

if TYPE_CHECKING:
    from wxops.agent.arguments import Path

MARK = "<<CHANGED>>"
FLAGS = ("recursive", "links", "perms", "times", "owner", "group")
OCTAL = re.compile(r"\\#(\d{3})")
ITEM = re.compile(rf"^{MARK}(\*deleting|\S{{11}}) +(.*)$")


def synchronize(
    call: Call,
    src: str,
    dest: Path,
    mode: Literal["push", "pull"] = "push",
    archive: bool = True,
    checksum: bool = False,
    compress: bool = True,
    delete: bool = False,
    dirs: bool = False,
    existing_only: bool = False,
    recursive: bool | None = None,
    links: bool | None = None,
    copy_links: bool = False,
    perms: bool | None = None,
    times: bool | None = None,
    owner: bool | None = None,
    group: bool | None = None,
    partial: bool = False,
    delay_updates: bool = True,
    rsync_opts: list[str] | None = None,
    rsync_path: str | None = None,
    rsync_timeout: int = 0,
    dest_port: int | None = None,
    private_key: str | None = None,
    set_remote_user: bool = True,
    use_ssh_args: bool = True,
    ssh_connection_multiplexing: bool = False,
    verify_host: bool = True,
) -> Result:
    """Bring a tree into the state of another one with rsync, which both sides need.

    A push goes into a directory of its own on the host, from which it is put in place through the journal: a rollback
    restores the destination. A pull changes files of the controller, which no rollback takes back.

    src: what is brought; of a directory that ends with / only what is in it. On the controller, looked for in files/
        when it is relative; with pull on the host.
    dest: where to.
    mode: push to the host, or pull from it.
    archive: recursive, with links, modes, times, owner, group and devices.
    checksum: compare contents instead of sizes and times.
    compress: on the way.
    delete: remove what the source does not have.
    dirs: directories without what is in them.
    existing_only: make nothing new.
    recursive: the default is archive's; so with links, perms, times, owner and group.
    links: copy links as links.
    copy_links: copy what links point to.
    perms: keep modes.
    times: keep times.
    owner: keep owners.
    group: keep groups.
    partial: taken for Ansible's sake: nothing half comes into its place.
    delay_updates: taken for Ansible's sake: nothing changes in its place before all of it has arrived.
    rsync_opts: more options of rsync, as --exclude=.git.
    rsync_path: rsync on the host; with become it runs under sudo, which must ask for no password.
    rsync_timeout: seconds without a byte after which rsync gives up.
    dest_port: the port of the host's sshd, instead of the connection's.
    private_key: the key for the login, instead of the connection's.
    set_remote_user: log in as the connection does; without it as ~/.ssh/config says.
    use_ssh_args: the connection's arguments of ssh (jump hosts too) always hold.
    ssh_connection_multiplexing: taken for Ansible's sake: each connection is its own.
    verify_host: the host's key is always checked, as in every other task.
    """
    given = dict(locals())
    reach = call.reach()
    if reach.delegated:
        raise TaskFailed("synchronize between two hosts (delegate_to) is not done here: fetch, then push", {})
    remote = Remote(reach, given)
    options = [*_options(given), *(rsync_opts or [])]
    if mode == "pull":
        return _pull(call, remote, options, src, dest)
    source = _source(call, src)
    if not os.path.isdir(source) and source.endswith("/"):
        raise InputError(f"src {src} is no directory")
    return Push(call, remote, options, source, dest).run()


class Remote:
    """How rsync reaches the host: over ssh with the connection's settings, or not at all when it is this machine."""

    def __init__(self, reach: Reach, given: dict[str, Any]) -> None:
        """Raises TaskFailed for what ssh or sudo would have to ask for: rsync has nobody to answer."""
        self._reach, self._given = reach, given
        self.local = reach.options.connection == "local"
        become = reach.become
        if reach.options.password and not self.local:
            raise TaskFailed("rsync logs in by a key; the login of this host is by password", {})
        if become is not None and self.local:
            raise TaskFailed("on this machine rsync does not become another user: copy with remote_src does", {})
        if become is not None and (become.method != "sudo" or become.password is not None):
            raise TaskFailed(f"rsync under {become.method} with a password is not possible: let sudo ask for none "
                             "(NOPASSWD), or log in as the user that it is for", {})  # fmt: skip

    def options(self) -> list[str]:
        rsync = self._given["rsync_path"] or "rsync"
        become = self._reach.become
        if become is not None:
            flags = shlex.split(become.flags) if become.flags is not None else ["-H"]
            rsync = shlex.join(["sudo", *flags, "-n", "-u", become.user, "--"]) + " " + rsync
        if self.local:
            return []
        ssh = ssh_command(self._reach.options, self._given["dest_port"], self._given["private_key"])
        return ["--protect-args", "--rsync-path=" + rsync, "--rsh=" + shlex.join(ssh)]

    def address(self, path: str) -> str:
        if self.local:
            return path
        options = self._reach.options
        host = f"[{options.host}]" if ":" in options.host else options.host
        user = f"{options.user}@" if options.user and self._given["set_remote_user"] else ""
        return f"{user}{host}:{path}"


class Push:
    """A tree of the controller's on its way to the host: asked what differs, sent, put in place."""

    def __init__(self, call: Call, remote: Remote, options: list[str], source: str, dest: str) -> None:
        self._call, self._remote, self._options, self._source, self._dest = call, remote, options, source, dest

    def run(self) -> Result:
        place = self._call.run("synchronize", {"step": "look", "dest": self._dest})
        dest, single = place["dest"], self._is_single(place)
        listed = rsync([*self._options, "--dry-run", *self._remote.options()], self._source, self._remote.address(dest))
        items = items_of(listed["out"])
        if not items:
            return _result(listed, False)
        about = {"dest": dest, "items": items, "single": single}
        if self._call.check:
            told = self._call.run("synchronize", {"step": "predict", **about})
            return {**_result(listed, True), "diff": told.get("diff", [])}
        staging = self._call.run("synchronize", {"step": "stage", "dest": dest})["staging"]
        try:
            base = os.path.dirname(dest) if single else dest
            target = os.path.join(staging, os.path.basename(dest)) if single else staging + "/"
            words = [*(word for word in self._options if not word.startswith("--delete")), "--compare-dest=" + base]
            rsync([*words, *self._remote.options()], self._source, self._remote.address(target))
            done = self._call.run("synchronize", {"step": "apply", "staging": staging, **about})
        finally:
            self._call.run("synchronize", {"step": "drop", "dest": dest, "staging": staging})
        return {**_result(listed, bool(done["changed"])), **{k: done[k] for k in ("diff", "steps") if k in done}}

    def _is_single(self, place: dict[str, Any]) -> bool:
        """One file that takes the very name of dest, as with cp."""
        is_file = os.path.isfile(self._source) and not self._source.endswith("/")
        return is_file and not self._dest.endswith("/") and place["type"] != "directory"


def _source(call: Call, src: str) -> str:
    path = os.path.expanduser(src)
    found = path if os.path.isabs(path) else str(call.find(path.rstrip("/"), "files"))
    if not os.path.lexists(found):
        raise InputError(f"there is no {src} on the controller")
    return found.rstrip("/") + "/" if src.endswith("/") else found


def _pull(call: Call, remote: Remote, options: list[str], src: str, dest: str) -> Result:
    words = [*options, *(["--dry-run"] if call.check else []), *remote.options()]
    done = rsync(words, remote.address(src), os.path.expanduser(dest))
    return _result(done, MARK in done["out"])


def _options(given: dict[str, Any]) -> list[str]:
    words = ["--archive"] if given["archive"] else []
    for flag in FLAGS:
        if given[flag] is not None and given[flag] != given["archive"]:
            words.append(f"--{flag}" if given[flag] else f"--no-{flag}")
    chosen = {"checksum": "--checksum", "compress": "--compress", "delete": "--delete-after", "dirs": "--dirs",
              "existing_only": "--existing", "copy_links": "--copy-links", "delay_updates": "-F"}  # fmt: skip
    words += [option for name, option in chosen.items() if given[name]]
    return words + ([f"--timeout={given['rsync_timeout']}"] if given["rsync_timeout"] else [])


def rsync(options: list[str], source: str, dest: str) -> dict[str, Any]:
    """Run it here. Raises TaskFailed with what it says."""
    argv = ["rsync", *options, f"--out-format={MARK}%i %n%L", "--", source, dest]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise TaskFailed("there is no rsync on the controller: install it", {"rc": 127}) from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise TaskFailed(
            said or f"rsync ended with {done.returncode}", {"rc": done.returncode, "cmd": shlex.join(argv)}
        )
    return {"cmd": shlex.join(argv), "out": done.stdout.decode("utf-8", "surrogateescape")}


def items_of(text: str) -> list[list[str]]:
    """What rsync says that it changes: [flags, path], a link without its target; see rsync(1), --itemize-changes."""
    items = []
    for line in text.splitlines():
        match = ITEM.match(line)
        if match is not None:
            flags, name = match.groups()
            name = name.split(" -> ")[0] if "L" in flags[:2] else name.split(" => ")[0]
            raw = (
                OCTAL.sub(lambda found: chr(int(found[1], 8)), name).encode("latin-1", "ignore")
                if "\\#" in name
                else b""
            )
            items.append([flags, raw.decode("utf-8", "surrogateescape") if raw else name])
    return items


def _result(done: dict[str, Any], changed: bool) -> Result:
    clean = done["out"].replace(MARK, "")
    lines = [line for line in clean.split("\n") if line]
    return {"changed": changed, "cmd": done["cmd"], "rc": 0, "msg": clean, "stdout_lines": lines}
