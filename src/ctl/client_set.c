/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl client set: what a client may do, from where and until when. */
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/output.h"

/* What lifts a restriction, in place of its value. */
static const char ANY_ADDRESS[] = "any", NO_TIME[] = "never";

static const char NOT_UTF_8[] = "a value is not UTF-8";

static const struct ctl_option ROWS[] = {
    {"address", '\0', "ADDRESS",
     "an address or network (CIDR) that it may ask from; may be repeated;\n"
     "\"any\" for all"},
    {"fetch-only", '\0', NULL, "it gets keys that exist and makes none"},
    {"create", '\0', NULL, "it makes keys, too"},
    {"from", '\0', "TIME", "it is refused before; \"never\" lifts that"},
    {"until", '\0', "TIME", "it is refused from then on; \"never\" lifts that"},
};

/* The networks as an array, null for any. NULL when it has said why there is none. */
static json_t *networks(const struct ctl_arguments *args)
{
    json_t *list = json_array();
    const char *value;
    bool any = false;
    size_t n = 0;
    for (; (value = option_nth(args, "address", n)) != NULL; n++) {
        any = any || strcmp(value, ANY_ADDRESS) == 0;
        if (json_array_append_new(list, json_string(value)) != 0) {
            json_decref(list);
            (void)ctl_fail(CTL_USAGE, "%s", NOT_UTF_8);
            return NULL;
        }
    }
    if (!any)
        return list;
    json_decref(list);
    if (n == 1)
        return json_null();
    (void)ctl_fail(CTL_USAGE, "--address %s beside other addresses", ANY_ADDRESS);
    return NULL;
}

static json_t *time_or_null(const char *value)
{
    return strcmp(value, NO_TIME) == 0 ? json_null() : json_string(value);
}

/* The changes as client_set() wants them; returns an enum ctl_exit. */
static int gather(const struct ctl_arguments *args, json_t *changes)
{
    static const struct {
        const char *option, *member;
    } TIMES[] = {{"from", "valid_from"}, {"until", "valid_until"}};
    const bool fetch_only = option_given(args, "fetch-only"), create = option_given(args, "create");
    int failed = 0;
    if (fetch_only && create)
        return ctl_fail(CTL_USAGE, "--fetch-only and --create");
    if (fetch_only || create)
        failed |= json_object_set_new(changes, "fetch_only", json_boolean(fetch_only));
    if (option_given(args, "address")) {
        json_t *list = networks(args);
        if (list == NULL)
            return CTL_USAGE;
        failed |= json_object_set_new(changes, "addresses", list);
    }
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        const char *value = option_value(args, TIMES[i].option);
        if (value != NULL)
            failed |= json_object_set_new(changes, TIMES[i].member, time_or_null(value));
    }
    if (failed != 0)
        return ctl_fail(CTL_USAGE, "%s", NOT_UTF_8);
    if (json_object_size(changes) == 0)
        return ctl_fail(CTL_USAGE, "client set wants at least one option");
    return CTL_DONE;
}

static int store(struct ctl *ctl, const char *name, const char *changes)
{
    const char *const parameters[] = {name, changes};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = database_command(db, "SELECT speke.client_set($1, $2::jsonb)", 2, parameters);
    PQfinish(db);
    return code;
}

static int run_set(struct ctl *ctl, const struct ctl_arguments *args)
{
    const char *name = args->words[0];
    json_t *changes = json_object();
    int code = gather(args, changes);
    if (code == CTL_DONE) {
        char *text = json_dumps(changes, JSON_COMPACT);
        code = text == NULL ? ctl_fail_memory() : store(ctl, name, text);
        free(text);
    }
    if (code == CTL_DONE)
        ctl_say(ctl, "client \"%s\" set", name);
    if (code != CTL_DONE || !ctl->json) {
        json_decref(changes);
        return code;
    }
    return output_object(ctl, NULL, 0, json_pack("{s:s, s:o}", "client", name, "set", changes));
}

const struct ctl_command client_set_command = {
    .name = "client set",
    .words = "NAME",
    .summary = "Set from where a client may ask, for what, and until when.",
    .notes = "What is not named stays as it is. TIME is ISO 8601, in UTC unless it names a zone:\n"
             "2027-01-31, 2027-01-31T18:00, 2027-01-31T18:00+01. The service obeys from its next\n"
             "request on.",
    .options = CTL_OPTIONS(ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_set,
};
