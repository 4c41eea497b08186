"""What `ufw --dry-run` shows, read as the rules that there would be."""

from __future__ import annotations

from wxops.agent.modules.ufw import tried

FOUR, SIX = ["### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"], ["### tuple ### allow tcp 22 ::/0 any ::/0 in"]
NEW = "### tuple ### allow any any 0.0.0.0/0 any 10.0.0.1 in"


def test_only_one_family_is_shown() -> None:
    shown = f"*filter\n:ufw-user-input - [0:0]\n{FOUR[0]}\n{NEW}\nCOMMIT\nRules updated\n"
    assert tried(shown, FOUR, SIX) == [*FOUR, NEW, *SIX]


def test_both_are() -> None:
    shown = "*filter\n:ufw-user-input - [0:0]\nCOMMIT\n*filter\n:ufw6-user-input - [0:0]\nCOMMIT\nRules updated\n"
    assert tried(shown, FOUR, SIX) == []


def test_nothing_changes() -> None:
    assert tried("Skipping adding existing rule\nSkipping adding existing rule (v6)\n", FOUR, SIX) == [*FOUR, *SIX]
