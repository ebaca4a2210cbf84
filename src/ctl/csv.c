/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/csv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/utf8.h"

/* A line and what follows it in the same read(), and a byte to terminate the last line with. */
enum { DATA_SIZE = 2 * CSV_LINE_MAX };

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";

int csv_begin(struct csv *c, int fd)
{
    *c = (struct csv){.fd = fd, .data = secret_alloc(DATA_SIZE)};
    return c->data == NULL ? -1 : 0;
}

void csv_end(struct csv *c)
{
    secret_free(c->data, DATA_SIZE);
    c->data = NULL;
}

static int refuse(char *why, size_t size, const char *text)
{
    (void)snprintf(why, size, "%s", text);
    return -1;
}

/* Reads on. Returns 0 or -1. */
static int fill(struct csv *c)
{
    memmove(c->data, c->data + c->start, c->end - c->start);
    c->end -= c->start;
    c->start = 0;
    ssize_t got;
    do
        got = read(c->fd, c->data + c->end, DATA_SIZE - 1 - c->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    c->ended = got == 0;
    c->end += (size_t)got;
    return 0;
}

/* Finds the next line, without its end. Returns 1, 0 when there is none, -1 as csv_next(). A line
 * that is too long is passed over. */
static int take_line(struct csv *c, char **line, size_t *n, bool *fatal, char *why, size_t size)
{
    bool too_long = false;
    for (;;) {
        const char *end = memchr(c->data + c->start, '\n', c->end - c->start);
        *line = c->data + c->start;
        *n = end != NULL ? (size_t)(end - *line) : c->end - c->start;
        if (end != NULL || (c->ended && *n > 0)) {
            c->start += *n + (end != NULL ? 1 : 0);
            c->line++;
            return too_long || *n > CSV_LINE_MAX ? refuse(why, size, "a line that is too long") : 1;
        }
        if (c->ended)
            return 0;
        if (*n > CSV_LINE_MAX) {
            too_long = true;
            c->start = c->end - 1;
        }
        if (fill(c) != 0) {
            *fatal = true;
            return refuse(why, size, strerror(errno));
        }
    }
}

/* Takes the field that begins at *p in a line that ends at end, and terminates it in its place.
 * Returns 1 when another follows at *p, 0 when not, -1 when the quotes are wrong. */
static int take_field(struct csv *c, char **p, char *end)
{
    char *in = *p, *out = *p;
    const bool quoted = in < end && *in == '"';
    c->fields[c->count++] = out;
    for (in += quoted; in < end && (quoted || *in != ','); in++) {
        if (*in == '"') {
            if (!quoted)
                return -1;
            if (in + 1 == end || in[1] != '"')
                break;
            in++;
        }
        *out++ = *in;
    }
    if (quoted && (in == end || (++in < end && *in != ',')))
        return -1;
    const bool more = in < end;
    *out = '\0'; /* at the latest where the line ended */
    *p = in + 1;
    return more ? 1 : 0;
}

static int split(struct csv *c, char *line, size_t n, char *why, size_t size)
{
    char *end = line + n;
    int more = 1;
    c->count = 0;
    if (utf8_valid_prefix(line, n) != n)
        return refuse(why, size, "not UTF-8, or a zero byte");
    while (more > 0) {
        if (c->count == CSV_FIELDS_MAX)
            return refuse(why, size, "too many fields");
        more = take_field(c, &line, end);
    }
    return more == 0 ? 1
                     : refuse(why, size,
                              "quotes that do not enclose a whole field, or a line end in them");
}

int csv_next(struct csv *c, bool *fatal, char *why, size_t size)
{
    char *line;
    size_t n;
    int result;
    *fatal = false;
    while ((result = take_line(c, &line, &n, fatal, why, size)) == 1) {
        const size_t mark = sizeof BYTE_ORDER_MARK - 1;
        if (c->line == 1 && n >= mark && memcmp(line, BYTE_ORDER_MARK, mark) == 0) {
            line += mark;
            n -= mark;
        }
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0)
            return split(c, line, n, why, size);
    }
    return result;
}

void csv_put(struct buf *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buf_puts(out, text);
        return;
    }
    buf_putc(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            buf_putc(out, '"');
        buf_putc(out, *text);
    }
    buf_putc(out, '"');
}
