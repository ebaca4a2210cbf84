/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <stdbool.h>
#include <string.h>

enum { ANSWER_MAX = 16 * 1024 * 1024, TIMEOUT_SECONDS = 30 };

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    struct buf *answer = context;
    buf_put(answer, bytes, size * count);
    return buf_ok(answer) ? size * count : 0;
}

static bool add_header(struct client *c, const char *line)
{
    struct curl_slist *longer = curl_slist_append(c->headers, line);
    if (longer == NULL)
        return false;
    c->headers = longer;
    return true;
}

/* An option that does not take is a fault of the program or of memory; both end the run. */
static bool set_text(struct client *c, CURLoption option, const char *value)
{
    return value == NULL || curl_easy_setopt(c->curl, option, value) == CURLE_OK;
}

static bool set_number(struct client *c, CURLoption option, long value)
{
    return curl_easy_setopt(c->curl, option, value) == CURLE_OK;
}

static bool set_up(struct client *c, const struct client_target *t)
{
    for (const struct curl_slist *line = t->headers; line != NULL; line = line->next) {
        if (!add_header(c, line->data))
            return false;
    }
    return (t->headers != NULL || (add_header(c, "Content-Type: application/xml") &&
                                   add_header(c, "X-Speke-Version: 2.0"))) &&
           add_header(c, "Expect:") &&
           curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, keep) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &c->answer) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK &&
           set_text(c, CURLOPT_URL, t->url) && set_text(c, CURLOPT_USERNAME, t->user) &&
           set_text(c, CURLOPT_PASSWORD, t->password) && set_text(c, CURLOPT_CAINFO, t->ca) &&
           set_text(c, CURLOPT_PROXY, "") && set_number(c, CURLOPT_NOSIGNAL, 1) &&
           set_number(c, CURLOPT_TIMEOUT, TIMEOUT_SECONDS) &&
           set_number(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
           (t->user == NULL || set_number(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST));
}

int client_open(struct client *c, const struct client_target *target)
{
    *c = (struct client){.curl = curl_easy_init()};
    buf_init(&c->answer, ANSWER_MAX);
    return c->curl != NULL && set_up(c, target) ? 0 : -1;
}

void client_close(struct client *c)
{
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    buf_free(&c->answer);
}

int client_send(struct client *c, const struct buf *body, uint32_t *microseconds)
{
    buf_clear(&c->answer);
    c->status = 0;
    c->error[0] = '\0';
    if (body != NULL && (curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                                          (curl_off_t)body->len) != CURLE_OK ||
                         curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body->data) != CURLE_OK))
        return -1;
    const CURLcode code = curl_easy_perform(c->curl);
    curl_off_t taken = 0;
    if (code != CURLE_OK) {
        if (c->error[0] == '\0')
            (void)snprintf(c->error, sizeof c->error, "%s", curl_easy_strerror(code));
        return -1;
    }
    if (curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status) != CURLE_OK ||
        curl_easy_getinfo(c->curl, CURLINFO_TOTAL_TIME_T, &taken) != CURLE_OK)
        return -1;
    *microseconds = taken < 0 || taken > UINT32_MAX ? UINT32_MAX : (uint32_t)taken;
    return 0;
}
