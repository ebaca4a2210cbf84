/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/child.h"
#include "keystore/kek_source.h"

enum { WORDS_MAX = 64, ENVIRONMENT_MAX = 4, VARIABLE_SIZE = 1280, NOT_FOUND = 127 };

struct source_command {
    struct kek_source source;
    char *text; /* the words, each ended by a zero */
    char *words[WORDS_MAX + 1];
    bool usable; /* not too many words, and the first one is a path */
};

static struct source_command *command_of(struct kek_source *s)
{
    return (struct source_command *)s; /* its first member */
}

/* What the program may know of this one's environment, which in CGI holds the client's words. */
static void clean_environment(char *out[static ENVIRONMENT_MAX],
                              char room[static ENVIRONMENT_MAX][VARIABLE_SIZE])
{
    static const char *const KEPT[] = {"HOME", "CREDENTIALS_DIRECTORY"};
    size_t count = 0;
    (void)snprintf(room[0], VARIABLE_SIZE,
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    out[count++] = room[0];
    for (size_t i = 0; i < sizeof KEPT / sizeof KEPT[0]; i++) {
        const char *value = getenv(KEPT[i]);
        const int n = value == NULL ? -1
                                    : snprintf(room[count], VARIABLE_SIZE, "%s=%s", KEPT[i], value);
        if (n > 0 && n < VARIABLE_SIZE) {
            out[count] = room[count];
            count++;
        }
    }
    out[count] = NULL;
}

/* In the child. */
static int become_program(void *context)
{
    struct source_command *c = context;
    char *environment[ENVIRONMENT_MAX];
    char room[ENVIRONMENT_MAX][VARIABLE_SIZE];
    clean_environment(environment, room);
    (void)execve(c->words[0], c->words, environment);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", c->words[0], strerror(errno));
    return NOT_FOUND;
}

static int64_t command_read(struct kek_source *s, char *text, size_t size, char *why,
                            size_t why_size)
{
    struct source_command *c = command_of(s);
    char cause[256];
    if (!c->usable) {
        (void)snprintf(why, why_size,
                       "kek_command: an absolute path and at most %d words are wanted",
                       WORDS_MAX - 1);
        return -1;
    }
    const int64_t n = child_read(become_program, c, text, size, cause, sizeof cause);
    if (n < 0)
        (void)snprintf(why, why_size, "kek_command: %s", cause);
    return n;
}

static void command_free(struct kek_source *s)
{
    struct source_command *c = command_of(s);
    free(c->text);
    free(c);
}

static void split(struct source_command *c)
{
    size_t count = 0;
    char *rest = NULL;
    char *word = strtok_r(c->text, " \t", &rest);
    for (; word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " \t", &rest))
        c->words[count++] = word;
    c->usable = word == NULL && count > 0 && c->words[0][0] == '/';
}

struct kek_source *source_command_new(const char *command)
{
    struct source_command *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->source = (struct kek_source){
        .name = "the output of kek_command", .read = command_read, .free = command_free};
    c->text = strdup(command);
    if (c->text == NULL) {
        free(c);
        return NULL;
    }
    split(c);
    return &c->source;
}
