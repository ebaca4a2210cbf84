/* SPDX-License-Identifier: Apache-2.0 */
/* The step of an exchange that fills the DRMSystem elements. */
#ifndef EXCHANGE_SIGNAL_H
#define EXCHANGE_SIGNAL_H

struct arena;
struct cpix_document;
struct failure;
struct keystore_slot;
struct settings;
struct tenant_config;

/* Gives every placeholder of a checked document its value: what the DRM system says for the KID
 * and key by the tenant's configuration, "" for an element that stays empty, NULL for one that is
 * left out; and robustness, HLSAllowedCPC and HDCPData, which only SPEKE v2.1 has. slots are those
 * of the ContentKeys, in the same order, with their keys. Values are in the arena. Returns 0, or -1
 * with the failure set. */
int signal_systems(struct cpix_document *doc, const struct keystore_slot *slots,
                   const struct settings *settings, const struct tenant_config *config,
                   const char *base_url, struct arena *arena, struct failure *f);

#endif
