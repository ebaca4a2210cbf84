/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl drm show, set, unset and spekectl policy show, set, unset: the settings of tenants. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "cpix/cpix.h"
#include "ctl/commands.h"
#include "ctl/database.h"
#include "ctl/file.h"
#include "ctl/output.h"
#include "drm/drm.h"
#include "drm/template.h"
#include "exchange/tenant.h"
#include "exchange/tenant_options.h"

enum { VALUE_MAX = 65536 };

/* What stands for the tenant as a whole where a DRM system is named. */
static const char WHOLE[] = "all";

/* --- What is meant -------------------------------------------------------------------------- */

/* A setting as it was named on the command line. */
struct target {
    const char *tenant, *name;
    char system[UUID_TEXT_SIZE]; /* "" for the whole tenant */
    const struct tenant_option *option;
};

static const char *family_name(enum tenant_family family)
{
    return family == TENANT_DRM ? "drm" : "policy";
}

static int find_option(struct target *t, enum tenant_family family, const struct uuid *id,
                       const char *system)
{
    t->option = tenant_option_find(id, t->name);
    if (t->option == NULL)
        return ctl_fail(CTL_USAGE,
                        "%s: %s has no such setting (\"spekectl %s set --help\" lists "
                        "them)",
                        t->name, system, family_name(family));
    if (t->option->family != family)
        return ctl_fail(CTL_USAGE, "%s: belongs to \"spekectl %s\"", t->name,
                        family_name(t->option->family));
    return CTL_DONE;
}

/* TENANT [SYSTEM] NAME, the system for drm alone. */
static int read_target(enum tenant_family family, const struct ctl_arguments *args,
                       struct target *t)
{
    struct uuid id;
    const char *system = family == TENANT_DRM ? args->words[1] : WHOLE;
    *t = (struct target){
        .tenant = args->words[0],
        .name = args->words[family == TENANT_DRM ? 2 : 1],
    };
    if (strcmp(system, WHOLE) == 0)
        return find_option(t, family, NULL, family == TENANT_DRM ? "all" : "a policy");
    if (tenant_system_parse(system, strlen(system), &id) != 0)
        return ctl_fail(CTL_USAGE, "%s: neither a DRM system's name, nor a system ID, nor \"%s\"",
                        system, WHOLE);
    uuid_format(&id, t->system);
    return find_option(t, family, &id, system);
}

/* --- Changing ------------------------------------------------------------------------------- */

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

/* The settings of a system from templates, which may name each other. */
static int judge_rows(const struct target *t, const json_t *rows)
{
    struct drm_settings settings = DRM_DEFAULT_SETTINGS;
    struct uuid id;
    char why[256];
    size_t i;
    const json_t *row;
    (void)uuid_parse(t->system, &id); /* it was formatted from one */
    json_array_foreach(rows, i, row)
    {
        const char *value = json_string_value(json_object_get(row, "value"));
        const char *name = json_string_value(json_object_get(row, "name"));
        const struct tenant_option *o = name == NULL ? NULL : tenant_option_find(&id, name);
        /* What an older version let in and this one does not is not its matter. */
        if (o != NULL && value != NULL && tenant_option_check(o, value, why, sizeof why) == 0)
            tenant_option_store(o, value, &settings);
    }
    if (tenant_templates_check(&settings, why, sizeof why) != 0)
        return ctl_fail(CTL_USAGE, "%s", why);
    return CTL_DONE;
}

static int judge_system(PGconn *db, const struct target *t)
{
    const char *const parameters[] = {t->tenant, t->system};
    int code;
    if (t->system[0] == '\0')
        return CTL_DONE;
    json_t *rows = database_list(db, &code,
                                 "SELECT name, value FROM speke.v_setting "
                                 "WHERE tenant = $1 AND system = $2::uuid",
                                 2, parameters);
    if (rows != NULL)
        code = judge_rows(t, rows);
    json_decref(rows);
    return code;
}

/* Makes a change and takes it back when the settings do not go together then. Changes wait for one
 * another at the generation of the configuration, so what is judged is what there will be. */
static int change(PGconn *db, const struct target *t, const char *sql, int count,
                  const char *const *parameters)
{
    int code = database_command(db, "BEGIN", 0, NULL);
    if (code == CTL_DONE)
        code = database_command(db, sql, count, parameters);
    if (code == CTL_DONE)
        code = judge_system(db, t);
    if (code != CTL_DONE)
        return code; /* the connection is closed, which takes the change back */
    return database_command(db, "COMMIT", 0, NULL);
}

/* --- set ------------------------------------------------------------------------------------ */

/* The value from the command line, or of the file without line ends at its end. */
static int read_value(const struct ctl_arguments *args, size_t place, struct buf *out)
{
    char why[512];
    const char *file = option_value(args, "file");
    if ((file != NULL) == (args->word_count > place))
        return ctl_fail(CTL_USAGE, file != NULL ? "a value and --file" : "a value is missing");
    if (file == NULL)
        buf_puts(out, args->words[place]);
    else if (file_slurp_named(file, out, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    while (file != NULL && out->len > 0 && strchr("\r\n", out->data[out->len - 1]) != NULL)
        out->len--;
    const bool zero = out->len > 0 && memchr(out->data, '\0', out->len) != NULL;
    buf_putc(out, '\0');
    if (!buf_ok(out) || zero)
        return ctl_fail(CTL_USAGE, "the value holds a zero byte or is longer than %d bytes",
                        VALUE_MAX);
    return CTL_DONE;
}

static int store(struct ctl *ctl, const struct target *t, const char *value)
{
    const char *const parameters[] = {t->tenant, or_null(t->system), t->name, value};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = change(db, t, "SELECT speke.setting_set($1, $2::uuid, $3, $4)", 4, parameters);
    PQfinish(db);
    if (code == CTL_DONE)
        ctl_say(ctl, "tenant \"%s\": %s set", t->tenant, t->name);
    return code;
}

static int set(enum tenant_family family, struct ctl *ctl, const struct ctl_arguments *args)
{
    struct target t;
    struct buf value;
    char why[512];
    int code = read_target(family, args, &t);
    if (code != CTL_DONE)
        return code;
    cpix_setup();
    buf_init(&value, VALUE_MAX + 1);
    code = read_value(args, family == TENANT_DRM ? 3 : 2, &value);
    if (code == CTL_DONE &&
        tenant_option_check(t.option, (const char *)value.data, why, sizeof why) != 0)
        code = ctl_fail(CTL_USAGE, "%s: %s", t.name, why);
    if (code == CTL_DONE)
        code = store(ctl, &t, (const char *)value.data);
    buf_free(&value);
    return code;
}

static int run_drm_set(struct ctl *ctl, const struct ctl_arguments *args)
{
    return set(TENANT_DRM, ctl, args);
}

static int run_policy_set(struct ctl *ctl, const struct ctl_arguments *args)
{
    return set(TENANT_POLICY, ctl, args);
}

/* --- unset ---------------------------------------------------------------------------------- */

static int unset(enum tenant_family family, struct ctl *ctl, const struct ctl_arguments *args)
{
    struct target t;
    int code = read_target(family, args, &t);
    if (code != CTL_DONE)
        return code;
    const char *const parameters[] = {t.tenant, or_null(t.system), t.name};
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    code = change(db, &t, "SELECT speke.setting_unset($1, $2::uuid, $3)", 3, parameters);
    PQfinish(db);
    if (code == CTL_DONE)
        ctl_say(ctl, "tenant \"%s\": %s has its default again", t.tenant, t.name);
    return code;
}

static int run_drm_unset(struct ctl *ctl, const struct ctl_arguments *args)
{
    return unset(TENANT_DRM, ctl, args);
}

static int run_policy_unset(struct ctl *ctl, const struct ctl_arguments *args)
{
    return unset(TENANT_POLICY, ctl, args);
}

/* --- show ----------------------------------------------------------------------------------- */

static const char *system_name(const char *uuid)
{
    struct uuid id;
    if (uuid[0] == '\0')
        return WHOLE;
    for (size_t i = 0; uuid_parse(uuid, &id) == 0 && i < DRM_SYSTEMS; i++) {
        if (uuid_equal(drm_id(drm_at(i)), &id))
            return drm_name(drm_at(i));
    }
    return uuid;
}

/* A setting that this version does not know is shown by both families. */
static bool is_shown(enum tenant_family family, const char *system, const char *name)
{
    struct uuid id;
    const bool whole = system[0] == '\0';
    if (!whole && uuid_parse(system, &id) != 0)
        return true;
    const struct tenant_option *o = tenant_option_find(whole ? NULL : &id, name);
    return o == NULL || o->family == family;
}

static const char *member(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text == NULL ? "" : text;
}

/* Keeps the rows of the family and gives the systems their names. Returns 0 or -1. */
static int choose_rows(enum tenant_family family, json_t *rows)
{
    for (size_t i = json_array_size(rows); i-- > 0;) {
        json_t *row = json_array_get(rows, i);
        const char *system = member(row, "system");
        if (!is_shown(family, system, member(row, "name"))) {
            if (json_array_remove(rows, i) != 0)
                return -1;
        } else if (json_object_set_new(row, "system", json_string(system_name(system))) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_tenant(PGconn *db, const char *tenant)
{
    const char *const parameters[] = {tenant};
    int code = CTL_DONE;
    json_t *rows = database_list(db, &code, "SELECT name FROM speke.v_tenant WHERE name = $1", 1,
                                 parameters);
    if (rows != NULL && json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "no tenant \"%s\"", tenant);
    json_decref(rows);
    return code;
}

static int show(enum tenant_family family, struct ctl *ctl, const struct ctl_arguments *args)
{
    static const struct column COLUMNS[] = {
        {"name", "NAME", false, 0},
        {"system", "SYSTEM", false, 0},
        {"changed_at", "CHANGED", false, 0},
        {"value", "VALUE", true, 16},
    };
    const char *const parameters[] = {args->words[0]};
    int code;
    PGconn *db = database_open(ctl, &code);
    if (db == NULL)
        return code;
    json_t *rows = NULL;
    code = check_tenant(db, parameters[0]);
    if (code == CTL_DONE)
        rows = database_list(db, &code,
                             "SELECT coalesce(system::text, '') AS system, name, value, "
                             "to_char(changed_at AT TIME ZONE 'UTC', '" CTL_TIME "') AS changed_at "
                             "FROM speke.v_setting WHERE tenant = $1 "
                             "ORDER BY v_setting.system NULLS FIRST, name COLLATE \"C\"",
                             1, parameters);
    PQfinish(db);
    if (rows == NULL)
        return code;
    if (choose_rows(family, rows) != 0) {
        json_decref(rows);
        return ctl_fail_memory();
    }
    return output_rows(ctl, CTL_COLUMNS(COLUMNS), rows);
}

static int run_drm_show(struct ctl *ctl, const struct ctl_arguments *args)
{
    return show(TENANT_DRM, ctl, args);
}

static int run_policy_show(struct ctl *ctl, const struct ctl_arguments *args)
{
    return show(TENANT_POLICY, ctl, args);
}

/* --- help ----------------------------------------------------------------------------------- */

static void print_names(FILE *out, const char *of, enum template_use use)
{
    struct buf names;
    buf_init(&names, VALUE_MAX);
    template_names(use, &names);
    buf_putc(&names, '\0');
    if (buf_ok(&names))
        (void)fprintf(out, "  %-20s %s\n", of, (const char *)names.data);
    buf_free(&names);
}

static void print_drm_settings(FILE *out)
{
    (void)fprintf(out, "SYSTEM is one of");
    for (size_t i = 0; i < DRM_SYSTEMS; i++)
        (void)fprintf(out, " %s", drm_name(drm_at(i)));
    (void)fprintf(out,
                  ", a system ID (UUID)\nof any other system, or %s.\n\nSettings, and the "
                  "systems that have them:\n",
                  WHOLE);
    tenant_options_help(TENANT_DRM, out);
    (void)fprintf(out, "\nNames in templates:\n");
    print_names(out, "hls_uri", TEMPLATE_URI);
    print_names(out, "content_protection", TEMPLATE_XML);
    print_names(out, "pssh", TEMPLATE_DATA);
}

static void print_policy_settings(FILE *out)
{
    (void)fprintf(out, "Settings:\n");
    tenant_options_help(TENANT_POLICY, out);
}

static const struct ctl_option SET_OPTIONS[] = {
    {"file", '\0', "FILE", "read the value from a file, - for standard input"},
};

static const char IN_FORCE[] =
    "The service obeys from its next request on; nothing has to be restarted.";

const struct ctl_command drm_show_command = {
    .name = "drm show",
    .words = "TENANT",
    .summary = "Show what a tenant has set for its DRM systems.",
    .notes = "What is not listed has its default; \"spekectl drm set --help\" tells them.",
    .least_words = 1,
    .most_words = 1,
    .run = run_drm_show,
};

const struct ctl_command drm_set_command = {
    .name = "drm set",
    .words = "TENANT SYSTEM NAME VALUE",
    .summary = "Set what answers to a tenant say for a DRM system.",
    .notes = IN_FORCE,
    .more = print_drm_settings,
    .options = CTL_OPTIONS(SET_OPTIONS),
    .least_words = 3,
    .most_words = 4,
    .run = run_drm_set,
};

const struct ctl_command drm_unset_command = {
    .name = "drm unset",
    .words = "TENANT SYSTEM NAME",
    .summary = "Give a setting of a DRM system its default again.",
    .notes = IN_FORCE,
    .least_words = 3,
    .most_words = 3,
    .run = run_drm_unset,
};

const struct ctl_command policy_show_command = {
    .name = "policy show",
    .words = "TENANT",
    .summary = "Show what has been set of a tenant's policy.",
    .notes = "What is not listed has its default; \"spekectl policy set --help\" tells them.",
    .least_words = 1,
    .most_words = 1,
    .run = run_policy_show,
};

const struct ctl_command policy_set_command = {
    .name = "policy set",
    .words = "TENANT NAME VALUE",
    .summary = "Set what a tenant gets at all: versions, contracts, recipients.",
    .notes = IN_FORCE,
    .more = print_policy_settings,
    .options = CTL_OPTIONS(SET_OPTIONS),
    .least_words = 2,
    .most_words = 3,
    .run = run_policy_set,
};

const struct ctl_command policy_unset_command = {
    .name = "policy unset",
    .words = "TENANT NAME",
    .summary = "Give a setting of a tenant's policy its default again.",
    .notes = IN_FORCE,
    .least_words = 2,
    .most_words = 2,
    .run = run_policy_unset,
};
