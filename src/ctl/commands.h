/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands, each defined in a file of its name. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/ctl.h"

extern const struct ctl_command db_init_command, db_status_command;
extern const struct ctl_command kek_create_command, kek_list_command, kek_activate_command,
    kek_retire_command, kek_destroy_command, kek_rewrap_command, kek_escrow_command,
    kek_recover_command;
extern const struct ctl_command tenant_add_command, tenant_list_command;
extern const struct ctl_command client_add_command, client_list_command, client_passwd_command,
    client_set_command, client_disable_command, client_enable_command;
extern const struct ctl_command key_list_command, key_show_command, key_revoke_command,
    key_restore_command, key_destroy_command, key_retain_command, key_import_command,
    key_export_command;
extern const struct ctl_command audit_tail_command, audit_seal_command, audit_checkpoint_command,
    audit_verify_command, audit_export_command, audit_archive_command;
extern const struct ctl_command drm_show_command, drm_set_command, drm_unset_command;
extern const struct ctl_command policy_show_command, policy_set_command, policy_unset_command;
extern const struct ctl_command token_key_add_command, token_key_list_command,
    token_key_disable_command, token_key_enable_command, token_key_remove_command,
    token_key_rewrap_command, token_issue_command;
extern const struct ctl_command status_command;
extern const struct ctl_command config_command;
extern const struct ctl_command request_command, lint_command, show_command;

#endif
