""".deb files that a task names: on the host, still to come in a check, or at a URL."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.debian import dpkg
from wxops.agent.failure import ModuleFailure
from wxops.agent.process import run

if TYPE_CHECKING:
    from typing import Iterator, List

    from wxops.agent.change import Change

TIMEOUT_S = 30


class DebFile:
    """A .deb with what its control file says."""

    def __init__(self, path: str) -> None:
        self.path = path
        fields = [_field(path, name) for name in ("Package", "Version", "Architecture")]
        self.name, self.version, self.arch = fields
        self.key = dpkg.key("%s:%s" % (self.name, self.arch))


@contextlib.contextmanager
def local_files(change: Change, asked: str) -> Iterator[List[DebFile]]:
    """The files of a comma-separated list, within reach of apt-get; what was brought for it goes at the end."""
    folder = tempfile.mkdtemp(prefix="wxops-deb-")
    os.chmod(folder, 0o755)  # apt reads as a user of its own
    try:
        yield [DebFile(_local(change, place.strip(), folder)) for place in asked.split(",")]
    finally:
        shutil.rmtree(folder)


def _local(change: Change, place: str, folder: str) -> str:
    path = os.path.join(folder, os.path.basename(place.partition("?")[0]) or "package.deb")
    if "://" in place:
        _download(place, path)
        return path
    real = change.real(place)
    state = change.file(real)
    if state["type"] != "file":
        raise ModuleFailure("there is no file %s on this host" % place)
    if ("file", real) not in change.view.overlay:
        return real
    with state["content"].open() as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target)
    return path


def _download(url: str, path: str) -> None:
    from wxops.agent import web  # which brings http and ssl: nobody else should pay for it

    answer = web.Web(TIMEOUT_S).get(url)
    if answer.status != web.OK:
        place = web.masked(url).partition("?")[0]  # what follows may be a token
        raise ModuleFailure("cannot fetch %s: %s" % (place, answer.message), status_code=answer.status)
    with open(path, "wb") as target:
        target.writelines(answer.content(os.path.dirname(path)).chunks())


def _field(path: str, name: str) -> str:
    done = run(["dpkg-deb", "--field", path, name])
    if done.rc != 0 or not done.stdout.strip():
        raise ModuleFailure("%s is no Debian package: %s" % (path, done.stderr.strip()), rc=done.rc)
    return done.stdout.strip()
