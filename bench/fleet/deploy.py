"""The same work as site.yml, for pyinfra."""

import io
import re

from pyinfra import host, inventory
from pyinfra.facts.server import Command
from pyinfra.operations import files

root = "/srv/fleet"
note = f"{host.name} of {len(inventory)}\n"
files.directory(path=root, mode="750", user="root", group="root")
files.put(src=io.StringIO(note), dest=f"{root}/note.txt", mode="640", user="root", group="root")
files.line(path=f"{root}/settings", line="forwarding = no")
files.link(path=f"{root}/current", target=f"{root}/note.txt")
kernel = host.get_fact(Command, "uname -r")
summary = f"{host.name} runs {kernel}"
assert re.match(r"[0-9]+[.]", kernel)
assert summary.startswith(host.name)
