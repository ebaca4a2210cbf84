/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, told twice: once for the client (a status and one line) and once for the log
 * (the place and the cause). Functions that can fail take a struct failure and return -1 after
 * setting it; the caller above adds nothing and passes it up to the answer. */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include <stdbool.h>

struct failure {
    int status;      /* HTTP status, 0 while nothing failed */
    int retry_after; /* seconds for Retry-After, 0 for none */
    int line;        /* of the document at fault, 0 when it is not known */
    char text[384];  /* the body of the answer: the standard string or one clear line */
    char cause[640]; /* for the log alone: place and cause, never a key */
};

void failure_clear(struct failure *f);
bool failed(const struct failure *f);

/* Each sets the failure and returns -1, so that "return fail(...)" reads as what it does. */

/* The client's fault: status and text go to the client; the cause is empty. */
int fail(struct failure *f, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the place and cause for the log to a failure that is set. Returns -1. */
int fail_because(struct failure *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Our own fault: 500, "Internal error" to the client, the cause to the log. */
int fail_internal(struct failure *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fail_memory(struct failure *f);
/* Something that the service needs is away: 503 with Retry-After; word ("database", "sealed",
 * "schema") goes to the client, the cause to the log. */
int fail_unavailable(struct failure *f, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
