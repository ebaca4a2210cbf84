/* SPDX-License-Identifier: Apache-2.0 */
/* A CPIX document, request or answer, as JSON: what "spekectl show" and "spekectl request" tell. */
#ifndef CTL_DESCRIBE_H
#define CTL_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/scheme.h"

struct arena;
struct cpix_document;
struct opened;

/* Describes a document that was read: keys by their fingerprints, and with reveal themselves;
 * texts decoded, boxes and headers taken apart. Keys that travel encrypted are told of when
 * open_document() has opened them. NULL when memory ran out. Takes the reference to faults, an
 * array, which becomes a member unless it is NULL. */
json_t *answer_describe(const struct cpix_document *got, enum speke_version version,
                        struct arena *arena, bool reveal, json_t *faults);
/* Adds to a description what open_document() has shown. Returns 0, or -1 when memory ran out. */
int answer_describe_opened(const struct opened *opened, json_t *description);

#endif
