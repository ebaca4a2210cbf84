/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_select.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "ctl/ctl.h"
#include "ctl/database.h"

enum { PATTERN_MAX = 16384 };

/* Adds a text. Returns an enum ctl_exit; a NULL value adds nothing. */
static int add(json_t *selection, const char *name, const char *value)
{
    if (value == NULL)
        return CTL_DONE;
    if (utf8_valid_prefix(value, strlen(value)) != strlen(value))
        return ctl_fail(CTL_USAGE, "--%s: not UTF-8", name);
    return json_object_set_new(selection, name, json_string(value)) == 0 ? CTL_DONE
                                                                         : ctl_fail_memory();
}

/* Turns a glob into a pattern of LIKE, or into the text that it is when nothing in it stands for
 * another, which an index finds. Returns whether it is a pattern. */
static bool convert(const char *glob, struct buf *pattern, struct buf *text)
{
    bool wild = false;
    for (const char *p = glob; *p != '\0'; p++) {
        if (*p == '*' || *p == '?') {
            wild = true;
            buf_putc(pattern, *p == '*' ? '%' : '_');
            continue;
        }
        if (*p == '\\' && p[1] != '\0')
            p++;
        if (*p == '%' || *p == '_' || *p == '\\')
            buf_putc(pattern, '\\');
        buf_putc(pattern, *p);
        buf_putc(text, *p);
    }
    buf_put_u8(pattern, 0);
    buf_put_u8(text, 0);
    return wild;
}

static int add_contents(json_t *selection, const char *glob)
{
    struct buf pattern, text;
    int code;
    if (glob == NULL)
        return CTL_DONE;
    buf_init(&pattern, PATTERN_MAX);
    buf_init(&text, PATTERN_MAX);
    const bool wild = convert(glob, &pattern, &text);
    if (!buf_ok(&pattern) || !buf_ok(&text))
        code = ctl_fail(CTL_USAGE, "--content-id: too long");
    else if (wild)
        code = add(selection, "content_like", (const char *)pattern.data);
    else
        code = add(selection, "content_id", (const char *)text.data);
    buf_free(&pattern);
    buf_free(&text);
    return code;
}

static int add_kids(json_t *selection, const struct ctl_arguments *args)
{
    struct uuid kid;
    const char *text;
    if (!option_given(args, "kid"))
        return CTL_DONE;
    json_t *kids = json_array();
    if (json_object_set_new(selection, "kids", kids) != 0)
        return ctl_fail_memory();
    for (size_t i = 0; (text = option_nth(args, "kid", i)) != NULL; i++) {
        if (uuid_parse(text, &kid) != 0)
            return ctl_fail(CTL_USAGE, "--kid: %s is not a UUID", text);
        if (json_array_append_new(kids, json_string(text)) != 0)
            return ctl_fail_memory();
    }
    return CTL_DONE;
}

static int add_kek(json_t *selection, const char *text)
{
    long version;
    if (text == NULL)
        return CTL_DONE;
    if (option_number(text, 1, INT32_MAX, &version) != 0)
        return ctl_fail(CTL_USAGE, "--kek: a number from 1 to %d", INT32_MAX);
    return json_object_set_new(selection, "kek_version", json_integer(version)) == 0
               ? CTL_DONE
               : ctl_fail_memory();
}

static int add_state(json_t *selection, const char *text)
{
    static const char *const STATES[] = {"active", "revoked", "destroyed", "kept"};
    for (size_t i = 0; text != NULL && i < sizeof STATES / sizeof STATES[0]; i++) {
        if (strcmp(text, STATES[i]) == 0)
            return add(selection, "state", text);
    }
    return text == NULL ? CTL_DONE
                        : ctl_fail(CTL_USAGE, "--state: active, revoked, destroyed or kept");
}

json_t *key_selection(const struct ctl_arguments *args, int *code)
{
    json_t *selection = json_object();
    *code = selection != NULL ? CTL_DONE : ctl_fail_memory();
    if (*code == CTL_DONE)
        *code = add(selection, "tenant", option_value(args, "tenant"));
    if (*code == CTL_DONE)
        *code = add_contents(selection, option_value(args, "content-id"));
    if (*code == CTL_DONE)
        *code = add_kids(selection, args);
    if (*code == CTL_DONE)
        *code = add(selection, "period", option_value(args, "period"));
    if (*code == CTL_DONE)
        *code = add(selection, "created_from", option_value(args, "since"));
    if (*code == CTL_DONE)
        *code = add(selection, "created_to", option_value(args, "before"));
    if (*code == CTL_DONE)
        *code = add_state(selection, option_value(args, "state"));
    if (*code == CTL_DONE)
        *code = add_kek(selection, option_value(args, "kek"));
    if (*code == CTL_DONE)
        return selection;
    json_decref(selection);
    return NULL;
}

char *key_selection_text(json_t *selection)
{
    char *text = json_dumps(selection, JSON_COMPACT);
    json_decref(selection);
    return text;
}

int key_count(PGconn *db, const char *selection, struct key_count *out)
{
    int code;
    const char *const parameters[] = {selection};
    PGresult *result = database_query(
        db, &code, "SELECT keys, contents FROM speke.key_count($1::jsonb)", 1, parameters);
    if (result == NULL)
        return code;
    out->keys = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    out->contents = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    PQclear(result);
    return CTL_DONE;
}
