"""A tree moved to another place with all that belongs to it, also to another file system."""

from __future__ import annotations

import errno
import os

from wxops.agent.failure import ModuleFailure
from wxops.agent.folder import sync_directory
from wxops.agent.place import beside
from wxops.agent.process import run


def move_tree(source: str, target: str) -> None:
    """Rename; or copy, sync, and only then remove. After a kill the whole tree is at one of them at least."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        import shutil  # most trees are renamed

        _copy(source, target)
        shutil.rmtree(source)
    for path in {os.path.dirname(source), os.path.dirname(target)}:
        sync_directory(path)


def _copy(source: str, target: str) -> None:
    """cp(1) keeps owners, modes, times, ACLs, hard links, holes and special files, which Python's copytree does not."""
    import shutil

    new = beside(target)
    shutil.rmtree(new, ignore_errors=True)  # of a copy that was killed
    done = run(["cp", "-a", "-T", "--", source, new])
    if done.rc != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise ModuleFailure("%s cannot be kept in %s: %s" % (source, os.path.dirname(target), done.stderr.strip()))
    os.sync()
    os.rename(new, target)
