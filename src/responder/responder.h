/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that answers requests holds, and how it answers one. */
#ifndef RESPONDER_RESPONDER_H
#define RESPONDER_RESPONDER_H

#include "base/buf.h"
#include "exchange/exchange.h"
#include "player/player.h"

struct channel;
struct failure;
struct keystore;
struct settings;

struct responder {
    struct settings *settings; /* in force; the next two hold on to it */
    struct keystore *keystore;
    struct exchange exchange;
    struct player player;
    struct exchange_answer result; /* of the exchange at hand */
    struct buf head;               /* of the answer at hand */
    struct buf body;               /* of the request at hand */
};

/* Makes the process ready: no core dumps, secure heap, XML library, key store, which does not
 * connect yet. Once in a process, and after fork(). Returns 0, or -1 with the failure set; either
 * way responder_close() frees everything. */
int responder_open(struct responder *r, const struct settings *settings, struct failure *f);
void responder_close(struct responder *r);
/* Reads the settings file again, between requests. A file that is not right is logged and changes
 * nothing. The size of the secure heap stays until the process is replaced. */
void responder_reload(struct responder *r, const char *path);
/* Reads one request, given its meta-variables as "NAME=value" texts, and answers it through the
 * channel, writes its log line, and wipes what it held. */
void responder_serve(struct responder *r, char *const *parameters, struct channel *c);

#endif
