/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: from the terminal without echo, from a line of a file or of standard input, or made
 * at random. Never from an argument, which every user of the machine can read. */
#ifndef CTL_PASSWORD_H
#define CTL_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

enum { PASSWORD_SIZE = 512 };

/* Each returns a zero-terminated text of PASSWORD_SIZE bytes in the secure heap, freed with
 * password_free(), or NULL when it has said why there is none. A password that is empty, does not
 * fit or holds control characters is refused. */

/* Asks on the terminal ("PROMPT: "), twice when confirm is set; when standard input is no terminal,
 * takes its first line instead. */
char *password_ask(const char *prompt, bool confirm);
/* The first line of a file. */
char *password_from_file(const char *path);
/* A copy of text, such as the value of an environment variable. */
char *password_copy(const char *text);
/* 32 random letters and digits, about 190 bits. */
char *password_generate(void);

/* NULL is allowed. */
void password_free(char *password);

#endif
