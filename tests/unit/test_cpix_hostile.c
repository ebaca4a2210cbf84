/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that somebody sends to hurt, and bodies that are simply wrong: each is refused with the
 * right status and place, in bounded time and memory, and without a word on stderr. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cpix/reader.h"
#include "cpix_fixture.h"

#include <cmocka.h>

/* A sanitizer looks at the whole haystack of each search before it is made. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
enum { LARGE = 2, MOST_MILLISECONDS = 10000 };
#else
enum { LARGE = 16, MOST_MILLISECONDS = 2000 };
#endif
enum { MEBIBYTE = 1024 * 1024 };

#define ROOT "<c:CPIX xmlns:c='urn:dashif:org:cpix'>"
#define END  "</c:CPIX>"

/* A body: a head, a piece over and over ("%x" in it counts) until size is reached, a tail. */
struct body {
    const char *name, *head, *piece, *tail;
    int status;        /* 0: it is read well */
    const char *text;  /* of the failure, or its beginning */
    const char *cause; /* which has to be in the failure's cause */
};

static const struct body BODIES[] = {
    {"attributes", "<c:CPIX xmlns:c='urn:dashif:org:cpix'", " a%x=''", "/>", 422,
     "Too many attributes in one element", "line 1"},
    {"namespaces of one element", "<c:CPIX xmlns:c='urn:dashif:org:cpix'", " xmlns:a%x='b'", "/>",
     422, "Too many attributes in one element", "line 1"},
    {"attributes far down", ROOT "\n\n<a", "\n a%x='>'", "/>" END, 422,
     "Too many attributes in one element", "line 3"},
    {"deep nesting", ROOT "\n", "<a>", "", 422, "The document has too many elements", "line 2"},
    {"many elements", ROOT, "<a/>", END, 422, "The document has too many elements", "line 1"},
    {"many names", ROOT, "<a%x/>", END, 0, NULL, NULL},
    {"comments", ROOT, "<!---->", END, 0, NULL, NULL},
    {"an endless comment", ROOT, "<!--", "", 400, "The document is not well-formed XML", "line 1"},
    {"a comment of dashes", ROOT "<!--", "-", "-->" END, 400, "The document is not well-formed XML",
     "line 1"},
    {"processing instructions", ROOT, "<?a?>", END, 422, "The document has too many elements",
     NULL},
    {"CDATA", ROOT, "<![CDATA[]]>", END, 0, NULL, NULL},
    {"endless CDATA", ROOT, "<![CDATA[", "", 400, "The document is not well-formed XML", NULL},
    {"namespaces that draw warnings", ROOT, "<a xmlns:x='r'/>", END, 0, NULL, NULL},
    {"prefixes of nothing", ROOT "\n", "<x:ab/>", END, 400,
     "The document is not well-formed XML: a namespace prefix is not declared, line 2", "line 2"},
    {"undeclared entities", ROOT, "&x;", END, 400,
     "The document is not well-formed XML: an entity is not declared, line 1", "line 1"},
    {"bare ampersands", ROOT, "&", END, 400, "The document is not well-formed XML", "line 1"},
    {"ends of CDATA", ROOT, "]]>", END, 400, "The document is not well-formed XML", "line 1"},
    {"ends of elements", ROOT, "</a>", "", 400,
     "The document is not well-formed XML: start and end tag do not match, line 1", "line 1"},
    {"angles", ROOT, "<", "", 422, "The document has too many elements", NULL},
    {"an endless name", ROOT "<", "a", "/>" END, 400, "The document is not well-formed XML", NULL},
    {"quotes", "<c:CPIX ", "\"", "/>", 422, "Too many attributes in one element", NULL},
    {"ampersands in values", ROOT, "<a b='&amp;&amp;&amp;&amp;'/>", END, 0, NULL, NULL},
    {"an endless value", "<c:CPIX xmlns:c='urn:dashif:org:cpix' id='", "x", "'/>", 0, NULL, NULL},
    {"ampersands in one value", "<c:CPIX xmlns:c='urn:dashif:org:cpix' id='", "&amp;", "'/>", 0,
     NULL, NULL},
    {"line ends", ROOT, "\r\n", END, 0, NULL, NULL},
    {"control characters", ROOT, "\001", END, 400,
     "The document is not well-formed XML: a character is not allowed, line 1", "line 1"},
    {"half characters", ROOT "\n", "\xe2\x82", END, 400, "The document is not UTF-8", "line 2"},
    {"keys", ROOT "<c:ContentKeyList>\n", "<c:ContentKey/>", "</c:ContentKeyList>" END, 422,
     "Too many ContentKey elements", "ContentKeyList, line 2"},
    {"systems", ROOT "<c:DRMSystemList>\n", "<c:DRMSystem/>", "</c:DRMSystemList>" END, 422,
     "Too many DRMSystem elements", "DRMSystemList, line 2"},
    {"periods", ROOT "<c:ContentKeyPeriodList>\n", "<c:ContentKeyPeriod/>",
     "</c:ContentKeyPeriodList>" END, 422, "Too many ContentKeyPeriod elements",
     "ContentKeyPeriodList, line 2"},
    {"rules", ROOT "<c:ContentKeyUsageRuleList>\n", "<c:ContentKeyUsageRule/>",
     "</c:ContentKeyUsageRuleList>" END, 422, "Too many ContentKeyUsageRule elements",
     "ContentKeyUsageRuleList, line 2"},
    {"recipients", ROOT "<c:DeliveryDataList>\n", "<c:DeliveryData/>", "</c:DeliveryDataList>" END,
     422, "Too many DeliveryData elements", "DeliveryDataList, line 2"},
    {"filters", ROOT "<c:ContentKeyUsageRuleList><c:ContentKeyUsageRule>", "<c:VF/>",
     "</c:ContentKeyUsageRule></c:ContentKeyUsageRuleList>" END, 0, NULL, NULL},
    {"placeholders", ROOT "<c:DRMSystemList><c:DRMSystem>", "<c:PSSH>a</c:PSSH>",
     "</c:DRMSystem></c:DRMSystemList>" END, 0, NULL, NULL},
    {"an endless text", ROOT "<c:DRMSystemList><c:DRMSystem><c:PSSH>", "AAAA",
     "</c:PSSH></c:DRMSystem></c:DRMSystemList>" END, 0, NULL, NULL},
    {"a text in pieces", ROOT "<c:DRMSystemList><c:DRMSystem><c:PSSH>", "A<!---->",
     "</c:PSSH></c:DRMSystem></c:DRMSystemList>" END, 0, NULL, NULL},
    {"declarations", "<!DOCTYPE x [", "<!ENTITY a%x 'b'>", "]>" ROOT END, 400,
     "A DOCTYPE is not allowed", "line 1"},
    {"blanks", "", " \n", "", 400, "The document is not well-formed XML: no element", NULL},
    {"words", "", "no XML ", "", 400, "The document is not well-formed XML: no element, line 1",
     NULL},
    {"line feeds at the end", ROOT END "\n", "\n", "", 0, NULL, NULL},
};

static char *make_body(const struct body *b, size_t size, size_t *len)
{
    char *text = malloc(size);
    assert_non_null(text);
    char piece[64];
    const char *count = strstr(b->piece, "%x");
    size_t n = strlen(b->head), k = strlen(b->piece);
    memcpy(text, b->head, n);
    memcpy(piece, b->piece, k);
    for (unsigned i = 0;; i++) {
        if (count != NULL)
            k = (size_t)snprintf(piece, sizeof piece, "%.*s%x%s", (int)(count - b->piece), b->piece,
                                 i, count + 2);
        if (n + k + strlen(b->tail) > size)
            break;
        memcpy(text + n, piece, k);
        n += k;
    }
    memcpy(text + n, b->tail, strlen(b->tail));
    *len = n + strlen(b->tail);
    return text;
}

static long cpu_milliseconds(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void judge(const struct fixture *x, const char *name, int status, const char *text,
                  const char *cause)
{
    const struct failure *f = &x->failure;
    if (x->result != (status == 0 ? 0 : -1) || f->status != status)
        fail_msg("%s: result %d, status %d \"%s\" (%s)", name, x->result, f->status, f->text,
                 f->cause);
    if (text != NULL && strncmp(f->text, text, strlen(text)) != 0)
        fail_msg("%s: \"%s\"", name, f->text);
    if (cause != NULL && strstr(f->cause, cause) == NULL)
        fail_msg("%s: cause \"%s\"", name, f->cause);
    if (strchr(f->text, '\n') != NULL || strchr(f->cause, '\n') != NULL)
        fail_msg("%s: more than one line", name);
}

/* Reads a body of that size; fails when it takes long or fills the arena. */
static void read_body(struct fixture *x, const struct body *b, size_t size)
{
    size_t len;
    char *text = make_body(b, size, &len);
    arena_reset(&x->arena);
    const long before = cpu_milliseconds();
    x->result = cpix_read(text, len, &CPIX_DEFAULT_LIMITS, &x->arena, &x->doc, &x->failure);
    const long spent = cpu_milliseconds() - before;
    free(text);
    if (spent > MOST_MILLISECONDS)
        fail_msg("%s: %ld ms", b->name, spent);
    if (x->arena.used > 48 * MEBIBYTE)
        fail_msg("%s: %zu bytes for %zu", b->name, x->arena.used, size);
}

static void bodies_of_one_mebibyte(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++) {
        read_body(x, &BODIES[i], MEBIBYTE);
        judge(x, BODIES[i].name, BODIES[i].status, BODIES[i].text, BODIES[i].cause);
    }
}

/* At the largest size that can be set some are beyond other limits, but none takes long. */
static void bodies_of_the_largest_size(void **state)
{
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++)
        read_body(*state, &BODIES[i], LARGE * MEBIBYTE);
}

/* 1 000 keys, systems, periods and rules, each rule for a hundred periods: nothing is compared with
 * everything. */
static void checks_of_a_large_document(void **state)
{
    enum { COUNT_OF_EACH = 1000, PERIODS_OF_A_RULE = 100 };
    struct fixture *x = *state;
    struct fixture_faults faults = {0};
    const struct cpix_rules rules = fixture_rules(SPEKE_V2_0);
    struct buf text;
    buf_init(&text, 8 * MEBIBYTE);
    buf_puts(&text,
             "<CPIX xmlns='urn:dashif:org:cpix' contentId='m' version='2.3'><ContentKeyList>");
    static const char KID[] = "00000000-0000-0000-0000-%012d";
    char kid[64];
    for (int i = 0; i < COUNT_OF_EACH; i++) {
        (void)snprintf(kid, sizeof kid, KID, (i * 7919) % COUNT_OF_EACH);
        buf_printf(&text, "<ContentKey kid='%s' commonEncryptionScheme='cenc'/>", kid);
    }
    buf_puts(&text, "</ContentKeyList><DRMSystemList>");
    for (int i = 0; i < COUNT_OF_EACH; i++) {
        (void)snprintf(kid, sizeof kid, KID, i);
        buf_printf(&text, "<DRMSystem kid='%s' systemId='" WIDEVINE "'/>", kid);
    }
    buf_puts(&text, "</DRMSystemList><ContentKeyPeriodList>");
    for (int i = 0; i < COUNT_OF_EACH; i++)
        buf_printf(&text, "<ContentKeyPeriod id='p%d' index='%d'/>", i, i);
    buf_puts(&text, "</ContentKeyPeriodList><ContentKeyUsageRuleList>");
    for (int i = 0; i < COUNT_OF_EACH; i++) {
        (void)snprintf(kid, sizeof kid, KID, i);
        buf_printf(&text, "<ContentKeyUsageRule kid='%s' intendedTrackType='VIDEO'>", kid);
        for (int j = 0; j < PERIODS_OF_A_RULE; j++)
            buf_printf(&text, "<KeyPeriodFilter periodId='p%d'/>", j == 0 ? i : (j * 7) % 97);
        buf_puts(&text, "<VideoFilter/></ContentKeyUsageRule>");
    }
    buf_puts(&text, "</ContentKeyUsageRuleList></CPIX>");
    buf_putc(&text, '\0');
    assert_true(buf_ok(&text));
    fixture_read_well(x, (const char *)text.data);
    const long before = cpu_milliseconds();
    fixture_check(x, &rules, &faults);
    const long spent = cpu_milliseconds() - before;
    buf_free(&text);
    /* The first 97 rules name the same periods, as they name their own among the others. */
    assert_int_equal(faults.count, 96);
    assert_string_equal(faults.items[0].rule, "V7");
    if (spent > MOST_MILLISECONDS)
        fail_msg("%ld ms", spent);
}

static void memory_is_flat(void **state)
{
    struct fixture *x = *state;
    size_t before = 0;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++)
            read_body(x, &BODIES[i], MEBIBYTE / 8);
        arena_free(&x->arena);
        fixture_read_well(x, FIXTURE_V2_0);
        const size_t now = mallinfo2().uordblks;
        if (round > 0 && now > before + 4096)
            fail_msg("round %d: %zu bytes after %zu", round, now, before);
        before = now;
    }
}

/* Small bodies, given with their length. */
#define CASE(name, bytes, status, text, cause)              \
    {                                                       \
        name, bytes, sizeof(bytes) - 1, status, text, cause \
    }
static const struct {
    const char *name, *bytes;
    size_t size;
    int status;
    const char *text, *cause;
} CASES[] = {
    CASE("empty", "", 400, "The document is empty", "line 1"),
    CASE("mark alone", "\xef\xbb\xbf", 400, "The document is not well-formed XML: no element",
         NULL),
    CASE("UTF-16 with mark", "\xff\xfe<\0a\0/\0>\0", 400, "The document is not UTF-8", "line 1"),
    CASE("UTF-16 without mark", "<\0a\0/\0>\0", 400, "The document holds a zero byte", "line 1"),
    CASE("UTF-32", "\0\0\0<\0\0\0a\0\0\0/\0\0\0>", 400, "The document holds a zero byte", "line 1"),
    CASE("zero byte in a value", "<a b='\0'/>", 400, "The document holds a zero byte", "line 1"),
    CASE("zero byte at the end", ROOT END "\n\0", 400, "The document holds a zero byte", "line 2"),
    CASE("reference to zero", ROOT "&#0;" END, 400,
         "The document is not well-formed XML: a character is not allowed", "line 1"),
    CASE("overlong", ROOT "\xc0\xaf" END, 400, "The document is not UTF-8", "line 1"),
    CASE("surrogate", ROOT "\xed\xa0\x80" END, 400, "The document is not UTF-8", "line 1"),
    CASE("above U+10FFFF", ROOT "\xf4\x90\x80\x80" END, 400, "The document is not UTF-8", "line 1"),
    CASE("cut in a character", "<a>\xe2\x82", 400, "The document is not UTF-8", "line 1"),
    CASE("U+FFFE", ROOT "\xef\xbf\xbe" END, 400,
         "The document is not well-formed XML: a character is not allowed", "line 1"),
    CASE("Latin-1 declared", "<?xml version='1.0' encoding='ISO-8859-1'?>" ROOT END, 400,
         "The document declares another encoding than UTF-8", "line 1"),
    CASE("UTF-16 declared", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" ROOT END, 400,
         "The document declares another encoding than UTF-8", "line 1"),
    CASE("UTF-7 declared", "<?xml version='1.0'\tencoding\n=\n'UTF-7'?>" ROOT END, 400,
         "The document declares another encoding than UTF-8", "line 1"),
    CASE("EBCDIC declared after a mark",
         "\xef\xbb\xbf<?xml version='1.0' encoding='IBM037'?>" ROOT END, 400,
         "The document declares another encoding than UTF-8", "line 1"),
    CASE("encoding named twice",
         "<?xml version='1.0' encoding='UTF-8' encoding='UTF-16'?>" ROOT END, 400,
         "The document is not well-formed XML", NULL),
    CASE("declaration cut", "<?xml version='1.0'", 400, "The document is not well-formed XML",
         NULL),
    CASE("DOCTYPE", "<?xml version='1.0'?>\n<!DOCTYPE x>" ROOT END, 400, "A DOCTYPE is not allowed",
         "line 2"),
    CASE("doctype in lower case", "<!doctype html>" ROOT END, 400, "A DOCTYPE is not allowed",
         "line 1"),
    CASE("DOCTYPE behind a comment", "<!-- x -->\n\n <!DOCTYPE x []>" ROOT END, 400,
         "A DOCTYPE is not allowed", "line 3"),
    CASE("entity within", ROOT "<!ENTITY a 'b'>" END, 400, "A DOCTYPE is not allowed", "line 1"),
    CASE("no XML", "{\"contentId\": 1}", 400,
         "The document is not well-formed XML: no element, line 1", "line 1"),
    CASE("cut", ROOT "\n<a>", 400, "The document is not well-formed XML", "line 2"),
    CASE("crossed", ROOT "<a><b></a></b>" END, 400,
         "The document is not well-formed XML: start and end tag do not match, line 1", "line 1"),
    CASE("two roots", ROOT END ROOT END, 400,
         "The document is not well-formed XML: something follows the root element, line 1", NULL),
    CASE("attribute twice", ROOT "<a b='' b=''/>" END, 400,
         "The document is not well-formed XML: an attribute is given twice, line 1", NULL),
    CASE("attribute twice by namespace", ROOT "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>" END, 400,
         "The document is not well-formed XML", NULL),
    CASE("less in a value", "<a b='<'/>", 400, "The document is not well-formed XML", NULL),
    CASE("prefix of nothing", "<cpix:CPIX/>", 400,
         "The document is not well-formed XML: a namespace prefix is not declared, line 1", NULL),
    CASE("prefix of an attribute", ROOT "\n<a p:b=''/>" END, 400,
         "The document is not well-formed XML: a namespace prefix is not declared, line 2",
         "line 2"),
    CASE("place of a fault", ROOT "\n<c:DRMSystemList><c:DRMSystem/>\n<c:DRMSystem><c:PSSH>&nbsp;",
         400, "The document is not well-formed XML: an entity is not declared, line 3",
         "DRMSystemList/DRMSystem[2]/PSSH, line 3"),
    CASE("entity in a value", "<c:CPIX contentId='&nbsp;' xmlns:c='urn:dashif:org:cpix'/>", 400,
         "The document is not well-formed XML: an entity is not declared, line 1", NULL),
    CASE("other root", "\n<html><body/></html>", 400,
         "The root element is not CPIX in namespace urn:dashif:org:cpix",
         "html in namespace (none), line 2"),
    CASE("root of no namespace", "<CPIX/>", 400,
         "The root element is not CPIX in namespace urn:dashif:org:cpix",
         "CPIX in namespace (none), line 1"),
    CASE("root of another namespace", "<CPIX xmlns='urn:other'/>", 400,
         "The root element is not CPIX in namespace urn:dashif:org:cpix",
         "CPIX in namespace urn:other, line 1"),
    CASE("CPIX within", "<a>" ROOT END "</a>", 400,
         "The root element is not CPIX in namespace urn:dashif:org:cpix", "a in namespace (none)"),
};

static void small_bodies(void **state)
{
    struct fixture *x = *state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        arena_reset(&x->arena);
        /* On the heap and without a zero behind it, so that a sanitizer sees a step too far. */
        char *bytes = malloc(CASES[i].size + 1);
        assert_non_null(bytes);
        char *exact = realloc(bytes, CASES[i].size > 0 ? CASES[i].size : 1);
        assert_non_null(exact);
        memcpy(exact, CASES[i].bytes, CASES[i].size);
        x->result = cpix_read(exact, CASES[i].size, &CPIX_DEFAULT_LIMITS, &x->arena, &x->doc,
                              &x->failure);
        free(exact);
        judge(x, CASES[i].name, CASES[i].status, CASES[i].text, CASES[i].cause);
    }
}

static void limits_are_exact(void **state)
{
    struct fixture *x = *state;
    struct cpix_limits limits = {
        .keys = 2, .systems = 2, .recipients = 2, .depth = 3, .attributes = 2, .markup = 8};
    static const struct {
        const char *good, *bad, *text, *cause;
    } PAIRS[] = {
        {"<CPIX xmlns='urn:dashif:org:cpix'><a><b/></a></CPIX>",
         "<CPIX "
         "xmlns='urn:dashif:org:cpix'><ContentKeyList><ContentKey>\n<Data/></ContentKey></"
         "ContentKeyList></CPIX>",
         "Elements are nested too deeply", "ContentKeyList/ContentKey[1], line 2"},
        {"<CPIX xmlns='urn:dashif:org:cpix' a='===============================' />",
         "<CPIX xmlns='urn:dashif:org:cpix' a='1' b='2'/>", "Too many attributes in one element",
         "line 1"},
        {"<CPIX xmlns='urn:dashif:org:cpix'><b xmlns:p='q'/><b xmlns:p='q'/></CPIX>",
         "<CPIX xmlns='urn:dashif:org:cpix'><b xmlns:p='q'><b xmlns:p='q'/></b></CPIX>",
         "Too many namespace declarations", "line 1"},
        {"<CPIX xmlns='urn:dashif:org:cpix'><a/><a></a><?a?><!----><a/><a/>\n<a/></CPIX>",
         "<CPIX xmlns='urn:dashif:org:cpix'><a/><a></a><?a?><!----><a/><a/>\n<a/><a/></CPIX>",
         "The document has too many elements", "line 2"},
        {"<CPIX "
         "xmlns='urn:dashif:org:cpix'><ContentKeyList><ContentKey/><ContentKey/></ContentKeyList></"
         "CPIX>",
         "<CPIX "
         "xmlns='urn:dashif:org:cpix'><ContentKeyList><ContentKey/><ContentKey/>\n<ContentKey/></"
         "ContentKeyList></CPIX>",
         "Too many ContentKey elements", "ContentKeyList, line 2"},
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        arena_reset(&x->arena);
        x->result = cpix_read(PAIRS[i].good, strlen(PAIRS[i].good), &limits, &x->arena, &x->doc,
                              &x->failure);
        judge(x, PAIRS[i].good, 0, NULL, NULL);
        x->result = cpix_read(PAIRS[i].bad, strlen(PAIRS[i].bad), &limits, &x->arena, &x->doc,
                              &x->failure);
        judge(x, PAIRS[i].bad, 422, PAIRS[i].text, PAIRS[i].cause);
    }
}

static void files_that_attack(void **state)
{
    struct fixture *x = *state;
    static const char *const FILES[] = {
        "attack-entity-bomb.xml",  "attack-quadratic-bomb.xml",   "attack-external-entity.xml",
        "attack-external-dtd.xml", "attack-parameter-entity.xml", "attack-default-attribute.xml"};
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        const char *text = fixture_file(FILES[i]);
        fixture_read(x, text);
        judge(x, FILES[i], 400, "A DOCTYPE is not allowed", "line 2");
        /* And if the look at the bytes were fooled, the parser's own callback refuses. */
        arena_reset(&x->arena);
        memset(&x->doc, 0, sizeof x->doc);
        failure_clear(&x->failure);
        x->result = reader_parse(text, strlen(text), &CPIX_DEFAULT_LIMITS, &x->arena, &x->doc,
                                 &x->failure);
        judge(x, FILES[i], 400, "A DOCTYPE is not allowed", "line 2");
        assert_null(x->doc.content_id);
    }
    fixture_read_well(x, fixture_file("attack-xinclude.xml"));
    assert_int_equal(x->doc.key_list.occurrences, 0);
}

/* A refused document leaves nothing behind that the next one could see, its namespaces least. */
static void a_bad_document_does_not_spoil_the_next(void **state)
{
    struct fixture *x = *state;
    fixture_read(x, "<p:CPIX xmlns:p='urn:dashif:org:cpix' xmlns:pskc='urn:x' "
                    "contentId='old'><p:ContentKeyList><x:y");
    assert_int_equal(x->result, -1);
    fixture_read(x, "<p:CPIX contentId='new'/>");
    judge(x, "prefix of the last document", 400,
          "The document is not well-formed XML: a namespace prefix is not declared, line 1", NULL);
    fixture_read_well(x, "<CPIX xmlns='urn:dashif:org:cpix'/>");
    assert_null(x->doc.content_id);
    fixture_read_well(x, FIXTURE_V2_0);
    assert_int_equal(x->doc.key_count, 2);
}

static void nothing_reaches_stderr(void **state)
{
    struct stat st;
    int sink = memfd_create("stderr", MFD_CLOEXEC);
    int saved = dup(STDERR_FILENO);
    assert_true(sink >= 0 && saved >= 0);
    assert_true(dup2(sink, STDERR_FILENO) >= 0);
    small_bodies(state);
    files_that_attack(state);
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++)
        read_body(*state, &BODIES[i], MEBIBYTE / 16);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(fstat(sink, &st), 0);
    assert_int_equal(close(sink), 0);
    assert_int_equal(close(saved), 0);
    assert_int_equal(st.st_size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_bodies),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(files_that_attack),
        cmocka_unit_test(a_bad_document_does_not_spoil_the_next),
        cmocka_unit_test(bodies_of_one_mebibyte),
        cmocka_unit_test(bodies_of_the_largest_size),
        cmocka_unit_test(checks_of_a_large_document),
        cmocka_unit_test(memory_is_flat),
        cmocka_unit_test(nothing_reaches_stderr),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
