/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/responder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/settings.h"
#include "cpix/cpix.h"
#include "keystore/keystore.h"
#include "player/token.h"
#include "responder/answer.h"
#include "responder/channel.h"
#include "responder/location.h"
#include "responder/request.h"
#include "responder/routes.h"

enum {
    DOCUMENT_MAX = 64 * 1024 * 1024, /* an answer to max_keys keys for all systems fits */
    KEPT_MAX = 512 * 1024            /* a buffer that grew larger is given back */
};

/* Puts settings in force; on success they belong to *r. */
static int adopt(struct responder *r, struct settings *settings, struct failure *f)
{
    struct keystore *keystore = keystore_new(settings);
    if (keystore == NULL) {
        (void)fail_memory(f);
        return -1;
    }
    exchange_free(&r->exchange);
    player_free(&r->player);
    keystore_free(r->keystore);
    free(r->settings);
    r->settings = settings;
    r->keystore = keystore;
    exchange_init(&r->exchange, settings, keystore);
    player_init(&r->player, settings, keystore);
    buf_free(&r->body);
    /* One byte more than allowed tells a body that is too long from one that fits. */
    buf_init(&r->body, (size_t)settings->max_body + 1);
    return 0;
}

int responder_open(struct responder *r, const struct settings *settings, struct failure *f)
{
    *r = (struct responder){0};
    exchange_init(&r->exchange, NULL, NULL);
    player_init(&r->player, NULL, NULL);
    buf_init(&r->head, ANSWER_HEAD_MAX);
    buf_init(&r->result.body, DOCUMENT_MAX);
    (void)umask(077); /* returns the mask before, which nobody needs */
    /* OpenSSL would abort the process. */
    if ((settings->secure_heap & (settings->secure_heap - 1)) != 0)
        return fail_internal(f, "secure_heap: %ld is no power of two", settings->secure_heap);
    if (secret_setup((size_t)settings->secure_heap, f) != 0)
        return -1;
    cpix_setup();
    token_setup();
    struct settings *own = malloc(sizeof *own);
    if (own == NULL)
        return fail_memory(f);
    *own = *settings;
    if (adopt(r, own, f) != 0) {
        free(own);
        return -1;
    }
    return 0;
}

void responder_close(struct responder *r)
{
    exchange_free(&r->exchange);
    player_free(&r->player);
    keystore_free(r->keystore);
    free(r->settings);
    buf_free(&r->head);
    buf_free(&r->body);
    buf_free(&r->result.body);
    *r = (struct responder){0};
}

void responder_reload(struct responder *r, const char *path)
{
    char why[512] = "out of memory";
    struct failure f = {0};
    struct settings *fresh = malloc(sizeof *fresh);
    if (fresh == NULL || settings_read(fresh, path, why, sizeof why) != 0) {
        log_error("the settings stay as they were: %s", why);
        free(fresh);
        return;
    }
    if (adopt(r, fresh, &f) != 0) {
        log_error("the settings stay as they were: %s", f.cause);
        free(fresh);
        return;
    }
    /* The names were checked when the settings were read. */
    (void)log_open(fresh->log, fresh->log_level);
    log_notice("settings read again");
}

static int64_t microseconds_now(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? t.tv_sec * 1000000 + t.tv_nsec / 1000 : 0;
}

static void send_answer(struct responder *r, const struct request *q, struct channel *c,
                        const struct answer *answer)
{
    size_t size;
    const void *body = answer_body(answer, &size);
    answer_head(answer, r->settings->user_agent, &r->head);
    if (!buf_ok(&r->head)) {
        log_error("the head of an answer does not fit into %d bytes", ANSWER_HEAD_MAX);
        return;
    }
    if (strcmp(q->method, "HEAD") == 0)
        size = 0;
    if (c->send(c, r->head.data, r->head.len, body, size) != 0)
        log_notice("the web server did not take the answer: %s", strerror(errno));
}

/* One line a request. What the client sent is in it, so log_at() escapes it. */
static void log_request(const struct request *q, const char *path, const struct answer *answer,
                        int64_t microseconds)
{
    const struct failure *f = &answer->failure;
    const int status = answer_status(answer);
    /* Anybody may come to the player's door, so what is refused there is counted, not listed. */
    const bool player = route_is_player(q);
    const enum log_level level = status >= 500              ? LOG_LEVEL_ERROR
                                 : answer->player.counted   ? LOG_LEVEL_DEBUG
                                 : status >= 400 && !player ? LOG_LEVEL_NOTICE
                                                            : LOG_LEVEL_INFO;
    if (!log_enabled(level))
        return;
    const char *user = q->remote_user != NULL && q->remote_user[0] != '\0' ? q->remote_user : "-";
    log_at(level, "%.16s %.256s %d client=%.128s version=%.16s us=%lld%s%s%s%s", q->method, path,
           status, user, q->speke_version != NULL ? q->speke_version : "-", (long long)microseconds,
           failed(f) ? " " : "", f->text, f->cause[0] != '\0' ? ": " : "", f->cause);
}

/* An answer may hold clear keys, and one large document should not cost a process its memory for
 * ever. */
static void wipe(struct buf *b)
{
    if (b->cap > KEPT_MAX)
        buf_free(b);
    else
        buf_clear(b);
}

/* What the log calls a path that is none: as it came, without a query, and cut. */
static void name_malformed(const struct request *q, char path[static LOCATION_PATH_SIZE])
{
    const char *uri = q->uri != NULL ? q->uri : "-";
    (void)snprintf(path, LOCATION_PATH_SIZE, "%.*s", (int)strcspn(uri, "?"), uri);
}

void responder_serve(struct responder *r, char *const *parameters, struct channel *c)
{
    const int64_t start = microseconds_now();
    char path[LOCATION_PATH_SIZE];
    struct request q;
    struct answer answer = {0};
    struct call call = {.request = &q, .channel = c, .path = path};
    keystore_begin(r->keystore);
    request_read(&q, parameters);
    if (location_path(&q, path, &answer.failure) == 0)
        route_call(r, &call, &answer);
    else
        name_malformed(&q, path);
    send_answer(r, &q, c, &answer);
    log_request(&q, path, &answer, microseconds_now() - start);
    wipe(&r->head);
    wipe(&r->body);
    wipe(&r->result.body);
}
