"""A process that has an engine loaded and runs playbooks: each in a fork of its own, inside a host's file system.

Started as `PYTHON standby.py ansible|wxops` with that engine's own Python; it needs nothing else of wxops. Loading an
engine costs more than a small playbook does, and here it is paid once. A request is a JSON line: root (becomes /),
folder (to run in), words (the command line after `ansible-playbook` or `wxops run`), output (a file outside, for both
streams) and seconds (a limit). The answer is a line with the exit code.
"""

import json
import os
import signal
import sys
import traceback


def ansible():
    """ansible-playbook's own entry point."""
    from ansible.cli.playbook import PlaybookCLI

    return lambda words: PlaybookCLI.cli_executor(["ansible-playbook", *words])


def wxops():
    """The command wxops' own entry point."""
    import wxops.cli.run
    import wxops.console.choose
    import wxops.engine.run  # noqa: F401
    from wxops.cli.main import main

    def run(words):
        sys.argv = ["wxops", "run", *words]
        main()

    return run


def inside(engine, asked):
    """In the fork: become a process of the host, and the engine's command."""
    os.setsid()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, output, output)):
        os.dup2(stream, number)
    os.chroot(asked["root"])
    os.chdir(asked["folder"])
    os.umask(0o022)
    try:
        engine(asked["words"])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 250
    return 0


def serve(engine):
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            code = inside(engine, asked)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
        print(json.dumps(wait(child, asked["seconds"])), flush=True)


def wait(child, seconds):
    """The exit code; None when it had to be stopped."""

    def stop(*_):
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


serve({"ansible": ansible, "wxops": wxops}[sys.argv[1]]())
