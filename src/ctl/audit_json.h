/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and seals of the audit as JSON, for export and for verification without the database. What
 * is written reads back to the same bytes. */
#ifndef CTL_AUDIT_JSON_H
#define CTL_AUDIT_JSON_H

#include <jansson.h>

#include "ctl/audit_record.h"

/* A value of column number i; one that has no usual form becomes {"binary": "hexadecimal"}. NULL
 * when memory ran out. */
json_t *audit_field_json(size_t i, const struct audit_field *field);
/* The object {"type": "event", "event_id": ..., ...}. NULL when memory ran out. */
json_t *audit_row_json(const struct audit_row *row);
/* The row of such an object; its bytes are put into storage, which is cleared first. Returns 0, or
 * -1 when the object is none. */
int audit_row_parse(const json_t *object, struct audit_row *row, struct buf *storage);

/* The object {"type": "seal", ...}, with event_ids and leaves when the seal has them. NULL when
 * memory ran out. */
json_t *audit_seal_json(const struct audit_seal *seal);
/* Fills *seal, to be cleared by the caller. Returns 0 or -1. */
int audit_seal_parse(json_t *object, struct audit_seal *seal);

#endif
