/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/scan.h"

#include <string.h>
#include <strings.h>

#include "base/failure.h"
#include "base/utf8.h"
#include "cpix/cpix.h"

/* A document and how far it has been looked at. */
struct scan {
    const char *text, *at, *end;
    const struct cpix_limits *limits;
    struct failure *f;
};

static int line_of(const struct scan *s, const char *at)
{
    int line = 1;
    for (const char *p = s->text; (p = memchr(p, '\n', (size_t)(at - p))) != NULL; p++)
        line++;
    return line;
}

static int refuse(const struct scan *s, int status, const char *text)
{
    (void)fail(s->f, status, "%s", text);
    s->f->line = line_of(s, s->at);
    return fail_because(s->f, "line %d", s->f->line);
}

static int check_utf8(struct scan *s)
{
    const size_t size = (size_t)(s->end - s->text);
    const size_t valid = utf8_valid_prefix(s->text, size);
    if (valid == size)
        return 0;
    s->at = s->text + valid;
    return refuse(s, 400,
                  *s->at == '\0' ? "The document holds a zero byte" : "The document is not UTF-8");
}

/* The value of encoding="…" in an XML declaration, NULL when it names none. */
static const char *declared_encoding(const char *at, const char *end, size_t *n)
{
    static const char NAME[] = "encoding";
    static const char BLANKS[] = " \t\r\n";
    const char *p = memmem(at, (size_t)(end - at), NAME, sizeof NAME - 1);
    if (p == NULL)
        return NULL;
    p += sizeof NAME - 1;
    while (p < end && (*p == '=' || strchr(BLANKS, *p) != NULL))
        p++;
    if (p == end || (*p != '"' && *p != '\''))
        return NULL;
    const char *close = memchr(p + 1, *p, (size_t)(end - p - 1));
    if (close == NULL)
        return NULL;
    *n = (size_t)(close - p - 1);
    return p + 1;
}

static int check_encoding(struct scan *s)
{
    static const char OPEN[] = "<?xml";
    static const char UTF8[] = "UTF-8";
    size_t n;
    if ((size_t)(s->end - s->at) < sizeof OPEN || memcmp(s->at, OPEN, sizeof OPEN - 1) != 0)
        return 0;
    const char *end = memmem(s->at, (size_t)(s->end - s->at), "?>", 2);
    if (end == NULL)
        return 0; /* the parser will say so */
    const char *encoding = declared_encoding(s->at, end, &n);
    if (encoding == NULL || (n == sizeof UTF8 - 1 && strncasecmp(encoding, UTF8, n) == 0))
        return 0;
    return refuse(s, 400, "The document declares another encoding than UTF-8");
}

/* Counts the attributes of the start tag at s->at, which ends before the next '<'. */
static int check_attributes(const struct scan *s, const char *end)
{
    size_t count = 0;
    for (const char *p = s->at; p < end && *p != '>'; p++) {
        if (*p != '"' && *p != '\'')
            continue;
        p = memchr(p + 1, *p, (size_t)(end - p - 1));
        if (p == NULL)
            return 0; /* the parser will say so */
        if (++count > s->limits->attributes)
            return refuse(s, 422, "Too many attributes in one element");
    }
    return 0;
}

/* Goes on behind the end mark of a comment, CDATA section or processing instruction; to the end
 * of the document when there is none, which the parser will find. */
static void skip_past(struct scan *s, size_t head, const char *mark)
{
    const size_t n = strlen(mark);
    const size_t left = (size_t)(s->end - s->at);
    const char *p = left < head ? NULL : memmem(s->at + head, left - head, mark, n);
    s->at = p == NULL ? s->end : p + n;
}

static bool starts_with(const struct scan *s, const char *head)
{
    const size_t n = strlen(head);
    return (size_t)(s->end - s->at) >= n && memcmp(s->at, head, n) == 0;
}

/* s->at is at a '<'; leaves it behind what begins there, at the latest at the next '<'. */
static int check_markup(struct scan *s)
{
    enum { SHORTEST_ATTRIBUTE = sizeof " a=''" - 1 };
    if (starts_with(s, "<!--")) {
        skip_past(s, 4, "-->");
        return 0;
    }
    if (starts_with(s, "<![CDATA[")) {
        skip_past(s, 9, "]]>");
        return 0;
    }
    if (starts_with(s, "<!"))
        return refuse(s, 400, "A DOCTYPE is not allowed");
    if (starts_with(s, "<?")) {
        skip_past(s, 2, "?>");
        return 0;
    }
    /* No attribute value may hold a '<', so the tag ends before the next one. */
    const char *next = memchr(s->at + 1, '<', (size_t)(s->end - s->at - 1));
    if (next == NULL)
        next = s->end;
    if ((size_t)(next - s->at) > s->limits->attributes * SHORTEST_ATTRIBUTE &&
        check_attributes(s, next) != 0)
        return -1;
    s->at = next;
    return 0;
}

int cpix_scan(const char *text, size_t size, const struct cpix_limits *limits, struct failure *f)
{
    static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";
    /* No bytes may come as NULL, which takes no offset. */
    if (size == 0)
        text = "";
    struct scan s = {.text = text, .at = text, .end = text + size, .limits = limits, .f = f};
    size_t count = 0;
    if (size == 0)
        return refuse(&s, 400, "The document is empty");
    if (check_utf8(&s) != 0)
        return -1;
    if (starts_with(&s, BYTE_ORDER_MARK))
        s.at += sizeof BYTE_ORDER_MARK - 1;
    if (check_encoding(&s) != 0)
        return -1;
    while ((s.at = memchr(s.at, '<', (size_t)(s.end - s.at))) != NULL) {
        if (!starts_with(&s, "</") && ++count > limits->markup)
            return refuse(&s, 422, "The document has too many elements");
        if (check_markup(&s) != 0)
            return -1;
    }
    return 0;
}
