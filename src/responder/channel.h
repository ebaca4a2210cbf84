/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request's body comes from and where its answer goes: a FastCGI connection (fcgi.h) or
 * the standard streams of a CGI program (cgi.h). */
#ifndef RESPONDER_CHANNEL_H
#define RESPONDER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct channel {
    /* Waits for the next bytes of the body and puts at most n (at least 1) of them at out. Returns
     * how many; 0 at the end of the body; -1 with errno ETIMEDOUT when nothing came for
     * body_timeout seconds, or with another errno when the peer broke off. */
    ssize_t (*read)(struct channel *c, void *out, size_t n);
    /* Sends the whole answer. Returns 0, or -1 with errno when the peer does not take it. */
    int (*send)(struct channel *c, const void *head, size_t head_size, const void *body,
                size_t body_size);
    /* The end of a body cannot be told without CONTENT_LENGTH. */
    bool needs_length;
};

#endif
