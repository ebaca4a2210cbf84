/* SPDX-License-Identifier: Apache-2.0 */
/* What an import reads: key_csv.c and key_cpix.c know the two forms, key_import.c does the rest. */
#ifndef CTL_KEY_SOURCE_H
#define CTL_KEY_SOURCE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/key_stage.h"
#include "ctl/progress.h"

struct ctl;

enum { SOURCE_FAULTS_TOLD = 20 };

struct key_source {
    const struct ctl *ctl;
    struct key_stage stage;
    EVP_PKEY *recipient;    /* opens encrypted documents; NULL for none */
    bool clear;             /* clear keys may be read */
    const char *content_id; /* of documents that name none; NULL for none */
    char **names;           /* of the files, for messages */
    size_t name_count;
    long long keys, faults; /* read so far */
    struct progress progress;
};

/* Reads a whole file, "-" for standard input, which is the last in names. Tells each fault and goes
 * on, so that all are told; keys are staged until the first. Returns an enum ctl_exit that is not
 * CTL_DONE only when it is of no use to go on. */
int key_csv_read(struct key_source *s, const char *path);
int key_cpix_read(struct key_source *s, const char *path);

/* Tells of a fault at a line of the last file; what comes from the file must be printable already.
 */
void key_source_fault(struct key_source *s, long line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The number that key_import.c finds file and line again by. */
int64_t key_source_line(const struct key_source *s, long line);
/* Stages a key unless something was at fault before. Returns an enum ctl_exit. */
int key_source_add(struct key_source *s, struct stage_key *key, long line);

#endif
