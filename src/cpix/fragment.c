/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/fragment.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Around the text, on lines of their own, so that places are easily told. */
static const char START[] = "<fragment>\n", END[] = "\n</fragment>";

enum { LARGEST_FRAGMENT = 1 << 20 };

static int tell(const xmlError *error, char *why, size_t size)
{
    const char *message = error == NULL || error->message == NULL ? "no XML" : error->message;
    const int line = error == NULL || error->line < 2 ? 1 : error->line - 1;
    (void)snprintf(why, size, "line %d, column %d: %.*s", line, error == NULL ? 0 : error->int2,
                   (int)strcspn(message, "\n"), message);
    return -1;
}

static int check_root(const xmlNode *fragment, const char *root, char *why, size_t size)
{
    const xmlNode *found = NULL;
    size_t elements = 0;
    for (const xmlNode *node = fragment->children; node != NULL; node = node->next) {
        if (node->type == XML_ELEMENT_NODE) {
            elements++;
            found = node;
        } else if (node->type != XML_COMMENT_NODE && xmlIsBlankNode(node) != 1) {
            (void)snprintf(why, size, "line %ld: text beside the element %s",
                           xmlGetLineNo(node) - 1, root);
            return -1;
        }
    }
    if (elements == 1 && strcmp((const char *)found->name, root) == 0)
        return 0;
    (void)snprintf(why, size, "not one element %s, but %s", root,
                   elements == 0   ? "none"
                   : elements == 1 ? (const char *)found->name
                                   : "several");
    return -1;
}

static int check_elements(xmlNode *fragment, char *why, size_t size)
{
    if (xmlFirstElementChild(fragment) != NULL)
        return 0;
    (void)snprintf(why, size, "there is no element in it");
    return -1;
}

int cpix_fragment_check(const char *text, const char *root, char *why, size_t size)
{
    struct buf b;
    xmlDoc *doc = NULL;
    int result = -1;
    xmlParserCtxt *parser = xmlNewParserCtxt();
    buf_init(&b, LARGEST_FRAGMENT);
    buf_puts(&b, START);
    buf_puts(&b, text);
    buf_puts(&b, END);
    if (parser == NULL || !buf_ok(&b)) {
        (void)snprintf(why, size, "out of memory, or longer than %d bytes", LARGEST_FRAGMENT);
        goto out;
    }
    doc = xmlCtxtReadMemory(parser, (const char *)b.data, (int)b.len, NULL, "UTF-8",
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc == NULL || parser->wellFormed != 1 || parser->nsWellFormed != 1)
        result = tell(xmlCtxtGetLastError(parser), why, size);
    else if (root != NULL)
        result = check_root(xmlDocGetRootElement(doc), root, why, size);
    else
        result = check_elements(xmlDocGetRootElement(doc), why, size);
out:
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(parser);
    buf_free(&b);
    return result;
}
