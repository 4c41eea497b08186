"""Real text for train_small.py, in Chinese and English, from documentation that Debian ships.

    python3 runtime/bench/gpu/prepare_text.py DIRECTORY [--cache DIRECTORY]

Fetches the packages with `apt-get download` (about 110 MB), takes the paragraphs out of HTML, manual pages and
fortunes, leaves out those that come again, and writes DIRECTORY/train.txt.xz and DIRECTORY/heldout.txt.xz. A file of a
package is held out as a whole, so nothing that a model is tested on was seen in training. Nothing is installed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import lzma
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

# Package -> which of its files; the first language's own text, not the same manual in ten translations.
PACKAGES = {
    "libreoffice-help-zh-cn": r"/zh-CN/.*\.html$",
    "manpages-zh": r"/man/zh_CN/.*\.gz$",
    "debian-reference-zh-cn": r"\.html$",
    "debian-handbook": r"/(zh-CN|en-US)/.*\.html$",
    "debian-edu-doc-zh-cn": r"\.html$",
    "debian-faq-zh-cn": r"\.html$",
    "maint-guide-zh-cn": r"\.html$",
    "installation-guide-amd64": r"/(zh_CN|en)/.*\.html$",
    "linuxcnc-doc-zh-cn": r"\.html$",
    "kicad-doc-zh": r"\.html$",
    "lilypond-doc-html-zh": r"/zh/.*\.html$|\.zh\.html$",
    "fortunes-zh": r"/fortunes/(?!.*\.(dat|u8)$)",
    "libreoffice-help-en-us": r"/en-US/.*\.html$",
    "debian-reference-en": r"\.html$",
    "debmake-doc": r"(?<!\.[a-z][a-z])\.html$",
    "linux-doc-6.1": r"/html/(admin-guide|core-api|driver-api|filesystems|networking|process|mm|scheduler|RCU|virt|"
    r"block|security|trace|userspace-api)/.*\.html$",
}
SHORTEST = 24  # characters of a paragraph; shorter ones are buttons and headings
HELD_OUT = 40  # one file in so many
MOST_BYTES = 28 << 20  # of train.txt.xz: it travels in one call

BLOCKS = {"p", "li", "dd", "dt", "td", "th", "h1", "h2", "h3", "h4", "h5", "pre", "blockquote", "div", "section", "tr"}
SILENT = {"script", "style", "nav", "head", "header", "footer", "svg", "select", "button"}


class Paragraphs(HTMLParser):
    """The text of block elements, without scripts and navigation."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._text: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        if tag in BLOCKS:
            self._end()

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in BLOCKS:
            self._end()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data)

    def _end(self) -> None:
        if text := " ".join("".join(self._text).split()):
            self.found.append(text)
        self._text = []


def of_html(text: str) -> list[str]:
    parser = Paragraphs()
    parser.feed(text)
    parser.close()
    return parser.found


def of_manual_page(text: str) -> list[str]:
    """troff without its requests and escapes; a request ends a paragraph."""
    text = re.sub(r"\\f[A-Z(\[]?\w*\]?|\\[&|^,/]", "", text).replace(r"\-", "-").replace(r"\(co", "©")
    text = re.sub(r'^\.(B|I|BR|IR|RB|BI|IB|SM)\s+"?(.*?)"?$', r"\2", text, flags=re.MULTILINE)
    parts = re.split(r"^[.'].*$|\n\s*\n", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in parts]


def of_fortunes(text: str) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [" ".join(part.split()) for part in text.split("\n%")]


def read(path: Path, package: str) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode("utf-8", "replace")
    if package.startswith("manpages"):
        return of_manual_page(text)
    return of_fortunes(text) if package.startswith("fortunes") else of_html(text)


def documents(cache: Path) -> Iterator[tuple[str, list[str]]]:
    """Path in the package, and its paragraphs that no earlier document had."""
    seen: set[int] = set()
    for package, wanted in PACKAGES.items():
        root = unpacked(package, cache)
        if root is None:
            print(f"{package}: this release of Debian does not have it", file=sys.stderr)
            continue
        told = 0
        for path in sorted(each for each in root.rglob("*") if each.is_file() and not each.is_symlink()):
            name = str(path.relative_to(root))
            if not re.search(wanted, "/" + name):
                continue
            fresh = []
            for paragraph in read(path, package):
                key = hash(paragraph)
                if len(paragraph) >= SHORTEST and "\ufffd" not in paragraph and key not in seen:
                    seen.add(key)
                    fresh.append(paragraph)
            told += sum(map(len, fresh))
            if fresh:
                yield f"{package}/{name}", fresh
        print(f"{package}: {told / 1e6:.1f} million characters", file=sys.stderr)


def unpacked(package: str, cache: Path) -> Path | None:
    root = cache / package
    if not root.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["apt-get", "download", "-qq", package], cwd=cache).returncode:
            return None
        archive = next(cache.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
        archive.unlink()
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("/var/tmp/wxops-text"))
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[str]] = {"train": [], "heldout": []}
    for name, paragraphs in documents(given.cache):
        held = int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT == 0
        parts["heldout" if held else "train"].append("\n".join(paragraphs))
    for part, texts in parts.items():
        texts.sort(key=lambda text: hashlib.sha256(text.encode()).digest())  # in no order, the same each time
        whole = "\n\n".join(texts).encode()
        packed = lzma.compress(whole, preset=6)
        if len(packed) > MOST_BYTES:
            raise SystemExit(f"{part}.txt.xz would have {len(packed)} bytes, too many to travel; take packages out")
        (given.directory / f"{part}.txt.xz").write_bytes(packed)
        print(f"{part}: {len(texts)} documents, {len(whole) / 1e6:.1f} MB, packed {len(packed) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
