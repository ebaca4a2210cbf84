/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/reader.h"

#include <libxml/SAX2.h>
#include <libxml/catalog.h>
#include <libxml/parser.h>
#include <libxml/xmlmemory.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/secret.h"
#include "cpix/scan.h"

#if LIBXML_VERSION < 21200
typedef xmlError *error_pointer;
#else
typedef const xmlError *error_pointer;
#endif

/* 1 000 keys for eight systems with six placeholders each are about 62 000 elements. */
const struct cpix_limits CPIX_DEFAULT_LIMITS = {
    .keys = 1000,
    .systems = 16000,
    .recipients = CPIX_RECIPIENTS_MOST,
    .depth = 32,
    .attributes = 64,
    .markup = 200000,
};

/* --- Failures ------------------------------------------------------------------------------- */

/* Writes the path of the element at hand as far as it is known, without the root:
 * "DRMSystemList/DRMSystem[3]". */
static void write_place(const struct reader *r, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 1; i < r->depth && r->levels[i].element != NULL && len < size; i++) {
        const struct element *e = r->levels[i].element;
        size_t number = 0;
        if (e->counter != 0)
            memcpy(&number, (const char *)r->doc + e->counter, sizeof number);
        const char *slash = i == 1 ? "" : "/";
        const int n = number == 0
                          ? snprintf(out + len, size - len, "%s%s", slash, e->name)
                          : snprintf(out + len, size - len, "%s%s[%zu]", slash, e->name, number);
        len += n < 0 ? 0 : (size_t)n;
    }
}

int reader_refuse(struct reader *r, int status, int line, const char *text)
{
    char place[160];
    write_place(r, place, sizeof place);
    (void)fail(r->f, status, "%s", text);
    r->f->line = line;
    return fail_because(r->f, "%s, line %d", place[0] == '\0' ? "CPIX" : place, line);
}

/* Nothing more is asked of the parser. xmlStopParser() would take the input away from under it
 * when it is called for an error in the middle of a tag. */
static void stop(struct reader *r)
{
    xmlParserCtxt *parser = r->parser;
    r->stopped = true;
    parser->disableSAX = 1;
    parser->instate = XML_PARSER_EOF;
}

/* --- What libxml2 calls --------------------------------------------------------------------- */

/* The line on which the start tag begins that the parser has just read to its end. No attribute
 * value may hold a '<', so the last one begins the tag. */
static int line_of_tag(const struct reader *r)
{
    xmlParserCtxt *parser = r->parser;
    const long consumed = xmlByteConsumed(parser);
    int line = xmlSAX2GetLineNumber(parser);
    if (consumed <= 0)
        return line;
    const char *end = r->body + consumed;
    const char *p = memrchr(r->body, '<', (size_t)consumed);
    while (p != NULL && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        line--;
        p++;
    }
    return line;
}

static bool is_element(const struct element *e, const struct tag *tag)
{
    return strcmp(e->name, tag->name) == 0 && tag->name_space != NULL &&
           strcmp(e->name_space, tag->name_space) == 0;
}

/* The element that a child of that name is, NULL when it is to be skipped. */
static const struct element *find_child(const struct element *parent, const struct tag *tag)
{
    if (parent == NULL)
        return NULL;
    for (size_t i = 0; parent->children != NULL && parent->children[i] != NULL; i++) {
        if (is_element(parent->children[i], tag))
            return parent->children[i];
    }
    return parent->other;
}

static int check_namespaces(struct reader *r, int line, size_t declared)
{
    r->namespaces += declared;
    r->declarations += declared;
    if (r->namespaces > r->limits->attributes || r->declarations > r->limits->markup)
        return reader_refuse(r, 422, line, "Too many namespace declarations");
    return 0;
}

static int refuse_root(struct reader *r, const struct tag *tag)
{
    (void)fail(r->f, 400, "The root element is not CPIX in namespace " CPIX_NAMESPACE);
    r->f->line = tag->line;
    return fail_because(r->f, "%.64s in namespace %.64s, line %d", tag->name,
                        tag->name_space == NULL ? "(none)" : tag->name_space, tag->line);
}

static int start_element(struct reader *r, struct tag *tag, size_t declared)
{
    const size_t deepest = r->limits->depth < CPIX_DEEPEST ? r->limits->depth : CPIX_DEEPEST;
    if (r->depth == deepest)
        return reader_refuse(r, 422, tag->line, "Elements are nested too deeply");
    if (check_namespaces(r, tag->line, declared) != 0)
        return -1;
    if (r->depth > 0)
        tag->element = find_child(r->levels[r->depth - 1].element, tag);
    else if (is_element(&CPIX_ROOT, tag))
        tag->element = &CPIX_ROOT;
    else
        return refuse_root(r, tag);
    r->levels[r->depth++] = (struct level){.element = tag->element, .namespaces = declared};
    return tag->element != NULL && tag->element->start != NULL ? tag->element->start(r, tag) : 0;
}

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int attribute_count,
                     int defaulted_count, const xmlChar **attributes)
{
    struct reader *r = context;
    (void)prefix;
    (void)namespaces;
    (void)defaulted_count; /* without a DTD there are none */
    if (r->stopped)
        return;
    struct tag tag = {
        .name = (const char *)name,
        .name_space = (const char *)uri,
        .line = line_of_tag(r),
        .attributes = (const void *)attributes,
        .attribute_count = (size_t)attribute_count,
    };
    if (start_element(r, &tag, (size_t)namespace_count) != 0)
        stop(r);
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct reader *r = context;
    (void)name;
    (void)prefix;
    (void)uri;
    if (r->stopped || r->depth == 0)
        return;
    const struct level *level = &r->levels[r->depth - 1];
    if (level->element != NULL && level->element->end != NULL) {
        buf_putc(&r->text, '\0');
        const int result = buf_ok(&r->text) ? level->element->end(r, (const char *)r->text.data)
                                            : fail_memory(r->f);
        buf_clear(&r->text);
        if (result != 0)
            stop(r);
    }
    r->namespaces -= level->namespaces;
    r->depth--;
}

static void on_text(void *context, const xmlChar *text, int n)
{
    struct reader *r = context;
    if (r->stopped || r->depth == 0)
        return;
    const struct element *e = r->levels[r->depth - 1].element;
    if (e != NULL && e->end != NULL)
        buf_put(&r->text, text, (size_t)n);
}

/* cpix_scan() has refused what leads here; if it should be mistaken once, nothing is declared all
 * the same. */
static void on_doctype(void *context, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
    struct reader *r = context;
    (void)name;
    (void)id;
    (void)system;
    if (r->stopped)
        return;
    (void)reader_refuse(r, 400, xmlSAX2GetLineNumber(r->parser), "A DOCTYPE is not allowed");
    stop(r);
}

static void on_error(void *context, error_pointer error)
{
    struct reader *r = context;
    if (r->stopped || error->level < XML_ERR_ERROR)
        return;
    r->error = error->code;
    r->error_line = error->line;
    stop(r);
}

static const xmlSAXHandler HANDLER = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .internalSubset = on_doctype,
    .serror = on_error,
};

/* --- The parser ----------------------------------------------------------------------------- */

/* libxml2's buffers hold the document, and an answer's document holds keys. */
static void wipe_and_free(void *p)
{
    if (p != NULL)
        secret_wipe(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t n)
{
    void *moved = malloc(n);
    if (moved == NULL || p == NULL)
        return moved;
    const size_t old = malloc_usable_size(p);
    memcpy(moved, p, old < n ? old : n);
    wipe_and_free(p);
    return moved;
}

static xmlParserInputPtr load_nothing(const char *url, const char *id, xmlParserCtxtPtr parser)
{
    (void)url;
    (void)id;
    (void)parser;
    return NULL;
}

static void say_nothing(void *context, error_pointer error)
{
    (void)context;
    (void)error;
}

static void print_nothing(void *context, const char *format, ...)
{
    (void)context;
    (void)format;
}

void cpix_setup(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    if (xmlMemSetup(wipe_and_free, malloc, wiping_realloc, strdup) != 0)
        abort(); /* it refuses nothing but NULL */
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
    xmlCatalogSetDefaults(XML_CATA_ALLOW_NONE);
    xmlSetStructuredErrorFunc(NULL, say_nothing);
    xmlSetGenericErrorFunc(NULL, print_nothing);
}

/* A parser with its dictionary of names costs as much to make as a small document to read, so the
 * one that read the last document well is kept for the next. */
static xmlParserCtxt *spare_parser;

static xmlParserCtxt *take_parser(void)
{
    xmlParserCtxt *parser = spare_parser;
    spare_parser = NULL;
    if (parser != NULL)
        return parser;
    parser = xmlNewParserCtxt();
    if (parser != NULL)
        *parser->sax = HANDLER;
    return parser;
}

/* One that has stopped in the middle is not used again, and neither is one whose dictionary has
 * been filled with names that no document needs. */
static void give_back_parser(xmlParserCtxt *parser, bool whole)
{
    enum { LARGEST_DICTIONARY = 64 * 1024 };
    parser->userData = NULL;
    if (whole && xmlDictGetUsage(parser->dict) <= LARGEST_DICTIONARY) {
        xmlCtxtReset(parser);
        spare_parser = parser;
    } else {
        xmlFreeParserCtxt(parser);
    }
}

/* libxml2's own messages repeat the document, so the client gets these words. */
static const char *words_for(int error)
{
    switch (error) {
    case XML_ERR_DOCUMENT_EMPTY:
    case XML_ERR_DOCUMENT_START:
        return "no element";
    case XML_ERR_DOCUMENT_END:
        return "something follows the root element";
    case XML_ERR_TAG_NAME_MISMATCH:
        return "start and end tag do not match";
    case XML_ERR_TAG_NOT_FINISHED:
        return "an element is not closed";
    case XML_ERR_ATTRIBUTE_REDEFINED:
        return "an attribute is given twice";
    case XML_ERR_UNDECLARED_ENTITY:
    case XML_WAR_UNDECLARED_ENTITY:
        return "an entity is not declared";
    case XML_ERR_INVALID_CHAR:
    case XML_ERR_INVALID_CHARREF:
        return "a character is not allowed";
    case XML_NS_ERR_UNDEFINED_NAMESPACE:
        return "a namespace prefix is not declared";
    default:
        return "syntax error";
    }
}

static int refuse_xml(struct reader *r)
{
    if (r->error == XML_ERR_NO_MEMORY)
        return fail_memory(r->f);
    (void)fail(r->f, 400, "The document is not well-formed XML: %s, line %d", words_for(r->error),
               r->error_line);
    r->f->line = r->error_line;
    char place[160];
    write_place(r, place, sizeof place);
    return fail_because(r->f, "%s, line %d: libxml2 error %d", place[0] == '\0' ? "CPIX" : place,
                        r->error_line, r->error);
}

static int parse(struct reader *r, size_t size)
{
    /* The encoding is UTF-8, whatever may be declared: cpix_scan() has seen to that. */
    const int options = XML_PARSE_NONET | XML_PARSE_IGNORE_ENC;
    xmlParserCtxt *parser = take_parser();
    if (parser == NULL)
        return fail_memory(r->f);
    r->parser = parser;
    parser->userData = r;
    xmlDoc *tree = xmlCtxtReadMemory(parser, r->body, (int)size, NULL, NULL, options);
    xmlFreeDoc(tree); /* NULL: this handler builds none */
    const bool whole = !r->stopped && parser->wellFormed && parser->nsWellFormed;
    give_back_parser(parser, whole);
    if (whole)
        return 0;
    return failed(r->f) ? -1 : refuse_xml(r);
}

int reader_parse(const char *bytes, size_t size, const struct cpix_limits *limits,
                 struct arena *arena, struct cpix_document *doc, struct failure *f)
{
    struct reader r = {.doc = doc, .arena = arena, .limits = limits, .f = f, .body = bytes};
    buf_init(&r.text, size + 1);
    const int result = parse(&r, size);
    buf_free(&r.text);
    return result;
}

int cpix_read(const void *bytes, size_t size, const struct cpix_limits *limits, struct arena *arena,
              struct cpix_document *doc, struct failure *f)
{
    *doc = (struct cpix_document){0};
    failure_clear(f);
    if (size > INT_MAX)
        return fail(f, 413, "The document is too large");
    if (cpix_scan(bytes, size, limits, f) != 0)
        return -1;
    return reader_parse(bytes, size, limits, arena, doc, f);
}
