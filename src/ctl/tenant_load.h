/* SPDX-License-Identifier: Apache-2.0 */
/* How a tenant is served, as its settings in the database say. */
#ifndef CTL_TENANT_LOAD_H
#define CTL_TENANT_LOAD_H

struct ctl;
struct tenant_config;

/* Reads the settings as the service does. Returns an enum ctl_exit, having said what is wrong: no
 * such tenant, or settings that the service would stumble over. *out is freed with
 * tenant_config_free() either way. cpix_setup() has been called. */
int tenant_load(struct ctl *ctl, const char *tenant, struct tenant_config *out);

#endif
