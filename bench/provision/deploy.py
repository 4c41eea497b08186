"""The same work as site.yml, for pyinfra."""

import io

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import crontab, files, server, systemd

root, release, ports = "/srv/models", "4.5", [8080, 8081, 8082, 8083, 8084]
for name in ["weights", "cache", "logs", "snapshots", "releases", "tmp"]:
    files.directory(path=f"{root}/{name}", mode="750")
server.group(group="wxrun", system=True)
for name in ["wxops", "wxserve", "wxbackup"]:
    server.user(user=name, group="wxrun", shell="/usr/sbin/nologin", create_home=False, ensure_home=False)
for n in range(10):
    files.put(
        src=io.StringIO(f"release {release} note {n}\n"),
        dest=f"{root}/releases/note-{n}.txt",
        mode="640",
        user="root",
        group="wxrun",
    )
for port in ports:
    files.template(
        src="templates/env.j2",
        dest=f"/etc/default/wx-{port}",
        mode="644",
        jinja_env_kwargs={"trim_blocks": True},  # as Ansible's
        item=port,
        inventory_hostname=host.name,
        model_root=root,
        release=release,
        ports=ports,
    )
units = [
    files.template(
        src="templates/unit.j2",
        dest=f"/etc/systemd/system/wx-{port}.service",
        mode="644",
        item=port,
        inventory_hostname=host.name,
    )
    for port in ports
]
settings = {"X11Forwarding": "no", "MaxAuthTries": "4", "LoginGraceTime": "30", "ClientAliveInterval": "300"}
for key, value in settings.items():
    pattern, line = rf"^#?{key}\s.*", f"{key} {value}"
    files.line(path="/etc/ssh/sshd_config", line=pattern, replace=line, extended_regex=True)
files.block(path="/etc/motd", content=f"Managed host {host.name}\nRelease {release}", try_prevent_shell_expansion=True)
for slot in [5, 20, 35, 50]:
    crontab.crontab(command=f"/usr/bin/true --slot {slot}", cron_name=f"snapshot {slot}", minute=slot)
assert "Python 3" in host.get_fact(Command, "python3 --version")
files.link(path="/srv/current", target=f"{root}/releases")
systemd.daemon_reload(_if=lambda: any(u.did_change() for u in units))
