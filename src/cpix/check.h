/* SPDX-License-Identifier: Apache-2.0 */
/* What check.c and contract.c share: the checks at hand and how a fault is told. */
#ifndef CPIX_CHECK_H
#define CPIX_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "cpix/cpix.h"

/* The first ContentKey of each KID, in the order of uuid_compare(). */
struct kid_entry {
    struct uuid kid;
    size_t key;
};

/* The checks of one document. A function that checks returns whether to go on: false when the
 * sink has had enough or memory ran out. */
struct checks {
    struct cpix_document *doc;
    const struct cpix_rules *rules;
    struct arena *arena;
    cpix_fault_sink sink;
    void *context;
    struct kid_entry *kids;
    size_t kid_count;
    bool faulty, no_memory;
};

/* Tells the sink of a fault; the place is given as for printf(). Returns whether to go on. */
bool check_fault(struct checks *c, const char *rule, int line, const char *text, const char *place,
                 ...) __attribute__((format(printf, 5, 6)));
/* count zeroed elements of size bytes in the arena; NULL when it is full, which ends the checks. */
void *check_array(struct checks *c, size_t count, size_t size);
/* Parses the UUID in a text that may have blanks around it. Returns 0, or -1 when it is none. */
int check_uuid(const char *text, struct uuid *out);
/* The ContentKey with that KID, CPIX_NO_KEY when there is none. */
size_t check_find_key(const struct checks *c, const struct uuid *kid);

/* Judges the periods: named once each, and placed by index or, in v2.1, by times that can be. */
bool check_periods(struct checks *c);
/* Judges the encryption contract (SPEKE v2.0, "Encryption contract"): usage rules and filters. */
bool check_contract(struct checks *c);

#endif
