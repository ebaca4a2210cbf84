/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a request, and how it looks as a CGI response (RFC 3875 section 6), which is what
 * FastCGI carries too. */
#ifndef RESPONDER_ANSWER_H
#define RESPONDER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/failure.h"
#include "player/player.h"

enum { ANSWER_HEAD_MAX = 4096 };

struct answer {
    struct failure failure;    /* its status and text when one is set; else 200 */
    const char *text;          /* the body of a 200 as plain text; NULL when it is the document */
    struct buf *document;      /* the CPIX document, the key or the licence */
    const char *agent_header;  /* name of the header that names the provider; NULL for none */
    const char *speke_version; /* value of X-Speke-Version; NULL for none */
    const char *allow;         /* value of Allow, in a 405 and a 204 */
    /* In the player's door. */
    const char *content_type; /* of the document; NULL: application/xml */
    bool preflight;           /* 204 without a body, for a browser that asks what it may do */
    struct player_answer player;
};

/* The status to send. */
int answer_status(const struct answer *a);
/* The body to send and its size in bytes; valid as long as the answer is not changed. */
const void *answer_body(const struct answer *a, size_t *size);
/* Appends the head, the empty line after it included. agent is the provider's name; out must hold
 * ANSWER_HEAD_MAX bytes at most and its sticky failure tells whether the head fitted. */
void answer_head(const struct answer *a, const char *agent, struct buf *out);

#endif
