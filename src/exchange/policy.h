/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant refuses although it is well-formed. */
#ifndef EXCHANGE_POLICY_H
#define EXCHANGE_POLICY_H

#include "base/scheme.h"

struct cpix_document;
struct failure;
struct tenant_config;

/* Whether the tenant is served in this version. Returns 0, or -1 with 422 and the standard text
 * for a version that is not supported. */
int policy_version(const struct tenant_config *config, enum speke_version version,
                   struct failure *f);
/* Judges the encryption contract and the recipients' list of a document that passed the checks.
 * Returns 0, or -1 with 422: "Requested CPIX encryption contract not supported" (SPEKE v2.0), or
 * one line of our own when keys may leave encrypted only. In SPEKE v1 there is no contract. */
int policy_document(const struct tenant_config *config, const struct cpix_document *doc,
                    struct failure *f);

#endif
