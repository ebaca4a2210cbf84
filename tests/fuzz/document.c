/* SPDX-License-Identifier: Apache-2.0 */
/* The document reader with the checks of every version, and the writer: what is written reads back
 * as what was written. */
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "cpix/cpix.h"
#include "drm/drm.h"
#include "fuzz.h"

enum { ARENA_MAX = 64 << 20, WRITTEN_MAX = 64 << 20, LARGEST = 1 << 16 };

static const unsigned char KEY[CPIX_KEY_BYTES] = {0xfb, 0xff, 1, 2, 3, 4, 5, 6, 7};

static enum cpix_fit fit(const void *context, const struct uuid *system_id, enum scheme scheme,
                         enum speke_version version)
{
    (void)context; /* the program's own systems */
    const struct drm_system *system = drm_find(system_id, version);
    if (system == NULL)
        return CPIX_UNKNOWN_SYSTEM;
    return drm_scheme_fits(system, scheme) ? CPIX_FITS : CPIX_MISFIT;
}

struct seen {
    int lines, faults, most;
};

/* Every fault has a rule, a line of the document and a text that can be sent. */
static bool take_fault(void *context, const struct cpix_fault *fault)
{
    struct seen *seen = context;
    MUST(fault->rule != NULL && fault->rule[0] != '\0');
    MUST(fault->line >= 0 && fault->line <= seen->lines);
    MUST(memchr(fault->place, '\0', sizeof fault->place) != NULL);
    MUST(fault->text[0] != '\0' && memchr(fault->text, '\0', sizeof fault->text) != NULL);
    for (const char *p = fault->text; *p != '\0'; p++)
        MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
    return ++seen->faults < seen->most;
}

static int count_lines(const uint8_t *data, size_t size)
{
    int lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

/* What an exchange would do: a key for each content key that is not encrypted, a value for each
 * placeholder, the version that was asked for. */
static void complete(struct cpix_document *doc, enum speke_version version)
{
    doc->version = version;
    for (size_t i = 0; i < doc->key_count; i++) {
        if (doc->keys[i].encrypted.cipher == NULL)
            doc->keys[i].key = KEY;
    }
    for (size_t i = 0; i < doc->system_count; i++) {
        for (size_t j = 0; j < doc->systems[i].placeholder_count; j++) {
            struct cpix_placeholder *p = &doc->systems[i].placeholders[j];
            p->value = p->received;
        }
    }
}

static void same_text(const char *a, const char *b)
{
    MUST((a == NULL) == (b == NULL));
    MUST(a == NULL || strcmp(a, b) == 0);
}

/* As many of each as before; what the version does not know may be gone. */
static void compare(const struct cpix_document *a, const struct cpix_document *b)
{
    MUST(a->key_count == b->key_count);
    MUST(a->system_count == b->system_count);
    MUST(a->period_count == b->period_count);
    MUST(a->rule_count == b->rule_count);
    MUST(a->delivery_count == b->delivery_count);
    for (size_t i = 0; i < a->key_count; i++) {
        const char *text = b->keys[i].plain_value;
        unsigned char key[CPIX_KEY_BYTES];
        size_t n;
        if (a->keys[i].key == NULL)
            continue;
        MUST(text != NULL && base64_decode(text, strlen(text), key, sizeof key, &n) == 0);
        MUST(n == sizeof key && memcmp(key, KEY, n) == 0);
    }
    same_text(a->version == SPEKE_V1 ? a->id : a->content_id,
              a->version == SPEKE_V1 ? b->id : b->content_id);
}

static void write_and_read(struct cpix_document *doc, enum speke_version version,
                           struct arena *arena)
{
    const struct cpix_limits limits = fuzz_wide_limits();
    struct cpix_document again = {0};
    struct failure f = {0};
    struct buf first, second;
    buf_init(&first, WRITTEN_MAX);
    buf_init(&second, WRITTEN_MAX);
    complete(doc, version);
    cpix_write(doc, &first);
    MUST(buf_ok(&first));
    const int result = cpix_read(first.data, first.len, &limits, arena, &again, &f);
    if (result != 0)
        (void)fprintf(stderr, "%d %s: %s\n%.*s\n", f.status, f.text, f.cause, (int)first.len,
                      (const char *)first.data);
    MUST(result == 0);
    compare(doc, &again);
    complete(&again, version);
    again.mac_shape = doc->mac_shape;
    cpix_write(&again, &second);
    MUST(buf_ok(&second));
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        (void)fprintf(stderr, "first:\n%.*s\nsecond:\n%.*s\n", (int)first.len,
                      (const char *)first.data, (int)second.len, (const char *)second.data);
    MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    buf_free(&first);
    buf_free(&second);
}

/* Judges the document once up to the first fault, as an exchange does, and once whole, as
 * "spekectl lint" does: the two agree. */
static void check_and_write(const struct cpix_document *read, enum speke_version version, int lines,
                            unsigned choices, struct arena *arena)
{
    const struct cpix_rules rules = {
        .version = version,
        .system_fit = fit,
        .strict_cardinality = (choices & 1) != 0,
        .allow_unsupported_filters = (choices & 2) != 0,
    };
    struct cpix_document doc = *read;
    struct seen one = {.lines = lines, .most = 1}, all = {.lines = lines, .most = 10000};
    const int first = cpix_check(&doc, &rules, arena, take_fault, &one);
    const int whole = cpix_check(&doc, &rules, arena, take_fault, &all);
    MUST(first == (one.faults > 0) && whole == (all.faults > 0) && first == whole);
    doc.mac_shape = choices % 3;
    write_and_read(&doc, version, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    struct cpix_document doc = {0};
    struct failure f = {0};
    if (size > LARGEST)
        return 0;
    fuzz_setup();
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    if (cpix_read(data, size, &CPIX_DEFAULT_LIMITS, &arena, &doc, &f) == 0) {
        const int lines = count_lines(data, size);
        const unsigned choices = (unsigned)(size % 12);
        check_and_write(&doc, SPEKE_V1, lines, choices, &arena);
        check_and_write(&doc, SPEKE_V2_0, lines, choices, &arena);
        check_and_write(&doc, SPEKE_V2_1, lines, choices, &arena);
    } else {
        MUST(f.status == 400 || f.status == 413 || f.status == 422);
        MUST(f.text[0] != '\0');
    }
    arena_reset(&arena);
    return 0;
}
