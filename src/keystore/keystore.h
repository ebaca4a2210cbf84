/* SPDX-License-Identifier: Apache-2.0 */
/* The key store: PostgreSQL and the keyring. KIDs in, keys out, in one transaction with the audit
 * row (decisions D3 to D6). One struct keystore a process, one request at a time. The calls of a
 * request together wait for the database no longer than the setting database_timeout. */
#ifndef KEYSTORE_KEYSTORE_H
#define KEYSTORE_KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"

enum { KEYSTORE_KEY_BYTES = 16, KEYSTORE_IV_BYTES = 16 };

struct arena;
struct failure;
struct keystore;
struct settings;

/* Makes a key store from the settings database, database_timeout, kek_file, prepare and
 * audit_wait. Does not connect yet and does not fail when the database or the KEK is away: that is
 * found out, and mended, request by request. NULL when memory ran out. */
struct keystore *keystore_new(const struct settings *settings);
/* Closes the connection, wipes the keyring. NULL is allowed. */
void keystore_free(struct keystore *ks);
/* A request begins, or something else that may wait for the database as long as one. */
void keystore_begin(struct keystore *ks);

/* Who asks, and for what; the same facts go into the audit row. */
struct keystore_request {
    const char *remote_user;   /* the client's name, from the web server */
    const char *remote_addr;   /* as the web server gave it; NULL or rubbish becomes SQL NULL */
    const char *speke_version; /* "1.0", "2.0", "2.1"; NULL when it was not known yet */
    const char *via;           /* the door that is none of SPEKE's: "cpix", "vod-drm"; else NULL */
    const char *content_id;    /* NULL when it was not known yet */
};

/* One setting of a tenant. */
struct keystore_setting {
    const char *system; /* the DRM system as a lower-case UUID; "" for the whole tenant */
    const char *name, *value;
};

/* A client's tenant, and how it wants to be served. */
struct keystore_client {
    const char *tenant;
    const struct keystore_setting
        *settings; /* ordered by system and name, the tenant's own first */
    size_t setting_count;
    long long generation; /* another number: the settings may have changed */
};

/* Finds out who asks; from memory as long as the process knows of no newer configuration. Returns
 * 0 with *client, which is valid until the next call to the key store, or -1: 403 for an unknown or
 * disabled client or one whose time is not now, 503 (word "database", "schema" or "sealed") when
 * the store is away. */
int keystore_identify(struct keystore *ks, const struct keystore_request *request,
                      const struct keystore_client **client, struct failure *f);
/* Has the next keystore_identify() ask the database. */
void keystore_forget_clients(struct keystore *ks);

/* A content key to get or create. */
struct keystore_slot {
    struct uuid kid;
    const char *scheme; /* text for a key that is made now; "" in v1 */
    /* In: the IV to keep with a key that is made now. Out: the kept one. */
    unsigned char iv[KEYSTORE_IV_BYTES];
    bool iv_given;      /* in: iv holds the request's; else a random one is made */
    unsigned char *key; /* in: 16 bytes on the secure heap; out: filled */
    bool created;       /* out: this call made it */
};

/* A content key period, text by text as the request has it; NULL for what it does not have. */
struct keystore_period {
    const char *id, *index;
    const char *start, *end;
    const char *start_offset, *end_offset;
    const struct uuid *kids; /* of the keys whose usage rules name the period, without repetition */
    size_t kid_count;
};

/* A usage rule of a key: kept with a key that is made now. */
struct keystore_rule {
    struct uuid kid;
    const char *track_type; /* NULL for none */
    const char *filters;    /* CPIX elements; "" for none */
};

enum { KEYSTORE_FINGERPRINT_BYTES = 32 };

/* Whose certificate the keys are encrypted for. */
struct keystore_recipient {
    unsigned char fingerprint[KEYSTORE_FINGERPRINT_BYTES]; /* SHA-256 of the certificate's DER */
    const char *subject;
};

/* What goes into the database besides the keys: DRM systems and recipients into the audit row,
 * periods that the content did not have yet and rules of new keys into tables of theirs. */
struct keystore_details {
    const struct uuid *systems;
    size_t system_count;
    const struct keystore_period *periods;
    size_t period_count;
    const struct keystore_rule *rules;
    size_t rule_count;
    const struct keystore_recipient *recipients; /* none: the keys go out in the clear */
    size_t recipient_count;
};

/* Gets or creates the keys of all slots and writes the audit row of their release, in one
 * transaction and one round trip, for the client of the last keystore_identify(). KIDs must differ.
 * Returns 0 with every slot filled, or -1: 503 (word "database", "schema" or "sealed") when the
 * store is away, 500 for a row that does not open, 403 when a key is revoked or destroyed, when one
 * is missing that may not be made, or when the client may not ask from its address, 429 with
 * retry_after when a quota is used up. *stale is set when the failure is that the configuration
 * changed since keystore_identify() (what it told may be wrong then): identify and try again, once.
 * After a failure no slot holds a key. */
int keystore_acquire(struct keystore *ks, const struct keystore_request *request,
                     struct keystore_slot *slots, size_t count,
                     const struct keystore_details *details, bool *stale, struct failure *f);

/* What is known of a content beside its keys. Texts are in the arena. */
struct keystore_content {
    struct keystore_content_key {
        struct uuid kid;
        const char *scheme;
        const struct keystore_rule *rules;
        size_t rule_count;
    } * keys; /* in the order in which they were made */
    size_t key_count;
    struct keystore_period *periods; /* without KIDs: the links have them */
    size_t period_count;
    struct keystore_content_link {
        struct uuid kid;
        size_t period;
    } * links; /* which key belongs to which period */
    size_t link_count;
};

/* Looks up which keys a content of the client's tenant has that are neither revoked nor destroyed:
 * all of them, or those of kids. Periods of one id are one, as it was named first. Gives no key and
 * writes no audit row: keystore_acquire() does. Returns 0, or -1 as keystore_acquire() does, and
 * 422 when there are more than most, or more than 4000 periods of them. */
int keystore_content(struct keystore *ks, const struct keystore_request *request,
                     const struct uuid *kids, size_t kid_count, size_t most, struct arena *arena,
                     struct keystore_content *out, bool *stale, struct failure *f);

/* Writes the audit row of a refusal: status and text are what the client is about to get, kids
 * (may be none) what it asked for. Returns 0, or -1 with 503 in f when it could not be written, in
 * which case the client gets that instead; a client that is unknown or disabled, or not allowed now
 * or from its address, gives -1 with 403. */
int keystore_refuse(struct keystore *ks, const struct keystore_request *request, int status,
                    const char *text, const struct uuid *kids, size_t count, struct failure *f);

/* Seals rows of the audit that were committed since the last seal, some thousand at most. Returns 0
 * and how many, of which 0 is none or that somebody else is sealing, or -1 with 503. */
int keystore_seal_audit(struct keystore *ks, long *rows, struct failure *f);

/* Whether the service could do an exchange now: connects, looks at the schema's version and the
 * active KEK. Returns 0, or -1 with 503 whose text is the one word "database", "schema" or
 * "sealed". */
int keystore_health(struct keystore *ks, struct failure *f);

#endif
