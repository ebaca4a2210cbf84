/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/settings.h"
#include "responder/channel.h"

/* A body may take body_timeout seconds and one more for each KIB that came, so that a peer that
 * sends a byte now and then cannot hold a worker. */
enum { KIB = 1024, READ_AT_ONCE = 64 * KIB };

#define MEMBER(name, member)                                      \
    {                                                             \
        name, sizeof(name) - 1, offsetof(struct request, member), \
    }

static const struct {
    const char *name;
    size_t length;
    size_t offset;
} MEMBERS[] = {
    MEMBER("REQUEST_METHOD", method),
    MEMBER("REQUEST_URI", uri),
    MEMBER("SCRIPT_NAME", script_name),
    MEMBER("PATH_INFO", path_info),
    MEMBER("CONTENT_LENGTH", length),
    MEMBER("REMOTE_USER", remote_user),
    MEMBER("REMOTE_ADDR", remote_addr),
    MEMBER("HTTP_X_SPEKE_VERSION", speke_version),
    MEMBER("HTTPS", https),
    MEMBER("REQUEST_SCHEME", scheme),
    MEMBER("HTTP_HOST", host),
    MEMBER("SERVER_NAME", server_name),
    MEMBER("SERVER_PORT", server_port),
    MEMBER("SPEKE_DOOR", door),
    MEMBER("QUERY_STRING", query),
    MEMBER("HTTP_AUTHORIZATION", authorization),
    MEMBER("HTTP_COOKIE", cookie),
    MEMBER("HTTP_ORIGIN", origin),
    MEMBER("HTTP_X_SPEKE_DEVICE", device),
};

static void take_parameter(struct request *q, const char *name, size_t length, const char *value)
{
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
        if (MEMBERS[i].length != length || memcmp(MEMBERS[i].name, name, length) != 0)
            continue;
        void *at = (char *)q + MEMBERS[i].offset;
        const char **member = at;
        if (*member == NULL)
            *member = value;
        return;
    }
}

void request_read(struct request *q, char *const *parameters)
{
    *q = (struct request){0};
    for (; *parameters != NULL; parameters++) {
        const char *equals = strchr(*parameters, '=');
        if (equals != NULL)
            take_parameter(q, *parameters, (size_t)(equals - *parameters), equals + 1);
    }
    if (q->method == NULL)
        q->method = "";
}

/* An empty CONTENT_LENGTH means that there is none (RFC 3875 section 4.1.2). */
static bool length_given(const struct request *q)
{
    return q->length != NULL && q->length[0] != '\0';
}

/* Sets the announced length, which is at most max. */
static int parse_length(const char *text, size_t max, size_t *length, struct failure *f)
{
    const size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0') {
        (void)fail(f, 400, "Content-Length is no number");
        return fail_because(f, "CONTENT_LENGTH: %s", text);
    }
    *length = 0;
    for (const char *p = text; *p != '\0'; p++) {
        *length = *length * 10 + (size_t)(*p - '0');
        if (*length > max) {
            (void)fail(f, 413, "Request body larger than %zu bytes", max);
            return fail_because(f, "CONTENT_LENGTH: %s", text);
        }
    }
    return 0;
}

static long seconds_now(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? (long)t.tv_sec : 0;
}

static int fail_read(const struct buf *body, struct failure *f)
{
    const int cause = errno;
    if (cause == ETIMEDOUT)
        (void)fail(f, 408, "Request body did not arrive in time");
    else
        (void)fail(f, 400, "Request body is incomplete");
    return fail_because(f, "after %zu bytes: %s", body->len, strerror(cause));
}

/* Reads until the end of the body or until it is longer than limit. */
static int read_up_to(struct channel *c, size_t limit, long timeout, struct buf *body,
                      struct failure *f)
{
    const long start = seconds_now();
    while (body->len <= limit) {
        size_t want = limit + 1 - body->len;
        if (want > READ_AT_ONCE)
            want = READ_AT_ONCE;
        unsigned char *room = buf_room(body, want);
        if (room == NULL)
            return fail_memory(f);
        const ssize_t n = c->read(c, room, want);
        if (n < 0)
            return fail_read(body, f);
        if (n == 0)
            return 0;
        body->len += (size_t)n;
        if (seconds_now() - start > timeout + (long)(body->len / KIB)) {
            errno = ETIMEDOUT;
            return fail_read(body, f);
        }
    }
    return 0;
}

int request_read_body(const struct request *q, struct channel *c, const struct settings *settings,
                      size_t max, struct buf *body, struct failure *f)
{
    const bool announced = length_given(q);
    size_t limit = max;
    if (!announced && c->needs_length)
        return fail(f, 411, "Content-Length is missing");
    if (announced && parse_length(q->length, max, &limit, f) != 0)
        return -1;
    if (read_up_to(c, limit, settings->body_timeout, body, f) != 0)
        return -1;
    if (!announced && body->len > limit)
        return fail(f, 413, "Request body larger than %zu bytes", max);
    if (announced && body->len != limit) {
        (void)fail(f, 400, "Request body is %s than its Content-Length",
                   body->len < limit ? "shorter" : "longer");
        return fail_because(f, "CONTENT_LENGTH: %zu, read: %zu", limit, body->len);
    }
    return 0;
}
