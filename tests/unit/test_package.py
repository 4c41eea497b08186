"""The agent as it travels to a host: complete for each module, packed once, from bytecode that is never stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wxops.agent.loader import MemoryImporter
from wxops.transport import package

MODULES = sorted(path.stem for path in (package.AGENT / "modules").glob("[a-z]*.py"))
# What a host does with the files: nothing of wxops can come from anywhere else.
IMPORT_FROM_MEMORY = """
import sys
text, *packed = (open(name, "rb").read() for name in sys.argv[2:])
exec(text)
importer = MemoryImporter()
for files in packed:
    importer.add(files)
sys.meta_path.insert(0, importer)
import wxops.agent.main
__import__("wxops.agent.modules." + sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent of one file, of which nothing is remembered yet."""
    monkeypatch.setattr(package, "AGENT", tmp_path)
    package._pack.cache_clear()
    (tmp_path / "main.py").write_text("answer = 42\n")
    return tmp_path


def files_in(packed: bytes) -> dict[str, bytes]:
    importer = MemoryImporter()
    importer.add(packed)
    return importer.files


@pytest.mark.parametrize("module", MODULES)
def test_a_host_is_sent_all_that_a_module_imports(module: str, tmp_path: Path) -> None:
    parts = [package.pack(package.core(), True), package.pack(package.module_files(module), True)]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).write_bytes(part)
    argv = [sys.executable, "-IS", "-c", IMPORT_FROM_MEMORY, module, str(package.AGENT / "loader.py"), "0", "1"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_binding_of_nvml_travels_with_the_module_that_asks_for_it_and_with_no_other(tmp_path: Path) -> None:
    assert [module for module in MODULES if package.CARRIED & package.module_files(module)] == ["gpu_facts"]
    assert not package.CARRIED & package.core()
    for compiled in (True, False):
        (tmp_path / "0").write_bytes(package.pack(package.core() | package.module_files("gpu_facts"), compiled))
        text = IMPORT_FROM_MEMORY + "import pynvml\nprint(pynvml.__loader__ is importer, pynvml.NVML_ERROR_GPU_IS_LOST)"
        argv = [sys.executable, "-IS", "-c", text, "gpu_facts", str(package.AGENT / "loader.py"), "0"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == "True 15\n", done.stderr


def test_sources_arrive_as_they_are() -> None:
    files = files_in(package.pack(package.core(), False))
    assert files["wxops/agent/main.py"] == (package.AGENT / "main.py").read_bytes()


def test_bytecode_is_kept_for_the_next_run(folder: Path) -> None:
    first = package.pack(frozenset({"main.py"}), True)
    (kept,) = (folder / "__pycache__").glob("*.pyc")
    before = kept.stat()
    package._pack.cache_clear()
    assert package.pack(frozenset({"main.py"}), True) == first
    assert kept.stat().st_ino == before.st_ino


def test_bytecode_of_a_file_that_changed_is_made_anew(folder: Path) -> None:
    package.pack(frozenset({"main.py"}), True)
    (folder / "main.py").write_text("answer = 'another'\n")
    package._pack.cache_clear()
    assert b"another" in files_in(package.pack(frozenset({"main.py"}), True))["wxops/agent/main.pyc"]


def test_what_every_run_needs_is_packed_once_for_all_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = package.pack(frozenset({"main.py"}), True, "core")
    package._pack.cache_clear()
    with monkeypatch.context() as context:
        context.setattr(package, "_compressed", None)  # it is not asked again
        assert package.pack(frozenset({"main.py"}), True, "core") == first
    (folder / "main.py").write_text("answer = 'another'\n")
    package._pack.cache_clear()
    assert b"another" in files_in(package.pack(frozenset({"main.py"}), True, "core"))["wxops/agent/main.pyc"]
    assert package.pack(frozenset({"main.py"}), False, "core") != first


def test_where_bytecode_cannot_be_kept_the_agent_travels_all_the_same(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file where the folder should be")
    for name in ("", "core"):
        assert files_in(package.pack(frozenset({"main.py"}), True, name)).keys() == {"wxops/agent/main.pyc"}
