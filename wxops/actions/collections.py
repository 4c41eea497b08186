"""The collections whose modules wxops has, and the names of their modules: a module's full name says where it is from.

Names that wxops has no module for are what Ansible's collections have: who writes one is told that it is not there yet.
A module that stands in none of them is our own, and has no other name than its short one.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTIN = _names("""
    add_host apt apt_key apt_repository assemble assert async_status blockinfile command copy cron
    deb822_repository debconf debug dnf dnf5 dpkg_selections expect fail fetch file find gather_facts get_url
    getent git group group_by hostname import_playbook import_role import_tasks include_role include_tasks
    include_vars iptables known_hosts lineinfile meta mount_facts package package_facts pause ping pip raw reboot
    replace rpm_key script service service_facts set_fact set_stats setup shell slurp stat subversion systemd
    systemd_service sysvinit tempfile template unarchive uri user validate_argument_spec wait_for
    wait_for_connection yum_repository
""")  # fmt: skip
REDIRECTED = frozenset({"yum"})
"""Names that ansible-core keeps for a module of another name: it has no page of its own."""
POSIX = _names("""
    acl at authorized_key firewalld firewalld_info mount patch rhel_facts rhel_rpm_ostree rpm_ostree_upgrade
    seboolean selinux synchronize sysctl
""")  # fmt: skip
GENERAL = _names("""
    alternatives apache2_module apk archive btrfs_info capabilities composer cronvar deploy_helper django_manage
    dnf_config_manager dnf_versionlock dpkg_divert facter_facts filesize filesystem flatpak flatpak_remote gem
    git_config git_config_info gunicorn haproxy htpasswd ini_file interfaces_file ip_netns ipmi_boot ipmi_power
    iptables_state iscsi iso_create iso_extract java_cert java_keystore kdeconfig kernel_blacklist ldap_attrs
    ldap_entry listen_ports_facts lldp locale_gen logrotate lvg lvg_rename lvm_pv lvol lxc_container lxd_container
    mail make modprobe monit nginx_status_info nmcli npm ohai open_iscsi pacman pam_limits pamd parted pids
    pip_package_info pipx pnpm proxmox puppet python_requirements_info read_csv redhat_subscription redis
    rhsm_repository runit sefcontext selinux_permissive selogin seport slack snap ssh_config sudoers supervisorctl
    sysrc systemd_creds systemd_info telegram terraform timezone toml_file ufw xattr xfs_quota xml yarn
    yum_versionlock zfs zfs_facts zpool zypper zypper_repository
""")  # fmt: skip
CRYPTO = _names("""
    acme_account acme_account_info acme_ari_info acme_certificate acme_certificate_revoke
    acme_challenge_cert_helper acme_inspect certificate_complete_chain crypto_info get_certificate luks_device
    openssh_cert openssh_keypair openssl_csr openssl_csr_info openssl_csr_pipe openssl_dhparam openssl_pkcs12
    openssl_privatekey openssl_privatekey_convert openssl_privatekey_info openssl_privatekey_pipe
    openssl_publickey openssl_publickey_info openssl_signature openssl_signature_info x509_certificate
    x509_certificate_convert x509_certificate_info x509_certificate_pipe x509_crl x509_crl_info
""")  # fmt: skip
DOCKER = _names("""
    current_container_facts docker_compose_v2 docker_compose_v2_build docker_compose_v2_exec
    docker_compose_v2_pull docker_compose_v2_run docker_config docker_container docker_container_copy_into
    docker_container_exec docker_container_info docker_context_info docker_host_info docker_image
    docker_image_build docker_image_export docker_image_info docker_image_load docker_image_pull docker_image_push
    docker_image_remove docker_image_tag docker_login docker_network docker_network_info docker_node
    docker_node_info docker_plugin docker_prune docker_secret docker_stack docker_stack_info
    docker_stack_task_info docker_swarm docker_swarm_info docker_swarm_service docker_swarm_service_info
    docker_volume docker_volume_info
""")  # fmt: skip

COLLECTIONS = {
    "ansible.posix": POSIX,
    "community.general": GENERAL,
    "community.crypto": CRYPTO,
    "community.docker": DOCKER,
}
CORE = ("ansible.builtin", "ansible.legacy")
"""Ansible finds what it once brought itself under these names, too: every module of the collections above."""

ELSEWHERE = {
    begin: collection
    for collection, begins in {
        "amazon.aws": "aws_ ec2_ s3_", "azure.azcollection": "azure_rm_", "google.cloud": "gcp_",
        "community.grafana": "grafana_", "kubernetes.core": "helm k8s", "community.mongodb": "mongodb_",
        "community.mysql": "mysql_", "openstack.cloud": "os_", "containers.podman": "podman_",
        "community.postgresql": "postgresql_", "community.proxysql": "proxysql_", "community.rabbitmq": "rabbitmq_",
        "community.libvirt": "virt", "community.vmware": "vmware_", "ansible.windows": "win_",
        "community.zabbix": "zabbix_",
    }.items()
    for begin in begins.split()
}  # fmt: skip
"""How the modules of other collections begin whose short names Ansible knows: operators write these, too."""

GROUPS = {
    "docker": DOCKER - {"current_container_facts"},
    "community.docker.docker": DOCKER - {"current_container_facts"},
    "acme": frozenset(name for name in CRYPTO if name.startswith("acme_")),
    "community.crypto.acme": frozenset(name for name in CRYPTO if name.startswith("acme_")),
}
"""The action groups that `module_defaults` may name, as `group/docker`."""


def names() -> tuple[str, ...]:
    """The collections whose names may stand before a module's."""
    return (*CORE, *COLLECTIONS)


def short_name(name: str) -> str | None:
    """`ansible.builtin.copy` -> `copy`; None when the name says a collection that has no such module."""
    collection, _, short = name.rpartition(".")
    if not collection:
        return name
    if collection in CORE:
        return short if short in BUILTIN.union(REDIRECTED, *COLLECTIONS.values()) else None
    return short if short in COLLECTIONS.get(collection, ()) else None


def elsewhere(name: str) -> str | None:
    """The collection that a short name is of by the look of it, if that is none of ours."""
    return next((of for begin, of in ELSEWHERE.items() if name.startswith(begin) and "." not in name), None)


def full_name(short: str) -> str:
    """`copy` -> `ansible.builtin.copy`; a module of our own stays as it is."""
    if short in BUILTIN or short in REDIRECTED:
        return f"ansible.builtin.{short}"
    return next((f"{collection}.{short}" for collection, has in COLLECTIONS.items() if short in has), short)


def of(name: str) -> str | None:
    """The collection that has a module of this short or full name; None when none does."""
    short = short_name(name)
    return full_name(short).rpartition(".")[0] or None if short else None
