/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of tokens in files: the secret of HS256 as one line of base64url, the keys of ES256 as PEM.
 */
#ifndef CTL_TOKEN_FILE_H
#define CTL_TOKEN_FILE_H

#include <stdbool.h>

#include "player/token.h"

enum { TOKEN_FILE_BYTES = 128 };

struct token_file {
    struct token_key key; /* of a private key the 32 bytes lie behind the 65 of the point */
    unsigned char *bytes; /* TOKEN_FILE_BYTES on the secure heap */
};

/* Each returns an enum ctl_exit, and *out has to be freed whatever it is. */

/* Reads a file. Of ES256 a private or a public key will do; with sign only a private one. */
int token_file_read(struct token_file *out, const char *path, bool sign);
/* Makes a key, and its file: at path, of mode 0600, where there must be none yet, or on stdout when
 * path is NULL. */
int token_file_make(struct token_file *out, enum token_algorithm algorithm, const char *path);
void token_file_free(struct token_file *file);

#endif
