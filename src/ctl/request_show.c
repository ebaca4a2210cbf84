/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/printable.h"
#include "ctl/ctl.h"
#include "ctl/output.h"
#include "ctl/request.h"

enum { TABLE_MAX = 16 * 1024 * 1024 };

static const struct column KEY_COLUMNS[] = {
    {"kid", "KID", false, 0},
    {"track_types", "TRACKS", true, 0},
    {"fingerprint", "KEY SHA-256", false, 0},
    {"iv", "IV", true, 0},
};

static const struct column REVEALED_COLUMNS[] = {
    {"kid", "KID", false, 0},
    {"track_types", "TRACKS", true, 0},
    {"key_hex", "KEY", false, 0},
    {"iv", "IV", true, 0},
};

static const struct column SYSTEM_COLUMNS[] = {
    {"for", "FOR", true, 0},        {"system", "SYSTEM", false, 0},
    {"pssh", "PSSH", false, 0},     {"dash", "DASH", false, 0},
    {"hls", "HLS", false, 0},       {"format", "KEYFORMAT", true, 0},
    {"smooth", "SMOOTH", false, 0},
};

/* "56 bytes, 1 KID". */
static json_t *pssh_cell(const json_t *pssh)
{
    char text[64];
    size_t i, kids = 0;
    json_int_t bytes = 0;
    json_t *box;
    json_array_foreach(json_object_get(pssh, "boxes"), i, box)
    {
        bytes += json_integer_value(json_object_get(box, "size"));
        kids += json_array_size(json_object_get(box, "kids"));
    }
    if (bytes == 0)
        return json_string("-");
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT " bytes, %zu KID%s", bytes, kids,
                   kids == 1 ? "" : "s");
    return json_string(text);
}

static json_t *system_row(const json_t *system)
{
    char method[32] = "-", format[128] = "-";
    const char *line = json_string_value(json_object_get(system, "hls_media"));
    const char *v1_format = json_string_value(json_object_get(system, "key_format"));
    const json_t *tracks = json_object_get(system, "track_types");
    json_t *who = json_object_get(system, json_array_size(tracks) > 0 ? "track_types" : "kid");
    if (line != NULL) {
        answer_hls_attribute(line, "METHOD", method, sizeof method);
        answer_hls_attribute(line, "KEYFORMAT", format, sizeof format);
    } else if (v1_format != NULL) {
        (void)snprintf(method, sizeof method, "URI");
        (void)snprintf(format, sizeof format, "%s", v1_format);
    }
    return json_pack(
        "{s:O, s:O, s:o, s:b, s:s, s:s, s:b}", "for", who, "system",
        json_object_get(system, "system"), "pssh", pssh_cell(json_object_get(system, "pssh")),
        "dash", json_is_string(json_object_get(system, "content_protection_data")), "hls", method,
        "format", format, "smooth", json_is_string(json_object_get(system, "smooth_header")));
}

static int print_systems(const json_t *systems, struct buf *out)
{
    json_t *rows = json_array();
    size_t i;
    json_t *system;
    int result = rows == NULL ? -1 : 0;
    json_array_foreach(systems, i, system)
    {
        if (result == 0)
            result = json_array_append_new(rows, system_row(system));
    }
    if (result == 0)
        table_format(out, CTL_COLUMNS(SYSTEM_COLUMNS), rows, true, terminal_width());
    json_decref(rows);
    return result;
}

static void put_extra(struct buf *out, const char *whose, const char *kid, const char *what,
                      const json_t *value)
{
    char text[1024];
    if (!json_is_string(value))
        return;
    (void)printable(text, sizeof text, json_string_value(value));
    buf_printf(out, "%s %s of %s%s%s\n", what, text, whose, whose[0] != '\0' ? " for KID " : "KID ",
               kid != NULL ? kid : "(none)");
}

/* What SPEKE v2.1 has beside keys and signalling, and how the keys came. */
static void print_extras(const json_t *description, struct buf *out)
{
    size_t i;
    json_t *o;
    const json_t *opened = json_object_get(description, "opened");
    json_array_foreach(json_object_get(description, "keys"), i, o)
    {
        const char *kid = json_string_value(json_object_get(o, "kid"));
        put_extra(out, "", kid, "HDCP-LEVEL", json_object_get(o, "hdcp_level"));
        put_extra(out, "", kid, "OutputProtection", json_object_get(o, "hdcp_output_protection"));
    }
    json_array_foreach(json_object_get(description, "systems"), i, o)
    {
        const char *kid = json_string_value(json_object_get(o, "kid"));
        const char *system = json_string_value(json_object_get(o, "system"));
        put_extra(out, system, kid, "robustness", json_object_get(o, "robustness"));
        put_extra(out, system, kid, "ALLOWED-CPC", json_object_get(o, "hls_allowed_cpc"));
    }
    if (opened != NULL)
        buf_printf(out,
                   "the keys came encrypted: %" JSON_INTEGER_FORMAT
                   " MACs verified, all keys opened\n",
                   json_integer_value(json_object_get(opened, "macs_verified")));
}

int answer_print(const json_t *description, bool reveal)
{
    struct buf text;
    const json_t *keys = json_object_get(description, "keys");
    const char *id = json_string_value(json_object_get(description, "content_id"));
    const char *scheme = json_string_value(json_object_get(json_array_get(keys, 0), "scheme"));
    struct ctl loud = {0};
    int code = CTL_DONE;
    ctl_say(&loud, "content %s, SPEKE %s%s%s", id != NULL ? id : "(none)",
            json_string_value(json_object_get(description, "speke_version")),
            scheme != NULL ? ", scheme " : "", scheme != NULL ? scheme : "");
    buf_init(&text, TABLE_MAX);
    buf_putc(&text, '\n');
    if (reveal)
        table_format(&text, CTL_COLUMNS(REVEALED_COLUMNS), keys, true, terminal_width());
    else
        table_format(&text, CTL_COLUMNS(KEY_COLUMNS), keys, true, terminal_width());
    buf_putc(&text, '\n');
    const int printed = print_systems(json_object_get(description, "systems"), &text);
    print_extras(description, &text);
    if (printed != 0 || !buf_ok(&text))
        code = ctl_fail_memory();
    else if (fwrite(text.data, 1, text.len, stdout) != text.len)
        code = CTL_FAILED; /* main() says why */
    buf_free(&text);
    return code;
}
