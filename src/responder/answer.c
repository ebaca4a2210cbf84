/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/answer.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    int status;
    const char *phrase;
} PHRASES[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

static const char *phrase(int status)
{
    for (size_t i = 0; i < sizeof PHRASES / sizeof PHRASES[0]; i++) {
        if (PHRASES[i].status == status)
            return PHRASES[i].phrase;
    }
    return "Error";
}

int answer_status(const struct answer *a)
{
    return failed(&a->failure) ? a->failure.status : 200;
}

static bool is_document(const struct answer *a)
{
    return !failed(&a->failure) && a->text == NULL && a->document != NULL;
}

const void *answer_body(const struct answer *a, size_t *size)
{
    if (is_document(a)) {
        *size = a->document->len;
        return a->document->data;
    }
    const char *text = a->text != NULL ? a->text : "";
    if (failed(&a->failure))
        text = a->failure.text;
    *size = strlen(text);
    return text;
}

/* Whatever is not printable ASCII would end the header or begin another. */
static bool is_header_value(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if (*p < 0x20 || *p > 0x7e)
            return false;
    }
    return value[0] != '\0';
}

static void put_header(struct buf *out, const char *name, const char *value)
{
    if (name == NULL || value == NULL || !is_header_value(value))
        return;
    buf_puts(out, name);
    buf_puts(out, ": ");
    buf_puts(out, value);
    buf_puts(out, "\r\n");
}

void answer_head(const struct answer *a, const char *agent, struct buf *out)
{
    size_t size;
    (void)answer_body(a, &size); /* for the size alone */
    const int status = answer_status(a);
    buf_printf(out, "Status: %d %s\r\n", status, phrase(status));
    put_header(out, "Content-Type",
               is_document(a) ? "application/xml" : "text/plain; charset=utf-8");
    buf_printf(out, "Content-Length: %zu\r\n", size);
    put_header(out, a->agent_header, agent);
    put_header(out, "X-Speke-Version", a->speke_version);
    put_header(out, "Allow", a->allow);
    if (a->failure.retry_after > 0)
        buf_printf(out, "Retry-After: %d\r\n", a->failure.retry_after);
    buf_puts(out, "Cache-Control: no-store\r\n"
                  "X-Content-Type-Options: nosniff\r\n"
                  "\r\n");
}
