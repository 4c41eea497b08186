"""Facts come from hosts, and a host may be in the wrong hands."""

from __future__ import annotations

import pytest

from wxops.engine.state import HostState

NOT_THEIRS = """
ansible_connection ansible_host ansible_port ansible_user ansible_password ansible_timeout ansible_python_interpreter
ansible_become ansible_become_password ansible_ssh_common_args ansible_ssh_private_key_file ansible_local_tmp
ansible_docker_extra_args ansible_check_mode ansible_play_hosts ansible_facts wxops_keepalive hostvars groups
inventory_hostname
"""
THEIRS = """
ansible_local ansible_ssh_host_key_ed25519_public ansible_user_id ansible_hostname ansible_docker_gwbridge
ansible_python ansible_python_version ansible_env ansible_eth0 ansible_pkg_mgr packages services
"""


@pytest.mark.parametrize("name", NOT_THEIRS.split())
def test_a_host_does_not_decide_how_it_is_reached_and_who_it_is(name: str) -> None:
    state = HostState("gpu1")
    state.learn({name: "/tmp/evil", "ansible_distribution": "Debian"})
    assert state.facts == {"ansible_distribution": "Debian"}
    assert state.ansible_facts == {"distribution": "Debian"}


@pytest.mark.parametrize("name", THEIRS.split())
def test_what_a_host_knows_best_is_kept(name: str) -> None:
    state = HostState("gpu1")
    state.learn({name: "x"})
    assert state.facts == {name: "x"}
