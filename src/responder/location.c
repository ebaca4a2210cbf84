/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/location.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/failure.h"
#include "base/hex.h"
#include "responder/request.h"

enum { HOST_MAX = 261 }; /* a name of 255 bytes, ":" and a port (RFC 1035 section 2.3.4) */

static const char DIGITS[] = "0123456789";
static const char ALPHANUMERIC[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* The byte that "%41" stands for at the beginning of n bytes, -1 when there is no such. */
static int escaped(const char *text, size_t n)
{
    unsigned char byte;
    return n > 2 && hex_decode(text + 1, &byte, 1) == 0 ? byte : -1;
}

static int malformed(struct failure *f, const char *what)
{
    (void)fail(f, 400, "Malformed path");
    return fail_because(f, "the path has %s", what);
}

/* Undoes one percent-encoding (RFC 3986 section 2.1). */
static int decode(const char *text, size_t n, char *out, struct failure *f)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '%') {
            out[len++] = text[i];
            continue;
        }
        const int byte = escaped(text + i, n - i);
        if (byte < 0)
            return malformed(f, "a percent sign without two digits");
        const char c = (char)byte;
        if (c == '/')
            return malformed(f, "an encoded slash");
        if (c == '\0')
            return malformed(f, "an encoded NUL");
        out[len++] = c;
        i += 2;
    }
    out[len] = '\0';
    return 0;
}

static bool is_dots(const char *segment, size_t n)
{
    return n > 0 && n <= 2 && strspn(segment, ".") >= n;
}

static int check_segments(const char *path, struct failure *f)
{
    for (const char *p = path; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
            return malformed(f, "a control character or a backslash");
    }
    if (*path != '\0' && *path != '/')
        return malformed(f, "no slash at its beginning");
    while (*path == '/') {
        const char *segment = path + 1;
        const size_t n = strcspn(segment, "/");
        if (n == 0 && segment[0] != '\0')
            return malformed(f, "an empty segment (\"//\")");
        if (is_dots(segment, n))
            return malformed(f, "a segment \".\" or \"..\"");
        path = segment + n;
    }
    return 0;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static int too_long(struct failure *f)
{
    return fail(f, 414, "Path longer than %d bytes", LOCATION_PATH_SIZE - 1);
}

int location_path(const struct request *q, char out[static LOCATION_PATH_SIZE], struct failure *f)
{
    if (q->uri != NULL && q->uri[0] == '/') {
        const size_t n = strcspn(q->uri, "?#");
        if (n >= LOCATION_PATH_SIZE)
            return too_long(f);
        if (decode(q->uri, n, out, f) != 0)
            return -1;
    } else {
        const int n = snprintf(out, LOCATION_PATH_SIZE, "%s%s", or_empty(q->script_name),
                               or_empty(q->path_info));
        if (n < 0 || n >= LOCATION_PATH_SIZE)
            return too_long(f);
    }
    return check_segments(out, f);
}

/* The text of a parameter, NULL when there is none of the name. */
static const char *find_parameter(const char *query, const char *name, size_t *n)
{
    const size_t length = strlen(name);
    while (query != NULL && *query != '\0') {
        const size_t item = strcspn(query, "&");
        if (item > length && query[length] == '=' && memcmp(query, name, length) == 0) {
            *n = item - length - 1;
            return query + length + 1;
        }
        query += item + (query[item] == '&' ? 1 : 0);
    }
    return NULL;
}

static int bad_parameter(const char *name, struct failure *f)
{
    return fail(f, 400, "Malformed parameter %s", name);
}

int location_parameter(const struct request *q, const char *name, char *out, size_t size,
                       const char **value, struct failure *f)
{
    size_t n = 0, len = 0;
    const char *text = find_parameter(q->query, name, &n);
    *value = NULL;
    if (text == NULL)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            const int byte = escaped(text + i, n - i);
            if (byte < 0)
                return bad_parameter(name, f);
            c = (char)byte;
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || len + 1 >= size)
            return bad_parameter(name, f);
        out[len++] = c;
    }
    out[len] = '\0';
    *value = out;
    return 0;
}

static bool is_host(const char *text)
{
    if (text == NULL || text[0] == '\0')
        return false;
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (strchr(ALPHANUMERIC, text[i]) == NULL && strchr(".:[]-", text[i]) == NULL)
            return false;
    }
    return n <= HOST_MAX;
}

static bool is_https(const struct request *q)
{
    return (q->https != NULL && strcasecmp(q->https, "on") == 0) ||
           (q->scheme != NULL && strcasecmp(q->scheme, "https") == 0);
}

/* SERVER_NAME may be an IPv6 address without brackets (RFC 3875 section 4.1.14). */
static int put_server(const struct request *q, bool https, char *out, size_t size)
{
    const char *name = is_host(q->server_name) ? q->server_name : "localhost";
    const char *port = or_empty(q->server_port);
    const bool bare = strchr(name, ':') != NULL && name[0] != '[';
    const bool usual = port[0] == '\0' || strlen(port) > 5 || port[strspn(port, DIGITS)] != '\0' ||
                       strcmp(port, https ? "443" : "80") == 0;
    return snprintf(out, size, "%s%s%s%s%s", bare ? "[" : "", name, bare ? "]" : "",
                    usual ? "" : ":", usual ? "" : port);
}

/* Writes path bytes as they may stand in a URL (RFC 3986 section 3.3). */
static void put_path(const char *path, size_t n, char *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)path[i];
        if (strchr(ALPHANUMERIC, c) != NULL || strchr("-._~/", c) != NULL) {
            *out++ = (char)c;
            continue;
        }
        *out++ = '%';
        *out++ = HEX[c >> 4];
        *out++ = HEX[c & 15];
    }
    *out = '\0';
}

void location_base(const struct request *q, const char *path, size_t mount,
                   char out[static LOCATION_URL_SIZE])
{
    /* "https://", a host with brackets and a port, three bytes for each of the path's. */
    _Static_assert(8 + HOST_MAX + 2 + 6 + 3 * LOCATION_PATH_SIZE < LOCATION_URL_SIZE, "URL size");
    char host[HOST_MAX + 10];
    const bool https = is_https(q);
    if (is_host(q->host))
        memcpy(host, q->host, strlen(q->host) + 1);
    else if (put_server(q, https, host, sizeof host) < 0)
        host[0] = '\0';
    const int n = snprintf(out, LOCATION_URL_SIZE, "%s://%s", https ? "https" : "http", host);
    put_path(path, mount, out + (n < 0 ? 0 : n));
}
