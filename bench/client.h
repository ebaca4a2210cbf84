/* SPDX-License-Identifier: Apache-2.0 */
/* One packager or player: a persistent connection, with TLS and Digest when asked for. libcurl
 * keeps the Digest nonce between requests, so the challenge is paid for once. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <curl/curl.h>
#include <stdint.h>

#include "base/buf.h"

/* Where the requests go; the texts outlive the client. */
struct client_target {
    const char *url;
    const char *user, *password; /* Digest; both NULL for none */
    const char *ca;              /* file of trusted certificates; NULL for the system's */
    struct curl_slist *headers;  /* of each request; NULL for a packager's */
};

struct client {
    CURL *curl;
    struct curl_slist *headers;
    struct buf answer; /* body of the last answer */
    long status;       /* HTTP status of the last answer, 0 when there was none */
    char error[CURL_ERROR_SIZE];
};

/* Connects with the first request. Returns 0, or -1 when memory ran out; client_close() either way.
 */
int client_open(struct client *c, const struct client_target *target);
void client_close(struct client *c);
/* Posts a body; NULL: GET. Returns 0 when an answer of any status came, with *microseconds the time
 * it took, or -1 with c->error telling why none did. */
int client_send(struct client *c, const struct buf *body, uint32_t *microseconds);

#endif
