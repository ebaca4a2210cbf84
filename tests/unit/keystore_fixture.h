/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the key store against a real PostgreSQL: a private cluster of the test's own with
 * tenant "red" (clients red-1, red-2), tenant "blue" (blue-1) and KEK 1 in a file. */
#ifndef TESTS_KEYSTORE_FIXTURE_H
#define TESTS_KEYSTORE_FIXTURE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/settings.h"
#include "keystore/keystore.h"

enum { MAX_SLOTS = 64, SKIPPED = 77 };

/* Starts the cluster. Returns 0, SKIPPED when there is no PostgreSQL here, or 1. The cluster goes
 * when the process ends, however it ends. */
int fixture_start(void);
void fixture_stop(void);
/* "start", "stop", "restart" or "kill" the server; fails the test when that does not work. */
void fixture_server(const char *word);
/* Stops (SIGSTOP) and continues all processes of the server. */
void fixture_freeze(void);
void fixture_thaw(void);

/* For each test: settings of a key store, the KEK file as it should be. */
struct settings fixture_settings(void);
const char *fixture_kek_path(void);
void fixture_write_keks(const char *text);
extern const char KEK_1[], KEK_2[]; /* lines of the file */

/* Runs a statement as superuser and fails the test when it fails. query() returns the first field
 * of the first row as text, "" for none; valid until the next call. */
PGconn *admin_connect(void);
void admin(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *query(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Registers a KEK of KEK_1 or KEK_2 as the active one. */
void register_kek(int version);

/* Slots with keys on the secure heap. */
struct order {
    struct keystore_request request;
    struct keystore_details details;
    struct keystore_slot slots[MAX_SLOTS];
    size_t count;
    unsigned char *keys;
};

/* count slots for KIDs made of the bytes first, first + 1 and so on. */
struct order *order_new(const char *user, const char *content, int first, size_t count);
void order_free(struct order *o);
int order_run(struct keystore *ks, struct order *o, struct failure *f);
/* Runs it and fails the test when it fails. */
void expect_keys(struct keystore *ks, struct order *o);
/* Runs it and wants this status and, in the text or the cause, this part; no key may be left. */
void expect_failure(struct keystore *ks, struct order *o, int status, const char *part);
/* A new order for the same, to compare with. */
void expect_same_keys(const struct order *a, const struct order *b);

int64_t now_ms(void);

#endif
