/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/answer.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    int status;
    const char *phrase;
} PHRASES[] = {
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
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
    if (failed(&a->failure))
        return a->failure.status;
    return a->preflight ? 204 : 200;
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

static const char *content_type(const struct answer *a)
{
    if (!is_document(a))
        return "text/plain; charset=utf-8";
    return a->content_type != NULL ? a->content_type : "application/xml";
}

/* What a web page may do with the answer, and how long its browser may remember what it was told.
 */
static void put_cors(const struct answer *a, struct buf *out)
{
    const struct cors *cors = &a->player.cors;
    put_header(out, "Access-Control-Allow-Origin", cors->allow_origin);
    if (cors->credentials)
        put_header(out, "Access-Control-Allow-Credentials", "true");
    if (cors->vary)
        put_header(out, "Vary", "Origin");
    if (cors->allow_origin == NULL)
        return;
    if (a->preflight) {
        put_header(out, "Access-Control-Allow-Methods", a->allow);
        put_header(out, "Access-Control-Allow-Headers",
                   "Authorization, Content-Type, Range, X-Speke-Device");
        put_header(out, "Access-Control-Max-Age", "600");
    } else if (failed(&a->failure)) {
        put_header(out, "Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate");
    }
}

void answer_head(const struct answer *a, const char *agent, struct buf *out)
{
    size_t size;
    (void)answer_body(a, &size); /* for the size alone */
    const int status = answer_status(a);
    buf_printf(out, "Status: %d %s\r\n", status, phrase(status));
    if (!a->preflight || failed(&a->failure)) { /* RFC 9110 section 8.6: none with 204 */
        put_header(out, "Content-Type", content_type(a));
        buf_printf(out, "Content-Length: %zu\r\n", size);
    }
    put_header(out, a->agent_header, agent);
    put_header(out, "X-Speke-Version", a->speke_version);
    put_header(out, "Allow", a->allow);
    put_header(out, "WWW-Authenticate", a->player.authenticate);
    put_cors(a, out);
    if (a->failure.retry_after > 0)
        buf_printf(out, "Retry-After: %d\r\n", a->failure.retry_after);
    buf_puts(out, "Cache-Control: no-store\r\n"
                  "X-Content-Type-Options: nosniff\r\n"
                  "\r\n");
}
