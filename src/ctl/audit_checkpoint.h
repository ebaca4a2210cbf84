/* SPDX-License-Identifier: Apache-2.0 */
/* A signed word of how far the audit was at some time, to be kept where those who run the database
 * cannot change it:
 *
 *     speke-audit-checkpoint 1
 *     database NAME
 *     seal NUMBER
 *     hash HEXADECIMAL
 *     rows NUMBER
 *     sealed TIME
 *     written TIME
 *     signature BASE64
 *
 * The signature is Ed25519 (RFC 8032) over the lines before it. */
#ifndef CTL_AUDIT_CHECKPOINT_H
#define CTL_AUDIT_CHECKPOINT_H

#include "ctl/audit_record.h"

enum { AUDIT_DATABASE_SIZE = 256 };

struct audit_checkpoint {
    char database[AUDIT_DATABASE_SIZE];
    int64_t seal_no;
    unsigned char hash[AUDIT_HASH];
    int64_t rows; /* that this seal and those before it cover */
    int64_t sealed_at, written_at;
};

/* Appends the file's text, signed with the private key in a PEM file. Returns an enum ctl_exit
 * after saying what is wrong. */
int audit_checkpoint_sign(const struct audit_checkpoint *checkpoint, const char *key_path,
                          struct buf *out);
/* Reads a file and verifies its signature with the public key in a PEM file. Returns an enum
 * ctl_exit after saying what is wrong; CTL_TAMPERED for a signature that is not right. */
int audit_checkpoint_read(const char *path, const char *key_path, struct audit_checkpoint *out);

#endif
