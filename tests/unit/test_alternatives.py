"""What update-alternatives shows, of both families."""

from __future__ import annotations

from wxops.agent.resources.alternative import parsed

DEBIAN = """\
editor - auto mode
  link best version is /bin/nano
  link currently points to /bin/nano
  link editor is /usr/bin/editor
  slave editor.1.gz is /usr/share/man/man1/editor.1.gz
/bin/ed - priority -100
/bin/nano - priority 40
  slave editor.1.gz: /usr/share/man/man1/nano.1.gz
"""
RHEL = """\
java - status is manual.
 link currently points to /usr/lib/jvm/java-17/bin/java
/usr/lib/jvm/java-11/bin/java - family java-11.x86_64 priority 1100
 follower jre: /usr/lib/jvm/java-11/jre
 follower alt: (null)
/usr/lib/jvm/java-17/bin/java - family java-17.x86_64 priority 1700
Current `best' version is /usr/lib/jvm/java-17/bin/java.
"""


def test_debians_display() -> None:
    found = parsed(DEBIAN)
    assert (found["mode"], found["current"], found["link"]) == ("auto", "/bin/nano", "/usr/bin/editor")
    assert found["choices"] == {
        "/bin/ed": {"priority": -100, "family": "", "subcommands": {}},
        "/bin/nano": {
            "priority": 40, "family": "",
            "subcommands": {"editor.1.gz": ["/usr/share/man/man1/editor.1.gz", "/usr/share/man/man1/nano.1.gz"]},
        },
    }  # fmt: skip


def test_the_rhel_familys_display() -> None:
    found = parsed(RHEL)
    assert (found["mode"], found["current"], found["link"]) == ("manual", "/usr/lib/jvm/java-17/bin/java", None)
    choice = found["choices"]["/usr/lib/jvm/java-11/bin/java"]
    assert choice == {"priority": 1100, "family": "java-11.x86_64",
                      "subcommands": {"jre": ["", "/usr/lib/jvm/java-11/jre"]}}  # fmt: skip
