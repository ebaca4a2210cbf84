/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/output.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/printable.h"
#include "ctl/ctl.h"

enum {
    COLUMNS_MAX = 16,
    CELL_SIZE = 4096,
    OUTPUT_MAX = 64 * 1024 * 1024,
    GAP = 2,
    NARROWEST = 8 /* of a flexible column */
};

static const char ELLIPSIS[] = "\xe2\x80\xa6"; /* U+2026 */

/* Appends what the members of an array are, separated by commas. */
static void join(struct buf *out, const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item) buf_printf(
        out, "%s%s", i == 0 ? "" : ",", json_is_string(item) ? json_string_value(item) : "?");
}

/* What a person sees of a value, fit for a terminal. */
static void cell_text(const json_t *value, char out[static CELL_SIZE])
{
    struct buf raw;
    buf_init(&raw, CELL_SIZE / 4);
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        buf_put(&raw, json_string_value(value), strnlen(json_string_value(value), raw.max - 1));
        break;
    case JSON_INTEGER:
        buf_printf(&raw, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_TRUE:
        buf_puts(&raw, "yes");
        break;
    case JSON_FALSE:
        buf_puts(&raw, "no");
        break;
    case JSON_ARRAY:
        join(&raw, value);
        break;
    default:
        buf_puts(&raw, "-");
        break;
    }
    if (raw.len == 0 && buf_ok(&raw))
        buf_putc(&raw, '-');
    buf_put_u8(&raw, 0);
    (void)printable(out, CELL_SIZE, buf_ok(&raw) ? (const char *)raw.data : ELLIPSIS);
    buf_free(&raw);
}

/* Characters, not bytes: every byte but the continuation bytes of UTF-8 begins one. */
static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Appends text cut or filled up to width characters. */
static void put_cell(struct buf *out, const char *text, size_t width, bool last)
{
    const size_t have = characters(text);
    if (have > width) {
        size_t bytes = 0;
        for (size_t n = 0; n < width; bytes++)
            n += ((unsigned char)text[bytes + 1] & 0xc0) != 0x80;
        while (bytes > 0 && ((unsigned char)text[bytes - 1] & 0xc0) == 0x80)
            bytes--;
        buf_put(out, text, bytes - 1);
        buf_puts(out, ELLIPSIS);
    } else {
        buf_puts(out, text);
    }
    for (size_t n = have; n < width && !last; n++)
        buf_putc(out, ' ');
    buf_puts(out, last ? "\n" : "  ");
}

/* Takes columns away from the widest flexible column until the line fits or nothing gives. */
static void shrink(const struct column *columns, size_t count, size_t *widths, size_t limit)
{
    size_t total = (count - 1) * GAP;
    for (size_t i = 0; i < count; i++)
        total += widths[i];
    while (total > limit) {
        size_t widest = count;
        for (size_t i = 0; i < count; i++) {
            if (columns[i].flexible && widths[i] > NARROWEST &&
                (widest == count || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == count)
            return;
        widths[widest]--;
        total--;
    }
}

void table_format(struct buf *out, const struct column *columns, size_t count, const json_t *rows,
                  bool head, size_t width)
{
    size_t widths[COLUMNS_MAX];
    char cell[CELL_SIZE];
    size_t r;
    json_t *row;
    if (count == 0 || count > COLUMNS_MAX)
        return;
    for (size_t c = 0; c < count; c++) {
        widths[c] = columns[c].least;
        if (head && characters(columns[c].title) > widths[c])
            widths[c] = characters(columns[c].title);
        json_array_foreach(rows, r, row)
        {
            cell_text(json_object_get(row, columns[c].key), cell);
            const size_t n = characters(cell);
            widths[c] = n > widths[c] ? n : widths[c];
        }
    }
    if (width > 0)
        shrink(columns, count, widths, width);
    for (size_t c = 0; head && c < count; c++)
        put_cell(out, columns[c].title, widths[c], c + 1 == count);
    json_array_foreach(rows, r, row)
    {
        for (size_t c = 0; c < count; c++) {
            cell_text(json_object_get(row, columns[c].key), cell);
            put_cell(out, cell, widths[c], c + 1 == count);
        }
    }
}

size_t terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

static int print_buffer(struct buf *text)
{
    int code = CTL_DONE;
    if (!buf_ok(text))
        code = ctl_fail_memory();
    else if (fwrite(text->data, 1, text->len, stdout) != text->len)
        code = CTL_FAILED; /* main() says why */
    buf_free(text);
    return code;
}

/* Prints a value in the style of --json. */
static int print_json(json_t *value, size_t flags)
{
    int code = CTL_DONE;
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
    if (text == NULL)
        code = ctl_fail_memory();
    else if (puts(text) == EOF)
        code = CTL_FAILED;
    free(text);
    json_decref(value);
    return code;
}

int output_json_line(json_t *value)
{
    return value == NULL ? ctl_fail_memory() : print_json(value, JSON_COMPACT);
}

int output_rows(const struct ctl *ctl, const struct column *columns, size_t count, json_t *rows)
{
    struct buf text;
    if (rows == NULL)
        return ctl_fail_memory();
    if (ctl->json)
        return print_json(rows, JSON_INDENT(2));
    buf_init(&text, OUTPUT_MAX);
    if (json_array_size(rows) == 0)
        buf_puts(&text, "(none)\n");
    else
        table_format(&text, columns, count, rows, true, terminal_width());
    json_decref(rows);
    return print_buffer(&text);
}

static int print_json_page(struct row_printer *p, json_t *rows)
{
    int code = CTL_DONE;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (code == CTL_DONE && fputs(p->begun ? ",\n" : "[\n", stdout) == EOF)
            code = CTL_FAILED; /* main() says why */
        p->begun = true;
        if (code == CTL_DONE && json_dumpf(row, stdout, JSON_COMPACT) != 0)
            code = CTL_FAILED;
    }
    json_decref(rows);
    return code;
}

int output_page(void *printer, json_t *rows)
{
    struct row_printer *p = printer;
    struct buf text;
    if (p->ctl->json)
        return print_json_page(p, rows);
    buf_init(&text, OUTPUT_MAX);
    table_format(&text, p->columns, p->count, rows, !p->begun, terminal_width());
    p->begun = true;
    json_decref(rows);
    return print_buffer(&text);
}

int output_page_end(struct row_printer *p)
{
    const char *end = p->ctl->json ? p->begun ? "\n]\n" : "[]\n" : p->begun ? "" : "(none)\n";
    return fputs(end, stdout) == EOF ? CTL_FAILED : CTL_DONE; /* main() says why */
}

int output_object(const struct ctl *ctl, const struct column *columns, size_t count, json_t *object)
{
    struct buf text;
    size_t width = 0;
    char cell[CELL_SIZE];
    if (object == NULL)
        return ctl_fail_memory();
    if (ctl->json)
        return print_json(object, JSON_INDENT(2));
    buf_init(&text, OUTPUT_MAX);
    for (size_t c = 0; c < count; c++) {
        const size_t n = characters(columns[c].title);
        width = n > width ? n : width;
    }
    for (size_t c = 0; c < count; c++) {
        const json_t *value = json_object_get(object, columns[c].key);
        if (value == NULL)
            continue;
        cell_text(value, cell);
        put_cell(&text, columns[c].title, width, false);
        put_cell(&text, cell, SIZE_MAX, true);
    }
    json_decref(object);
    return print_buffer(&text);
}
