/* SPDX-License-Identifier: Apache-2.0 */
/* What a key provider would say to a document: every fault, not the first alone. */
#ifndef CTL_LINT_H
#define CTL_LINT_H

#include <jansson.h>
#include <stddef.h>

#include "base/scheme.h"

struct cpix_document;
struct tenant_config;

/* The version that a document is meant for, by what its root says: CPIX@version, else v1 for a root
 * with @id. A document does not tell its version otherwise. */
enum speke_version lint_guess_version(const struct cpix_document *doc);

/* Checks n bytes as the service does for a tenant of that configuration, in that version or, when
 * it is NULL, in the one that is guessed; *used gets which. Returns an array of objects, in the
 * order of the checks: line (0 when it is not known), place, rule (its number in the fact sheet of
 * SPEKE, "limit" for the program's own, "policy" for the tenant's) and text (what the client would
 * get, were it the first). NULL when memory ran out. cpix_setup() has been called. */
json_t *lint_document(const void *bytes, size_t n, const struct tenant_config *config,
                      const enum speke_version *version, enum speke_version *used);

#endif
