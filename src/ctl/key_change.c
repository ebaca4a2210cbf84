/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl key revoke, key restore, key destroy, key retain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/key_select.h"
#include "ctl/output.h"

enum { REASON_CHARACTERS = 1024, DAYS_MAX = 36500 };

/* What is done to the keys. */
struct change {
    const char *statement;
    const char *state; /* of those that it can be done to */
    const char *done;
    bool final; /* wants --yes */
};

static const struct change REVOKE = {
    .statement = "SELECT speke.key_revoke($1::jsonb, $2)",
    .state = "active",
    .done = "revoked",
};
static const struct change RESTORE = {
    .statement = "SELECT speke.key_restore($1::jsonb, $2)",
    .state = "revoked",
    .done = "active again",
};
static const struct change DESTROY = {
    .statement = "SELECT speke.key_destroy($1::jsonb, $2)",
    .state = "kept",
    .done = "destroyed",
    .final = true,
};

/* A change under way. */
struct order {
    const struct change *change;
    const char *reason;
    bool dry, yes;
    bool may_be_none; /* that no key is selected is no failure */
};

static int report(const struct ctl *ctl, const struct order *o, long long keys)
{
    if (ctl->json)
        return output_object(ctl, NULL, 0,
                             json_pack("{s:I, s:s, s:b}", "keys", (json_int_t)keys, "state",
                                       o->change->done, "dry_run", o->dry));
    ctl_say(ctl, "%lld %s %s%s", keys, keys == 1 ? "key" : "keys",
            o->dry      ? "would be "
            : keys == 1 ? "is "
                        : "are ",
            o->change->done);
    return CTL_DONE;
}

/* Counts instead of changing. Returns an enum ctl_exit. */
static int count_only(const struct ctl *ctl, PGconn *db, const struct order *o,
                      const char *selection)
{
    struct key_count count;
    int code = key_count(db, selection, &count);
    if (code != CTL_DONE)
        return code;
    if (!o->dry && count.keys > 0)
        return ctl_fail(CTL_USAGE,
                        "%lld keys of %lld contents would be %s, which nobody can undo: --yes "
                        "does it, --dry-run counts",
                        count.keys, count.contents, o->change->done);
    return count.keys > 0 || o->may_be_none
               ? report(ctl, o, count.keys)
               : ctl_fail(CTL_FAILED, "no key is selected that could be %s", o->change->done);
}

static int change_keys(const struct ctl *ctl, PGconn *db, const struct order *o,
                       const char *selection)
{
    int code;
    const char *const parameters[] = {selection, o->reason};
    if (o->dry || (o->change->final && !o->yes))
        return count_only(ctl, db, o, selection);
    PGresult *result = database_query(db, &code, o->change->statement, 2, parameters);
    if (result == NULL)
        return code;
    const long long keys = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return keys > 0 || o->may_be_none
               ? report(ctl, o, keys)
               : ctl_fail(CTL_FAILED, "no key is selected that could be %s", o->change->done);
}

/* Takes the reference to the selection. */
static int run_order(struct ctl *ctl, const struct order *o, json_t *chosen)
{
    int code = CTL_DONE;
    if (json_object_get(chosen, "state") == NULL &&
        json_object_set_new(chosen, "state", json_string(o->change->state)) != 0)
        code = ctl_fail_memory();
    char *selection = key_selection_text(chosen);
    if (selection == NULL && code == CTL_DONE)
        code = ctl_fail_memory();
    PGconn *db = code == CTL_DONE ? database_open(ctl, &code) : NULL;
    if (db != NULL)
        code = change_keys(ctl, db, o, selection);
    PQfinish(db);
    free(selection);
    return code;
}

static int check_reason(const char *reason)
{
    size_t characters = 0;
    if (reason == NULL || reason[0] == '\0')
        return ctl_fail(CTL_USAGE, "--reason TEXT is needed: the audit keeps it");
    for (size_t left = strlen(reason); left > 0; characters++) {
        const size_t n = utf8_length(reason, left);
        if (n == 0 || utf8_is_control(reason, n))
            return ctl_fail(CTL_USAGE, "--reason: one line of UTF-8");
        reason += n;
        left -= n;
    }
    return characters <= REASON_CHARACTERS
               ? CTL_DONE
               : ctl_fail(CTL_USAGE, "--reason: at most %d characters", REASON_CHARACTERS);
}

static int run_change(struct ctl *ctl, const struct ctl_arguments *args,
                      const struct change *change)
{
    const struct order o = {
        .change = change,
        .reason = option_value(args, "reason"),
        .dry = option_given(args, "dry-run"),
        .yes = option_given(args, "yes"),
    };
    int code = o.dry ? CTL_DONE : check_reason(o.reason);
    json_t *chosen = code == CTL_DONE ? key_selection(args, &code) : NULL;
    if (chosen == NULL)
        return code;
    if (json_object_size(chosen) == 0) {
        json_decref(chosen);
        return ctl_fail(CTL_USAGE, "say which keys: --tenant, --content-id, --kid ...");
    }
    return run_order(ctl, &o, chosen);
}

static int run_revoke(struct ctl *ctl, const struct ctl_arguments *args)
{
    return run_change(ctl, args, &REVOKE);
}

static int run_restore(struct ctl *ctl, const struct ctl_arguments *args)
{
    return run_change(ctl, args, &RESTORE);
}

static int run_destroy(struct ctl *ctl, const struct ctl_arguments *args)
{
    return run_change(ctl, args, &DESTROY);
}

static const struct ctl_option CHANGE_ROWS[] = {
    KEY_SELECT_TENANT,
    KEY_SELECT_OPTIONS,
    {"reason", '\0', "TEXT", "why; the audit and \"key show\" tell it"},
    {"dry-run", '\0', NULL, "count the keys and change nothing"},
    {"yes", '\0', NULL, "do it"},
};

enum { CHANGE_COUNT = sizeof CHANGE_ROWS / sizeof CHANGE_ROWS[0] };

const struct ctl_command key_revoke_command = {
    .name = "key revoke",
    .words = "",
    .summary = "Give keys to nobody any more; \"key restore\" undoes it.",
    .options = {CHANGE_ROWS, CHANGE_COUNT - 1},
    .run = run_revoke,
};

const struct ctl_command key_restore_command = {
    .name = "key restore",
    .words = "",
    .summary = "Give keys again that were revoked.",
    .options = {CHANGE_ROWS, CHANGE_COUNT - 1},
    .run = run_restore,
};

const struct ctl_command key_destroy_command = {
    .name = "key destroy",
    .words = "",
    .summary = "Remove the values of keys for ever; their rows and their history stay.",
    .notes = "Nobody can undo it, and no other key is ever made or imported in their place.\n"
             "The values go from the table's files with its next VACUUM; backups keep theirs.",
    .options = CTL_OPTIONS(CHANGE_ROWS),
    .run = run_destroy,
};

/* --- retain --------------------------------------------------------------------------------- */

/* "400d" as an interval that SQL reads. Returns an enum ctl_exit. */
static int read_age(const char *text, char *out, size_t size)
{
    char digits[16];
    long days;
    const size_t n = text != NULL ? strlen(text) : 0;
    if (n > 1 && n < sizeof digits && text[n - 1] == 'd') {
        (void)snprintf(digits, sizeof digits, "%.*s", (int)n - 1, text);
        if (option_number(digits, 1, DAYS_MAX, &days) == 0) {
            (void)snprintf(out, size, "%ld days", days);
            return CTL_DONE;
        }
    }
    return ctl_fail(CTL_USAGE, "--older-than: days, such as 400d; at most %dd", DAYS_MAX);
}

static int run_retain(struct ctl *ctl, const struct ctl_arguments *args)
{
    char age[32], reason[96];
    const bool destroy = option_given(args, "destroy");
    const struct order o = {
        .change = destroy ? &DESTROY : &REVOKE,
        .reason = reason,
        .dry = option_given(args, "dry-run"),
        .yes = option_given(args, "yes"),
        .may_be_none = true,
    };
    int code = CTL_DONE;
    if (option_value(args, "tenant") == NULL)
        code = ctl_fail(CTL_USAGE, "--tenant TENANT is needed");
    else if (destroy == option_given(args, "revoke"))
        code = ctl_fail(CTL_USAGE, "either --revoke or --destroy");
    else
        code = read_age(option_value(args, "older-than"), age, sizeof age);
    json_t *chosen = code == CTL_DONE ? key_selection(args, &code) : NULL;
    if (chosen == NULL)
        return code;
    (void)snprintf(reason, sizeof reason, "retention: given to nobody for %s", age);
    if (json_object_set_new(chosen, "unused_for", json_string(age)) != 0) {
        json_decref(chosen);
        return ctl_fail_memory();
    }
    return run_order(ctl, &o, chosen);
}

static const struct ctl_option RETAIN_ROWS[] = {
    KEY_SELECT_TENANT,
    KEY_SELECT_OPTIONS,
    {"older-than", '\0', "DAYSd", "made, and given to anybody last, so many days ago"},
    {"revoke", '\0', NULL, "revoke these keys"},
    {"destroy", '\0', NULL, "destroy them"},
    {"dry-run", '\0', NULL, "count the keys and change nothing"},
    {"yes", '\0', NULL, "do it: needed with --destroy"},
};

const struct ctl_command key_retain_command = {
    .name = "key retain",
    .words = "",
    .summary = "Revoke or destroy the keys that nobody has asked for in a long time.",
    .notes = "For cron. When the audit does not reach back so far, it cannot tell, and nothing is\n"
             "done.",
    .options = CTL_OPTIONS(RETAIN_ROWS),
    .run = run_retain,
};
