/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through the audit in the database, seal by seal, and has each row compared with its seal. */
#ifndef CTL_AUDIT_WALK_H
#define CTL_AUDIT_WALK_H

#include <libpq-fe.h>

#include "ctl/audit_check.h"
#include "ctl/progress.h"

struct ctl;

/* Where what is found goes, besides the check; each may be NULL. They return an enum ctl_exit; any
 * but CTL_DONE ends the walk with it. */
struct audit_sink {
    void *context;
    int (*seal)(void *context, const struct audit_seal *seal);
    /* seal_no is 0 for a row that is not sealed yet. */
    int (*row)(void *context, const struct audit_row *row, int64_t seal_no);
    /* A row that the seal covers and an archive has. */
    int (*elsewhere)(void *context, int64_t event_id);
};

struct audit_walk {
    PGconn *db;
    struct audit_check *check;
    struct audit_sink sink;
    struct progress progress;
    int64_t first, last; /* seals */
};

/* Begins the transaction in which everything is seen as it is now. Returns an enum ctl_exit. */
int audit_walk_begin(struct audit_walk *w, const struct ctl *ctl, const char *what);
/* The seals from first to last and their rows. */
int audit_walk_seals(struct audit_walk *w);
/* Rows that no seal covers yet, between two times of PostgreSQL's ("infinity" for none); counts
 * them in the check. */
int audit_walk_unsealed(struct audit_walk *w, const char *from, const char *to);
/* Ends the transaction and the progress line. */
void audit_walk_end(struct audit_walk *w);

/* Reads the seal with the lowest number from seal_no on. Returns 1, 0 when there is none, -1 after
 * saying what is wrong, with the exit code in *code. */
int audit_read_seal(PGconn *db, int64_t seal_no, struct audit_seal *seal, int *code);

#endif
