/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant refuses although it is well-formed. */
#ifndef EXCHANGE_POLICY_H
#define EXCHANGE_POLICY_H

#include <stddef.h>

#include "base/scheme.h"
#include "cpix/cpix.h"

struct failure;
struct tenant_config;

/* Whether the tenant is served in this version. Returns 0, or -1 with 422 and the standard text
 * for a version that is not supported. */
int policy_version(const struct tenant_config *config, enum speke_version version,
                   struct failure *f);
/* Judges the content id, the encryption contract and the recipients' list of a document that was
 * read. Tells each fault to the sink, as the checks of the document do, until it wants no more; the
 * place ends with the setting in brackets. The texts are "Requested CPIX encryption contract not
 * supported" (SPEKE v2.0) and one line of our own for a content id that is not served and when keys
 * may leave encrypted only. In SPEKE v1 there is no contract. Returns how many it told. */
size_t policy_check(const struct tenant_config *config, const struct cpix_document *doc,
                    enum speke_version version, cpix_fault_sink sink, void *context);

#endif
