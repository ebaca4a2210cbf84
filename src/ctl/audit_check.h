/* SPDX-License-Identifier: Apache-2.0 */
/* Compares rows of the audit with their seals and the seals with each other, wherever both come
 * from, and collects what is wrong. */
#ifndef CTL_AUDIT_CHECK_H
#define CTL_AUDIT_CHECK_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/audit_checkpoint.h"
#include "ctl/audit_record.h"

/* What is known of a row of the seal at hand. */
enum audit_state { AUDIT_UNSEEN, AUDIT_SEEN, AUDIT_ELSEWHERE };

struct audit_place {
    int64_t event_id;
    int32_t index; /* in the seal */
};

struct audit_check {
    json_t *findings; /* objects; the first thousands of them */
    long long finding_count;
    long long seals, rows; /* looked at */
    long long elsewhere;   /* rows that are in an archive */
    long long unsealed;
    int64_t unsealed_since; /* the earliest of them */
    bool in_order;          /* rows come in the order of their seal */
    bool whole;             /* the first seal must be number 1 */
    bool out_of_memory;
    const struct audit_checkpoint *checkpoint; /* NULL for none */
    bool checkpoint_seen;
    int64_t first_no; /* of the first seal seen, 0 before it */
    struct audit_seal seal;
    int64_t former_sealed_at;   /* of the seal before that one */
    struct audit_place *places; /* of the seal's rows, in the order of event_id */
    unsigned char *states;      /* of them in the order of the seal */
    int32_t last_index;
};

/* Starts; freed with audit_check_free(). */
void audit_check_init(struct audit_check *c);
void audit_check_free(struct audit_check *c);

/* Notes something that is wrong: a word for programs, the row's and the seal's number (0 for none)
 * and a sentence. */
void audit_find(struct audit_check *c, const char *word, int64_t event_id, int64_t seal_no,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Looks at the next seal, which is taken over, also when something is wrong. */
void audit_check_seal(struct audit_check *c, struct audit_seal *seal);
/* Looks at a row of this seal. */
void audit_check_row(struct audit_check *c, const struct audit_row *row);
/* Marks a row of it as one that is in an archive. */
void audit_check_elsewhere(struct audit_check *c, int64_t event_id);
/* Ends with this seal: rows that did not come are missing. */
void audit_check_rows_end(struct audit_check *c);
/* Ends with the last one. */
void audit_check_end(struct audit_check *c);

#endif
