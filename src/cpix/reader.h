/* SPDX-License-Identifier: Apache-2.0 */
/* What reader.c, which drives the parser, and elements.c, which knows the elements, share. */
#ifndef CPIX_READER_H
#define CPIX_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "cpix/cpix.h"

struct arena;
struct failure;
struct reader;
struct tag;

/* An element that is known, and where it may stand. */
struct element {
    const char *name_space, *name;
    /* Told of the start tag; NULL when there is nothing to keep. */
    int (*start)(struct reader *r, const struct tag *tag);
    /* Told of the element's own text at its end; NULL when nobody wants the text. */
    int (*end)(struct reader *r, const char *text);
    const struct element *const *children; /* ends with NULL; NULL: none */
    const struct element *other;           /* takes all other children; NULL: they are skipped */
    size_t counter; /* offset in struct cpix_document of the count of such elements; 0: none */
    enum cpix_field field; /* of a placeholder */
    size_t member;         /* of a text: offset in the struct that it belongs to */
};

extern const struct element CPIX_ROOT;
/* By enum cpix_field. */
extern const struct element CPIX_PLACEHOLDERS[];

/* An attribute as libxml2's startElementNs callback gets it: five pointers in a row. The value is
 * not terminated. */
struct tag_attribute {
    const char *name, *prefix, *name_space, *value, *value_end;
};

struct tag {
    const struct element *element;
    const char *name, *name_space; /* name_space is NULL for none */
    int line;                      /* where the tag begins */
    const struct tag_attribute *attributes;
    size_t attribute_count;
};

struct level {
    const struct element *element; /* NULL: skipped with all that is in it */
    size_t namespaces;             /* that its start tag declares */
};

struct reader {
    struct cpix_document *doc;
    struct arena *arena;
    const struct cpix_limits *limits;
    struct failure *f;
    void *parser;     /* xmlParserCtxt */
    const char *body; /* the bytes that are parsed */
    struct level levels[CPIX_DEEPEST];
    size_t depth;
    size_t namespaces, declarations; /* in force, and declared until now */
    struct cpix_wrapped *wrapped;    /* where CipherValue and ValueMAC go */
    struct buf text;                 /* of the element at hand */
    bool stopped;                    /* something failed: nothing more is looked at */
    int error, error_line;           /* libxml2's first error, 0 for none */
};

/* cpix_read() without the look at the bytes before, which the parser's own refusals must do
 * without. *doc and *f are empty. */
int reader_parse(const char *bytes, size_t size, const struct cpix_limits *limits,
                 struct arena *arena, struct cpix_document *doc, struct failure *f);

/* Sets the failure with path and line of the element at hand as its cause, and returns -1. */
int reader_refuse(struct reader *r, int status, int line, const char *text);

#endif
