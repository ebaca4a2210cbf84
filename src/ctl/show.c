/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl show: what is in a request or in an answer. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/printable.h"
#include "ctl/commands.h"
#include "ctl/describe.h"
#include "ctl/file.h"
#include "ctl/lint.h"
#include "ctl/open.h"
#include "ctl/output.h"
#include "ctl/request.h"

enum {
    ARENA_MAX = 128 * 1024 * 1024,
    DOCUMENT_MAX = 16 * 1024 * 1024,
    OUTPUT_MAX = 64 * 1024 * 1024,
    VALUE_SIZE = 16384,
    LABEL_WIDTH = 18
};

/* --- Tables ----------------------------------------------------------------------------------- */

static const struct column KEY_COLUMNS[] = {
    {"kid", "KID", false, 0},       {"track_types", "TRACKS", true, 0},
    {"scheme", "SCHEME", false, 0}, {"shown", "KEY", false, 0},
    {"iv", "IV", false, 0},         {"hdcp_level", "HDCP", false, 0},
};

static const struct column PERIOD_COLUMNS[] = {
    {"id", "ID", true, 0},
    {"index", "INDEX", false, 0},
    {"start", "START", false, 0},
    {"end", "END", false, 0},
    {"startOffset", "START OFFSET", false, 0},
    {"endOffset", "END OFFSET", false, 0},
};

static const struct column RULE_COLUMNS[] = {
    {"kid", "KID", false, 0},
    {"track_type", "TRACK TYPE", false, 0},
    {"shown", "FILTERS", true, 0},
};

static const struct column RECIPIENT_COLUMNS[] = {
    {"id", "ID", true, 0},          {"subject", "SUBJECT", true, 0}, {"bits", "RSA", false, 0},
    {"sha256", "SHA-256", true, 0}, {"keys", "HAS KEYS", false, 0},  {"fault", "FAULT", true, 0},
};

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static void put_table(struct buf *out, const char *title, const struct column *columns,
                      size_t count, const json_t *rows)
{
    if (json_array_size(rows) == 0)
        return;
    buf_printf(out, "\n%s\n", title);
    table_format(out, columns, count, rows, true, terminal_width());
}

/* What stands for a key: itself, or the beginning of its SHA-256. */
static json_t *shown_key(const json_t *key)
{
    const char *revealed = text_of(key, "key_hex");
    const char *fingerprint = text_of(key, "fingerprint");
    if (revealed != NULL)
        return json_string(revealed);
    if (fingerprint != NULL)
        return json_sprintf("SHA-256 %s\xe2\x80\xa6", fingerprint);
    return json_string(json_is_true(json_object_get(key, "encrypted")) ? "(encrypted)" : "-");
}

/* "KeyPeriodFilter periodId=a, VideoFilter maxPixels=9". */
static json_t *shown_filters(const json_t *rule)
{
    struct buf text;
    size_t i;
    json_t *filter, *value;
    const char *name;
    buf_init(&text, VALUE_SIZE);
    json_array_foreach(json_object_get(rule, "filters"), i, filter)
    {
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", text_of(filter, "name"));
        json_object_foreach(json_object_get(filter, "attributes"), name, value)
            buf_printf(&text, " %s=%s", name, json_string_value(value));
    }
    json_t *shown = buf_ok(&text) ? json_stringn((const char *)text.data, text.len)
                                  : json_string("(too long)");
    buf_free(&text);
    return shown;
}

/* Adds a member "shown" to the objects of a list. */
static int add_shown(const json_t *list, json_t *(*shown)(const json_t *object))
{
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        if (json_object_set_new(object, "shown", shown(object)) != 0)
            return -1;
    }
    return 0;
}

/* --- Systems -----------------------------------------------------------------------------------
 */

static void put_value(struct buf *out, const char *label, const char *value)
{
    char text[VALUE_SIZE];
    if (value == NULL)
        return;
    (void)printable(text, sizeof text, value);
    buf_printf(out, "  %-*s  %s\n", LABEL_WIDTH, label, text);
}

static void put_box(struct buf *out, const json_t *box)
{
    static const struct {
        const char *member, *label;
    } MEMBERS[] = {{"provider", "  provider"},
                   {"content_id", "  content id"},
                   {"policy", "  policy"},
                   {"protection_scheme", "  scheme"},
                   {"playready_header", "  header"}};
    char text[128];
    size_t i;
    json_t *kid;
    (void)snprintf(text, sizeof text,
                   "version %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " bytes, system %s",
                   json_integer_value(json_object_get(box, "version")),
                   json_integer_value(json_object_get(box, "size")), text_of(box, "system_id"));
    put_value(out, "PSSH", text);
    json_array_foreach(json_object_get(box, "kids"), i, kid)
        put_value(out, "  KID", json_string_value(kid));
    for (size_t k = 0; k < sizeof MEMBERS / sizeof MEMBERS[0]; k++)
        put_value(out, MEMBERS[k].label, text_of(box, MEMBERS[k].member));
}

static void put_pssh(struct buf *out, const json_t *pssh)
{
    size_t i;
    json_t *box;
    if (pssh == NULL)
        return;
    const json_t *boxes = json_object_get(pssh, "boxes");
    if (json_is_null(pssh) || json_array_size(boxes) == 0)
        put_value(out, "PSSH", json_is_null(pssh) ? "(empty)" : "no base64 of a pssh box");
    json_array_foreach(boxes, i, box) put_box(out, box);
}

static void put_system(struct buf *out, const json_t *system)
{
    static const struct {
        const char *member, *label;
    } MEMBERS[] = {{"content_protection_data", "DASH"},
                   {"robustness", "robustness"},
                   {"hls_media", "HLS media"},
                   {"hls_master", "HLS master"},
                   {"hls_allowed_cpc", "HLS ALLOWED-CPC"},
                   {"smooth_header", "Smooth Streaming"},
                   {"smooth_header_decoded", "  header"},
                   {"key_uri", "URIExtXKey"},
                   {"key_format", "KeyFormat"},
                   {"key_format_versions", "KeyFormatVersions"}};
    char text[VALUE_SIZE];
    const char *kid = text_of(system, "kid"), *id = text_of(system, "system_id");
    buf_printf(out, "\n%s  ", text_of(system, "system"));
    (void)printable(text, sizeof text, id != NULL ? id : "(no systemId)");
    buf_printf(out, "%s  for KID ", text);
    (void)printable(text, sizeof text, kid != NULL ? kid : "(none)");
    buf_printf(out, "%s\n", text);
    put_pssh(out, json_object_get(system, "pssh"));
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
        const json_t *value = json_object_get(system, MEMBERS[i].member);
        put_value(out, MEMBERS[i].label,
                  json_is_null(value) ? "(empty)" : json_string_value(value));
    }
}

/* --- The whole ---------------------------------------------------------------------------------
 */

static void put_head(struct buf *out, const json_t *d)
{
    static const struct {
        const char *member, *label;
    } MEMBERS[] = {{"kind", "Document"},
                   {"speke_version", "SPEKE"},
                   {"cpix_version", "CPIX"},
                   {"content_id", "Content"},
                   {"name", "Name"}};
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++)
        put_value(out, MEMBERS[i].label, text_of(d, MEMBERS[i].member));
    const json_t *opened = json_object_get(d, "opened");
    if (opened != NULL)
        buf_printf(out,
                   "  %-*s  as recipient %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                   " MACs verified\n",
                   LABEL_WIDTH, "Opened", json_integer_value(json_object_get(opened, "recipient")),
                   json_integer_value(json_object_get(opened, "macs_verified")));
}

static int print_description(const json_t *d)
{
    struct buf out;
    size_t i;
    json_t *item;
    const json_t *keys = json_object_get(d, "keys"), *rules = json_object_get(d, "rules");
    if (add_shown(keys, shown_key) != 0 || add_shown(rules, shown_filters) != 0)
        return ctl_fail_memory();
    buf_init(&out, OUTPUT_MAX);
    put_head(&out, d);
    put_table(&out, "Keys", CTL_COLUMNS(KEY_COLUMNS), keys);
    json_array_foreach(keys, i, item)
    {
        if (text_of(item, "hdcp_output_protection") != NULL)
            put_value(&out, "OutputProtection", text_of(item, "hdcp_output_protection"));
    }
    json_array_foreach(json_object_get(d, "systems"), i, item) put_system(&out, item);
    put_table(&out, "Periods", CTL_COLUMNS(PERIOD_COLUMNS), json_object_get(d, "periods"));
    put_table(&out, "Usage rules", CTL_COLUMNS(RULE_COLUMNS), rules);
    put_table(&out, "Recipients", CTL_COLUMNS(RECIPIENT_COLUMNS), json_object_get(d, "recipients"));
    int code = CTL_DONE;
    if (!buf_ok(&out))
        code = ctl_fail_memory();
    else if (fwrite(out.data, 1, out.len, stdout) != out.len)
        code = CTL_FAILED; /* main() says why */
    buf_free(&out);
    return code;
}

/* An answer has keys or values; a request has neither. */
static bool is_answer(const struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->key_count; i++) {
        if (doc->keys[i].plain_value != NULL || doc->keys[i].encrypted.cipher != NULL)
            return true;
    }
    return false;
}

/* One run of the subcommand. */
struct run {
    struct ctl *ctl;
    const struct ctl_arguments *args;
    struct arena arena;
    struct cpix_document doc;
    struct opened opened;
    enum speke_version version;
};

static int tell(struct run *r)
{
    json_t *d = answer_describe(&r->doc, r->version, &r->arena, option_given(r->args, "reveal"),
                                NULL);
    int result = d == NULL ? -1
                           : json_object_set_new(
                                 d, "kind", json_string(is_answer(&r->doc) ? "answer" : "request"));
    if (result == 0 && r->opened.keys != NULL)
        result = answer_describe_opened(&r->opened, d);
    int code;
    if (result != 0)
        code = ctl_fail_memory();
    else if (r->ctl->json)
        code = output_object(r->ctl, NULL, 0, json_incref(d));
    else
        code = print_description(d);
    json_decref(d);
    return code;
}

/* Opens the keys with --key. What cannot be opened is told as it is all the same. */
static int open_keys(struct run *r)
{
    struct recipient recipient;
    char why[512];
    const char *path = option_value(r->args, "key");
    if (path == NULL)
        return CTL_DONE;
    int result = recipient_load(&recipient, path, NULL, why, sizeof why);
    if (result == 0)
        result = open_document(&r->doc, recipient.key, &r->arena, &r->opened, why, sizeof why);
    recipient_free(&recipient);
    return result == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "not opened: %s", why);
}

static int show_document(struct run *r, const struct buf *body)
{
    struct failure f = {0};
    const char *version = option_value(r->args, "speke");
    if (cpix_read(body->len > 0 ? (const void *)body->data : "", body->len, &CPIX_DEFAULT_LIMITS,
                  &r->arena, &r->doc, &f) != 0)
        return ctl_fail(CTL_FAILED, "%s: %s (%s)", r->args->words[0], f.text, f.cause);
    r->version = lint_guess_version(&r->doc);
    if (version != NULL && speke_version_parse(version, &r->version) != 0)
        return ctl_fail(CTL_USAGE, "--speke: one of 1.0, 2.0, 2.1");
    const int opened = open_keys(r);
    const int told = tell(r);
    opened_free(&r->opened, &r->doc);
    return opened != CTL_DONE ? opened : told;
}

static int run_show(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct run r = {.ctl = ctl, .args = args};
    struct buf body;
    char why[512];
    cpix_setup();
    arena_init(&r.arena, ARENA_MAX);
    buf_init(&body, DOCUMENT_MAX);
    const int code = file_slurp_named(args->words[0], &body, why, sizeof why) == 0
                         ? show_document(&r, &body)
                         : ctl_fail(CTL_FAILED, "%s", why);
    buf_free(&body);
    arena_free(&r.arena);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"key", '\0', "FILE", "open encrypted keys with this RSA private key in PEM form"},
    {"reveal", '\0', NULL, "print the keys, not only their fingerprints"},
    {"speke", '\0', "VERSION", "1.0, 2.0 or 2.1; guessed from the root unless given"},
};

const struct ctl_command show_command = {
    .name = "show",
    .words = "FILE",
    .summary = "Show what is in a request or an answer, decoded.",
    .notes = "\"-\" is standard input. Encrypted keys are opened with --key, after all MACs have\n"
             "been verified.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_show,
};
