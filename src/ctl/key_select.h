/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a command is about: the options that say it, and the selection that the SQL functions
 * take (migration 8, key_condition()). */
#ifndef CTL_KEY_SELECT_H
#define CTL_KEY_SELECT_H

#include <jansson.h>
#include <libpq-fe.h>

struct ctl_arguments;

/* Rows of an option table. The tenant is apart, as some commands must have one. */
#define KEY_SELECT_TENANT                               \
    {                                                   \
        "tenant", '\0', "TENANT", "keys of this tenant" \
    }
#define KEY_SELECT_OPTIONS                                                               \
    {"content-id", '\0', "GLOB",                                                         \
     "of contents that match; * and ? stand for any text and "                           \
     "character, \\ takes their meaning away"},                                          \
        {"kid", '\0', "UUID", "with this KID; may be given more than once"},             \
        {"period", '\0', "ID", "that belong to a period with this id or index"},         \
        {"since", '\0', "TIME", "made at this time or later, such as 2026-01-31 (UTC)"}, \
        {"before", '\0', "TIME", "made before this time"},                               \
        {"state", '\0', "STATE",                                                         \
         "in this state: active, revoked, destroyed, kept (not destroyed)"},             \
    {                                                                                    \
        "kek", '\0', "N", "sealed under this version of the KEK"                         \
    }

/* The selection that the options make, {} for none of them; NULL when it has said what is wrong
 * with them, with the exit code in *code. */
json_t *key_selection(const struct ctl_arguments *args, int *code);
/* The selection as the text that is sent; freed with free(). Takes the reference. NULL when memory
 * ran out. */
char *key_selection_text(json_t *selection);

struct key_count {
    long long keys, contents;
};
/* Counts the keys of a selection. Returns an enum ctl_exit. */
int key_count(PGconn *db, const char *selection, struct key_count *out);

#endif
