"""File systems, in fstab for the next boot and mounted now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wxops.agent.backup import back_up
from wxops.agent.failure import ModuleFailure
from wxops.agent.fstab import with_entry, without_entry
from wxops.agent.resources.mount import REMOUNT
from wxops.agent.text_file import make_directories

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.resources import State

ALIASES = {"name": "path"}
FSTAB = "/etc/fstab"


def mount(
    change: Change,
    path: Path,
    state: Literal["absent", "absent_from_fstab", "mounted", "present", "unmounted", "remounted", "ephemeral"],
    src: Optional[Path] = None,
    fstype: Optional[str] = None,
    opts: Optional[str] = None,
    opts_no_log: bool = False,
    dump: str = "0",
    passno: str = "0",
    boot: bool = True,
    fstab: Optional[str] = None,
    backup: bool = False,
) -> Dict[str, Any]:
    """Mount a file system, or name it in fstab. Both are taken back by a rollback.

    path: the mount point; for swap `none`.
    state: mounted (in fstab and mounted, remounted when its entry changes), present (in fstab only), ephemeral
        (mounted, remounted if it is already; fstab is not looked at), unmounted (fstab stays), remounted (with `opts`),
        absent (in fstab no more, unmounted, the directory removed) or absent_from_fstab.
    src: the device, LABEL=..., UUID=..., directory (with opts: bind) or server's export.
    fstype: the file system's type; none for a bind mount.
    opts: mount options, with commas; default `defaults`.
    opts_no_log: show the options nowhere.
    dump: fstab's fifth field.
    passno: fstab's sixth field.
    boot: false adds `noauto`.
    fstab: another file than /etc/fstab.
    backup: keep a copy of fstab as it was, beside it.
    """
    if state in ("mounted", "present", "ephemeral") and (src is None or fstype is None):
        missing = " and ".join(name for name, value in (("src", src), ("fstype", fstype)) if value is None)
        raise ModuleFailure("state is %s but all of the following are missing: %s" % (state, missing))
    task = Task(change, path, src, fstype, opts or "defaults", dump, passno, fstab or FSTAB, backup)
    if not boot:
        task.entry["opts"] += ",noauto"
    elif "noauto" in task.entry["opts"].split(","):
        change.warnings.append("Ignore the 'boot' due to 'opts' contains 'noauto'.")
    begun = len(change.diffs)
    change.hidden = change.hidden or opts_no_log  # nor is a rollback to show them
    getattr(task, state)()
    result = {"name": path, "opts": task.entry["opts"], "dump": dump, "passno": passno, "fstab": fstab or FSTAB,
              "boot": "yes" if boot else "no", "backup_file": task.backup_file,
              **{key: value for key, value in (("src", src), ("fstype", fstype)) if value is not None}}  # fmt: skip
    return _hidden(change, begun, result) if opts_no_log else result


def _hidden(change: Change, begun: int, result: Dict[str, Any]) -> Dict[str, Any]:
    """The options may hold a password."""
    change.diffs[begun:] = [
        {"prepared": "%s: not shown (opts_no_log)\n" % result["name"]} for _ in change.diffs[begun:]
    ]
    return dict(result, opts="VALUE_SPECIFIED_IN_NO_LOG_PARAMETER")


class Task:
    """One mount point; a method for each state."""

    def __init__(
        self, change: Change, path: str, src: Optional[str], fstype: Optional[str], opts: str, dump: str,
        passno: str, fstab: str, backup: bool,
    ) -> None:  # fmt: skip
        self.change, self.path, self.src, self.fstab, self.backup = change, path, src, fstab, backup
        self.point = path if path == "none" else change.real(path)
        self.entry = {"src": src or "", "name": path, "fstype": fstype or "", "opts": opts, "dump": dump,
                      "passno": passno}  # fmt: skip
        self.backup_file = ""
        self.made: List[str] = []
        """Directories that were made for the mount point, innermost first."""

    def present(self) -> None:
        self._write(with_entry(self._read(), self.entry))

    def absent_from_fstab(self) -> None:
        self._write(without_entry(self._read(), self.path, self.src))

    def mounted(self) -> None:
        self._make_point()
        before = self._read()
        try:
            differs = self._write(with_entry(before, self.entry))
            if not self._now()["layers"]:
                self._mount()
            elif differs:
                self._set(dict(self._asked(), layers=self._now()["layers"], **{REMOUNT: True}))
        except ModuleFailure as failure:
            self._write(before)  # an entry that cannot be mounted may stop the next boot (ansible #59183)
            for folder in self.made:
                self.change.set("file", folder, {"type": "absent"})
            raise ModuleFailure("Error mounting %s: %s" % (self.path, failure)) from None

    def ephemeral(self) -> None:
        self._make_point()
        now = self._now()
        if not now["layers"]:
            self._mount()
        elif self.src in (now["source"], now["device"]) or _device(self.src) == now["device"]:
            self._set(dict(self._asked(), layers=now["layers"], bind=now["bind"], **{REMOUNT: True}))
        else:
            raise ModuleFailure(
                "%s is mounted already, from %s and not from %s: unmount it first"
                % (self.path, now["source"], self.src)
            )

    def unmounted(self) -> None:
        now = self._now()
        if now["layers"]:
            self._set({"layers": now["layers"] - 1})

    def remounted(self) -> None:
        now = self._now()
        if not now["layers"]:
            raise ModuleFailure("Error remounting %s: nothing is mounted there" % self.path)
        given = self.entry["opts"] if self.entry["opts"] != "defaults" else self._options_of_fstab()
        wanted = {"layers": now["layers"], "source": now["source"], REMOUNT: "only"}
        self._set(dict(wanted, options=given) if given else dict(wanted, options=now["options"]))

    def absent(self) -> None:
        if not self._write(without_entry(self._read(), self.path, self.src)):
            return
        if self._now()["layers"] > 1:
            raise ModuleFailure("%d file systems are mounted on %s: unmount them one by one first"
                                % (self._now()["layers"], self.path))  # fmt: skip
        was_mounted = self._now()["layers"]
        self.unmounted()
        if self.change.file(self.point)["type"] != "absent" and self.path != "none":
            if not (self.change.check and was_mounted) and os.path.isdir(self.point) and os.listdir(self.point):
                raise ModuleFailure("Error rmdir %s: Directory not empty" % self.path)
            self.change.set("file", self.point, {"type": "absent"})

    def _now(self) -> State:
        return self.change.state("mount", self.point)

    def _set(self, wanted: State) -> None:
        self.change.set("mount", self.point, wanted)

    def _mount(self) -> None:
        self._set(dict(self._asked(), layers=1))

    def _asked(self) -> State:
        return {"source": self.entry["src"], "fstype": self.entry["fstype"], "options": self.entry["opts"]}

    def _make_point(self) -> None:
        folder = self.point
        while self.path != "none" and self.change.file(folder)["type"] == "absent":
            self.made.append(folder)
            folder = os.path.dirname(folder)
        if self.made:
            make_directories(self.change, self.point)

    def _options_of_fstab(self) -> str:
        """What a remount that names no options takes, as mount(8) does."""
        from wxops.agent.fstab import entry_of, escaped

        entries = [entry for entry in map(entry_of, self._read().splitlines()) if entry is not None]
        return next((entry["opts"] for entry in entries if entry["name"] == escaped(self.path)), "")

    def _read(self) -> str:
        return (self.change.read(self.fstab) or b"").decode("utf-8", "surrogateescape")

    def _write(self, text: str) -> bool:
        """Does that change the file?"""
        if text == self._read():
            return False
        if self.backup and not self.backup_file:
            self.backup_file = back_up(self.change, self.fstab) or ""
        make_directories(self.change, os.path.dirname(self.change.real(self.fstab)))
        return self.change.write(self.fstab, text.encode("utf-8", "surrogateescape"))


def _device(source: Optional[str]) -> Optional[str]:
    """The device that LABEL=, UUID= or a link in /dev/disk/ names."""
    tag, found, value = (source or "").partition("=")
    if found:
        source = os.path.join("/dev/disk/by-" + tag.lower(), value)
    return os.path.realpath(source) if source and source.startswith("/dev/") else source
