"""Ansible's own settings, by what becomes of them here: used, without effect, refused; all others earn a notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Used:
    """A setting of ansible.cfg that is a setting of wxops too, and the environment variables that set it.

    kind: text, path, paths (`:` between them), list (`,` between them), inventory, yes_no, no_yes (the opposite),
    whole, seconds or gathering.
    """

    field: str
    kind: str
    section: str
    key: str
    env: tuple[str, ...]


def _used(field: str, kind: str, place: str, *env: str) -> Used:
    section, _, key = place.partition(".")
    return Used(field, kind, section, key, tuple(f"ANSIBLE_{name}" for name in env))


USED = (
    _used("inventory", "inventory", "defaults.inventory", "INVENTORY"),
    _used("forks", "whole", "defaults.forks", "FORKS"),
    _used("remote_user", "text", "defaults.remote_user", "REMOTE_USER"),
    _used("remote_port", "whole", "defaults.remote_port", "REMOTE_PORT"),
    _used("connection", "text", "defaults.transport", "TRANSPORT"),
    _used("private_key_file", "path", "defaults.private_key_file", "PRIVATE_KEY_FILE"),
    _used("timeout", "seconds", "defaults.timeout", "TIMEOUT"),
    _used("timeout", "seconds", "ssh_connection.timeout", "SSH_TIMEOUT"),
    _used("accept_new", "no_yes", "defaults.host_key_checking", "HOST_KEY_CHECKING", "SSH_HOST_KEY_CHECKING"),
    _used("accept_new", "no_yes", "ssh_connection.host_key_checking"),
    _used("ask_pass", "yes_no", "defaults.ask_pass", "ASK_PASS"),
    _used("connection_password_file", "path", "defaults.connection_password_file", "CONNECTION_PASSWORD_FILE"),
    _used("become", "yes_no", "privilege_escalation.become", "BECOME"),
    _used("become_method", "text", "privilege_escalation.become_method", "BECOME_METHOD"),
    _used("become_user", "text", "privilege_escalation.become_user", "BECOME_USER"),
    _used("ask_become_pass", "yes_no", "privilege_escalation.become_ask_pass", "BECOME_ASK_PASS"),
    _used("become_password_file", "path", "defaults.become_password_file", "BECOME_PASSWORD_FILE"),
    _used("vault_password_file", "path", "defaults.vault_password_file", "VAULT_PASSWORD_FILE"),
    _used("vault_identity_list", "list", "defaults.vault_identity_list", "VAULT_IDENTITY_LIST"),
    _used("vault_encrypt_identity", "text", "defaults.vault_encrypt_identity", "VAULT_ENCRYPT_IDENTITY"),
    _used("ask_vault_pass", "yes_no", "defaults.ask_vault_pass", "ASK_VAULT_PASS"),
    _used("roles_path", "paths", "defaults.roles_path", "ROLES_PATH"),
    _used("collections_path", "paths", "defaults.collections_path", "COLLECTIONS_PATH"),
    _used("force_handlers", "yes_no", "defaults.force_handlers", "FORCE_HANDLERS"),
    _used("gathering", "gathering", "defaults.gathering", "GATHERING"),
    _used("error_on_missing_handler", "yes_no", "defaults.error_on_missing_handler", "ERROR_ON_MISSING_HANDLER"),
    _used("managed", "text", "defaults.ansible_managed"),
    _used("no_log", "yes_no", "defaults.no_log", "NO_LOG"),
    _used("strategy", "text", "defaults.strategy", "STRATEGY"),
    _used("diff", "yes_no", "diff.always", "DIFF_ALWAYS"),
    _used("tags", "list", "tags.run", "RUN_TAGS"),
    _used("skip_tags", "list", "tags.skip", "SKIP_TAGS"),
    _used("verbosity", "whole", "defaults.verbosity", "VERBOSITY"),
    _used("ssh_args", "text", "ssh_connection.ssh_args", "SSH_ARGS"),
    _used("ssh_common_args", "text", "ssh_connection.ssh_common_args", "SSH_COMMON_ARGS"),
    _used("ssh_extra_args", "text", "ssh_connection.ssh_extra_args", "SSH_EXTRA_ARGS"),
    _used("interpreter", "text", "defaults.interpreter_python", "PYTHON_INTERPRETER"),
    _used("inject_facts_as_vars", "yes_no", "defaults.inject_facts_as_vars", "INJECT_FACT_VARS"),
    _used("private_role_vars", "yes_no", "defaults.private_role_vars", "PRIVATE_ROLE_VARS"),
    _used("fact_caching", "text", "defaults.fact_caching", "CACHE_PLUGIN"),
    _used("fact_caching_connection", "path", "defaults.fact_caching_connection", "CACHE_PLUGIN_CONNECTION"),
    _used("fact_caching_prefix", "text", "defaults.fact_caching_prefix", "CACHE_PLUGIN_PREFIX"),
    _used("fact_caching_timeout", "whole", "defaults.fact_caching_timeout", "CACHE_PLUGIN_TIMEOUT"),
    _used("color", "yes_no", "defaults.force_color", "FORCE_COLOR"),
    _used("color", "no_yes", "defaults.nocolor", "NOCOLOR"),
    _used("show_skipped", "yes_no", "defaults.display_skipped_hosts", "DISPLAY_SKIPPED_HOSTS"),
    _used("show_ok", "yes_no", "defaults.display_ok_hosts", "DISPLAY_OK_HOSTS"),
    _used("failed_to_stderr", "yes_no", "defaults.display_failed_stderr", "DISPLAY_FAILED_STDERR"),
    _used("show_custom_stats", "yes_no", "defaults.show_custom_stats", "SHOW_CUSTOM_STATS"),
)

# Nothing differs whatever they say: they steer how Ansible's own code works, warns, colours or draws.
_HARMLESS = """
    defaults.action_warnings defaults.bin_ansible_callbacks
    defaults.collections_on_ansible_version_mismatch defaults.collections_paths
    defaults.collections_scan_sys_path defaults.command_warnings defaults.cow_selection
    defaults.cowpath defaults.cowsay_enabled_stencils defaults.deprecation_warnings defaults.devel_warning
    defaults.display_traceback defaults.docsite_root_url defaults.duplicate_dict_key defaults.editor
    defaults.executable defaults.force_valid_group_names defaults.home defaults.internal_poll_interval
    defaults.inventory_ignore_extensions defaults.jinja2_native defaults.jinja2_native_warning
    defaults.keep_remote_files defaults.local_tmp defaults.localhost_warning defaults.log_filter
    defaults.log_verbosity defaults.max_diff_size defaults.module_compression defaults.module_lang
    defaults.module_name defaults.module_set_locale defaults.nocows defaults.no_target_syslog
    defaults.old_plugin_cache_clear defaults.pager defaults.pipelining defaults.poll_interval
    defaults.python_module_rlimit_nofile defaults.remote_tmp defaults.remote_tmp_dir defaults.retry_files_enabled
    defaults.retry_files_save_path defaults.run_vars_plugins defaults.syslog_facility defaults.system_warnings
    defaults.target_log_info defaults.use_persistent_connections defaults.vault_identity
    defaults.verbose_to_stderr defaults.win_async_startup_timeout defaults.allow_world_readable_tmpfiles
    defaults.host_pattern_mismatch defaults.show_per_host_start
    connection.pipelining ssh_connection.pipelining ssh_connection.control_path ssh_connection.control_path_dir
    ssh_connection.scp_if_ssh ssh_connection.sftp_batch_mode ssh_connection.transfer_method
    ssh_connection.ssh_executable ssh_connection.usetty ssh_connection.use_tty
    ssh_connection.scp_extra_args ssh_connection.sftp_extra_args ssh_connection.reconnection_retries
    inventory.inventory_unparsed_warning inventory.host_pattern_mismatch inventory.ignore_extensions
    privilege_escalation.agnostic_become_prompt privilege_escalation.become_allow_same_user
"""
HARMLESS = frozenset(_HARMLESS.split())
HARMLESS_SECTIONS = frozenset({"galaxy", "colors", "paramiko_connection", "persistent_connection",
                               "netconf_connection", "testing", "selinux"})  # fmt: skip

# A playbook would mean something else. Place -> (environment variable, the value that changes nothing).
REFUSED = {
    "defaults.hash_behaviour": ("ANSIBLE_HASH_BEHAVIOUR", "replace"),
    "defaults.error_on_undefined_vars": ("ANSIBLE_ERROR_ON_UNDEFINED_VARS", "true"),
    "defaults.jinja2_extensions": ("ANSIBLE_JINJA2_EXTENSIONS", ""),
    "defaults.precedence": ("ANSIBLE_PRECEDENCE", ""),
    "defaults.any_errors_fatal": ("ANSIBLE_ANY_ERRORS_FATAL", "false"),
    "defaults.task_timeout": ("ANSIBLE_TASK_TIMEOUT", "0"),
    "defaults.module_args": ("ANSIBLE_MODULE_ARGS", ""),
    "defaults.playbook_vars_root": ("ANSIBLE_PLAYBOOK_VARS_ROOT", "top"),
}

# Set in the environment they earn a notice; any other name in the environment is nothing of Ansible's.
NOTICED = {
    "ANSIBLE_LIBRARY": "modules of your own are not loaded",
    "ANSIBLE_ACTION_PLUGINS": "plugins of your own are not loaded",
    "ANSIBLE_FILTER_PLUGINS": "plugins of your own are not loaded",
    "ANSIBLE_LOOKUP_PLUGINS": "plugins of your own are not loaded",
    "ANSIBLE_CALLBACK_PLUGINS": "plugins of your own are not loaded",
    "ANSIBLE_STDOUT_CALLBACK": "--output says how a run is shown",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "results are shown as JSON",
    "ANSIBLE_LOG_PATH": "every run is recorded; see `wxops runs`",
    "ANSIBLE_TASK_DEBUGGER": "there is no debugger",
    "ANSIBLE_ENABLE_TASK_DEBUGGER": "there is no debugger",
    "ANSIBLE_BECOME_EXE": "sudo is found on the host's PATH",
    "ANSIBLE_SSH_EXECUTABLE": "ssh is not started",
}
