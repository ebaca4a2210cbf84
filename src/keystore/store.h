/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the key store: what its calls share. */
#ifndef KEYSTORE_STORE_H
#define KEYSTORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "keystore/connection.h"
#include "keystore/keyring.h"
#include "keystore/keystore.h"
#include "keystore/seal.h"
#include "keystore/wire.h"

/* The migrations that this program works with: the newest one that it knows, and the one before
 * that in which everything it calls is there. */
enum { SCHEMA_OLDEST = 4, SCHEMA_NEWEST = 11 };

/* The parameter of PostgreSQL from which audit rows take the door that a request came by. */
#define STORE_VIA "speke.via"

struct tenant;

/* A client as the database knows it, and the KEK that new keys are sealed under. */
struct identity {
    char *user; /* REMOTE_USER */
    struct tenant *tenant;
    struct keystore_client client; /* its texts are the tenant's */
    int32_t client_id, tenant_id;
    int32_t kek_version;
    unsigned char kek_check[KEK_CHECK_BYTES];
};

struct audience;

enum { IDENTITIES_MAX = 64, AUDIENCES_MAX = 64 };

struct keystore {
    struct connection *connection;
    struct keyring *keyring;
    struct sealer *sealer;
    struct params params; /* of the call at hand */
    int32_t schema; /* version of this connection's schema, one that will do; 0: not known yet */
    /* Clients that were identified under this generation of the configuration. */
    int64_t generation;
    struct identity identities[IDENTITIES_MAX];
    unsigned identity_count, identity_next;
    const struct identity *who; /* the last one identified; NULL once it is forgotten */
    /* Tenants whose players asked, under the same generation. */
    struct audience *audiences[AUDIENCES_MAX];
    unsigned audience_next;
    int64_t generation_checked_at; /* clock_ms(); 0: never */
};

/* The active KEK as service_state() tells it; version 0 when there is none. */
struct active_kek {
    int32_t version;
    unsigned char check[KEK_CHECK_BYTES];
};

/* Makes sure of a connection to a database with the right schema. Returns 0 or -1 with 503. */
int store_open(struct keystore *ks, struct failure *f);
/* Asks the database for its schema's version and the active KEK. Returns 0, or -1 with 503, also
 * when the version is none that this program works with. */
int store_state(struct keystore *ks, struct active_kek *active, struct failure *f);
/* Forgets the clients and looks at the schema again before the next call. */
void store_forget(struct keystore *ks);
/* The client that was identified last, who must be the one that asks. Returns 0, or -1 with *stale
 * set when a new connection has made the process forget. */
int store_who(const struct keystore *ks, const struct keystore_request *request,
              const struct identity **who, bool *stale, struct failure *f);
/* Whether the statement that failed said that the configuration changed since the client was
 * identified (SK001). */
bool store_is_stale(const struct keystore *ks);
/* Forgets the tenants of players. */
void store_forget_audiences(struct keystore *ks);
/* 403, as the client is told. */
int store_unknown_client(const char *user, struct failure *f);
/* Makes of the SQLSTATE with which a function of the schema refused what a client asked for the
 * answer that the client gets; leaves a failure of any other kind as it is. Returns -1. */
int store_denied(const struct keystore *ks, struct failure *f);
/* The text when it is an IPv4 or IPv6 address, else NULL. */
const char *store_address(const char *text);
/* Puts the parameters remote_user, remote_addr (NULL when it is no address) and speke_version. */
void store_put_who(struct params *p, const struct keystore_request *request);
/* Sets *kek to the KEK of a version if it is loaded and is the one that the check value is of;
 * otherwise 503 "sealed". Valid until the next call. */
int store_kek(struct keystore *ks, int32_t version, const unsigned char *check,
              const struct kek **kek, struct failure *f);

#endif
