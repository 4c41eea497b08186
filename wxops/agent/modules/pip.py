"""Packages of Python, of the host's own or in a virtual environment."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from wxops.agent.failure import ModuleFailure
from wxops.agent.process import Completed, run
from wxops.agent.python_env.environment import canonical, of_host, of_virtualenv
from wxops.agent.text_file import make_directories

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Path
    from wxops.agent.change import Change
    from wxops.agent.python_env.environment import Environment

WORDS = {"present": ["install"], "absent": ["uninstall", "-y"], "latest": ["install", "-U"],
         "forcereinstall": ["install", "-U", "--force-reinstall"]}  # fmt: skip
OPERATORS = ("==", ">=", "<=", "!=", "~=", ">", "<")
FROM_REPOSITORY = re.compile(r"(svn|git|hg|bzr)\+")
ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def pip(
    change: Change,
    name: Optional[List[str]] = None,
    version: Optional[str] = None,
    requirements: Optional[str] = None,
    state: Literal["absent", "forcereinstall", "latest", "present"] = "present",
    virtualenv: Optional[Path] = None,
    virtualenv_command: Path = "virtualenv",
    virtualenv_python: Optional[str] = None,
    virtualenv_site_packages: bool = False,
    executable: Optional[Path] = None,
    extra_args: Optional[str] = None,
    editable: bool = False,
    chdir: Optional[Path] = None,
    break_system_packages: bool = False,
    umask: Optional[str] = None,
) -> Dict[str, Any]:
    """Install, upgrade and remove Python packages with pip. What pip would do is asked first, so that a check knows.

    A rollback puts the very files back; a new virtual environment goes as a whole.

    name: the packages, each with its versions if need be (`django>1.11,<2`), or a URL, or a path on the host.
    version: of the one package in `name`.
    requirements: a file on the host that names packages, a line each.
    state: present, latest, absent; forcereinstall installs again what is there.
    virtualenv: the environment's directory; it is made when it is not there.
    virtualenv_command: how: `virtualenv`, or `python3 -m venv`.
    virtualenv_python: the interpreter for virtualenv.
    virtualenv_site_packages: the new environment sees the host's packages.
    executable: the pip to use, as pip3.11; not together with virtualenv.
    extra_args: more arguments for pip.
    editable: install from a directory of sources in place (-e).
    chdir: the directory in which pip runs.
    break_system_packages: install into the host's own Python although its distribution says not to (PEP 668).
    umask: for new files, octal in quotes ("0022").
    """
    if (name is None) == (requirements is None):
        raise ModuleFailure("parameters are mutually exclusive: name|requirements" if name is not None
                            else "one of the following is required: name, requirements")  # fmt: skip
    if executable and virtualenv:
        raise ModuleFailure("parameters are mutually exclusive: executable|virtualenv")
    if state == "latest" and version is not None:
        raise ModuleFailure("version is incompatible with state=latest")
    packages = _with_version(_joined(name or []), version)
    folder = chdir or tempfile.gettempdir()
    place = os.path.abspath(os.path.join(folder, virtualenv)) if virtualenv else None
    options = [*shlex.split(extra_args or ""), *(["-e"] if editable and "-e" not in (extra_args or "").split() else [])]
    arguments = [*options, *(packages if requirements is None else ["-r", requirements])]
    mask = None if umask is None else os.umask(_octal(umask))
    try:
        task = Pip(change, place, executable, folder, break_system_packages)
        made = place is not None and task.make_environment(
            virtualenv_command, virtualenv_python, virtualenv_site_packages
        )
        told = {"name": name, "version": version, "state": state, "requirements": requirements, "virtualenv": place}
        if made and change.check:
            return dict(told, changed=True)
        done = task.remove(packages, arguments) if state == "absent" else task.install(WORDS[state], arguments)
    finally:
        if mask is not None:
            os.umask(mask)
    return dict(told, changed=change.changed, cmd=done.argv, stdout=done.stdout, stderr=done.stderr)


class Pip:
    """pip in one environment."""

    def __init__(
        self, change: Change, place: Optional[str], executable: Optional[str], folder: str, break_system: bool
    ) -> None:
        """place: the virtual environment's directory, if it is one."""
        self.change, self.place, self.executable, self.folder = change, place, executable, folder
        self.variables = dict(ENGLISH, **({"PIP_BREAK_SYSTEM_PACKAGES": "1"} if break_system else {}))
        if place is not None:
            self.variables["PATH"] = os.path.join(place, "bin") + ":" + os.environ.get("PATH", "")

    def make_environment(self, command: str, python: Optional[str], site_packages: bool) -> bool:
        """Make the virtual environment if it is not there; True if that had to be done."""
        place = self.place or ""
        if self.change.state("python_packages", place)["exists"]:
            return ("python_packages", place) in self.change.view.overlay
        words = _creation(command, python, site_packages)

        def make() -> None:
            done = run([*words, place], cwd=self.folder, environment=ENGLISH)
            if done.rc != 0:
                raise _failure(done)

        if self.change.file(place)["type"] != "absent":
            raise ModuleFailure("%s is there, but no virtual environment: it has no bin/activate" % place)
        make_directories(self.change, os.path.dirname(place))
        self.change.set("python_packages", self.change.place(place), {"exists": True, "packages": {}, "run": make})
        return True

    def install(self, verb: List[str], arguments: List[str]) -> Completed:
        """Install what is missing, or upgrade. pip says first which packages that would be."""
        environment = self._environment()
        if environment is None:
            return self._unknown([*verb, *arguments])
        foreseen, coming = self._foreseen(environment, [*verb, *arguments])
        if coming is None:
            return self._install_unforeseen(environment, [*verb, *arguments])
        return self._set(environment, [*verb, *arguments], dict(coming), foreseen) if coming else foreseen

    def remove(self, packages: List[str], arguments: List[str]) -> Completed:
        environment = self._environment()
        words = [*WORDS["absent"], *arguments]
        if environment is None:
            return self._unknown(words)
        asked = {canonical(re.split(r"[\s\[<>=!~;@]", package.strip(), maxsplit=1)[0]) for package in packages}
        gone: Dict[str, Optional[str]] = {
            name: None for name in environment.packages() if name in asked or not packages
        }
        if not gone:
            return _nothing([*environment.pip, *words])
        return self._set(environment, words, gone, _nothing([*environment.pip, *words]))

    def _install_unforeseen(self, environment: Environment, words: List[str]) -> Completed:
        """With a pip before 22.2, which cannot say what it would do: any package may change."""
        before = self.change.state("python_packages", self._name(environment))["packages"]
        done = self._set(environment, words, dict(before), _nothing(words))
        after = {name: entry["version"] for name, entry in environment.packages().items()}
        if self.change.check:
            self.change.warnings.append("pip before 22.2 cannot tell what it would do, so this check assumes a change")
        else:
            self.change.changed = before != after
        return done

    def _name(self, environment: Environment) -> str:
        return self.change.place(self.place) if self.place else environment.python

    def _environment(self) -> Optional[Environment]:
        """None when only a check has it: its pip would be installed by an earlier task."""
        found = of_virtualenv(self.place) if self.place else of_host(self.executable)
        pending = self.change.check and self.change.view.pending("package")
        return None if pending and not found.has_pip else found

    def _unknown(self, words: List[str]) -> Completed:
        self.change.changed = True
        self.change.warnings.append("there is no pip on this host yet, so this check cannot ask what it would do")
        return _nothing(["pip", *words])

    def _foreseen(self, environment: Environment, words: List[str]) -> Any:
        """What pip says, and name -> version of what it would install; None for a pip before 22.2."""
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            dry = [words[0], "--dry-run", "--report", report.name, *words[1:]]
            done = self._run([*environment.pip, *dry])
            if done.rc == 2 and "no such option" in done.stderr:
                return done, None
            if done.rc != 0:
                raise _failure(done)
            told = json.load(report)
        listed = (each["metadata"] for each in told.get("install", []))
        return done, {canonical(each["name"]): each["version"] for each in listed}

    def _set(
        self, environment: Environment, words: List[str], wanted: Dict[str, Optional[str]], foreseen: Completed
    ) -> Completed:
        done: List[Completed] = []

        def work() -> None:
            done.append(self._run([*environment.pip, *words]))
            if done[0].rc != 0:
                raise _failure(done[0])

        state = {"exists": True, "packages": wanted, "run": work, "environment": environment}
        self.change.set("python_packages", self._name(environment), state)
        return done[0] if done else foreseen

    def _run(self, argv: List[str]) -> Completed:
        return run(argv, cwd=self.folder, environment=self.variables, output=self.change.link.output,
                   running=self.change.running)  # fmt: skip


def _joined(names: List[str]) -> List[str]:
    """Names with their versions: a comma in YAML may have cut `a>1,<2` in two."""
    found: List[str] = []
    for part in (part for each in names for part in each.split(",")):
        is_open = bool(found) and found[-1].count("[") > found[-1].count("]")
        if found and (is_open or part.lstrip().startswith(OPERATORS)):
            found[-1] += "," + part
        else:
            found.append(part)
    return [name.strip() for name in found]


def _with_version(packages: List[str], version: Optional[str]) -> List[str]:
    if version is None:
        return packages
    if len(packages) > 1:
        raise ModuleFailure("'version' argument is ambiguous when installing multiple package distributions. "
                            "Please specify version restrictions next to each package in 'name' argument.")  # fmt: skip
    if any(operator in packages[0] for operator in OPERATORS):
        raise ModuleFailure("The 'version' argument conflicts with any version specifier provided along with a package "
                            "name. Please keep the version specifier, but remove the 'version' argument.")  # fmt: skip
    version = version.lstrip()
    return [packages[0] + ("==" if version[:1].isdigit() else "") + version]


def _creation(command: str, python: Optional[str], site_packages: bool) -> List[str]:
    """The command that makes an environment, without its directory."""
    words = shlex.split(command)
    is_venv = "venv" in words[1:] or os.path.basename(words[0]) == "pyvenv"
    if shutil.which(words[0]) is None:
        raise ModuleFailure(
            "this host has no %s: install it, or say `virtualenv_command: python3 -m venv`" % words[0], cmd=words
        )
    if is_venv and python:
        raise ModuleFailure("virtualenv_python should not be used when using the venv module or pyvenv as "
                            "virtualenv_command")  # fmt: skip
    return [*words, *(["--system-site-packages"] if site_packages else []),
            *([] if is_venv else ["-p" + (python or sys.executable)])]  # fmt: skip


def _octal(text: str) -> int:
    if not re.match("^[0-7]+$", text):
        raise ModuleFailure("umask must be an octal integer", details="it is %r" % text)
    return int(text, 8)


def _nothing(argv: List[str]) -> Completed:
    return Completed(argv, 0, b"", b"", 0, 0)


def _failure(done: Completed) -> ModuleFailure:
    said = "stdout: %s" % done.stdout if done.stdout else ""
    said += "\n:stderr: %s" % done.stderr if done.stderr else ""
    return ModuleFailure(said.strip() or "%s ended with %d" % (done.argv[0], done.rc), **done.result())
