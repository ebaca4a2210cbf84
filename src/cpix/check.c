/* SPDX-License-Identifier: Apache-2.0 */
#include "cpix/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/printable.h"
#include "base/trim.h"
#include "base/utf8.h"
#include "cpix/reader.h"

/* --- Faults --------------------------------------------------------------------------------- */

bool check_fault(struct checks *c, const char *rule, int line, const char *text, const char *place,
                 ...)
{
    struct cpix_fault fault = {.rule = rule, .line = line};
    va_list args;
    va_start(args, place);
    if (vsnprintf(fault.place, sizeof fault.place, place, args) < 0)
        fault.place[0] = '\0';
    va_end(args);
    (void)snprintf(fault.text, sizeof fault.text, "%s", text); /* a cut text is still a text */
    c->faulty = true;
    return c->sink(c->context, &fault);
}

void *check_array(struct checks *c, size_t count, size_t size)
{
    void *array = arena_array(c->arena, count, size);
    if (array == NULL)
        c->no_memory = true;
    return array;
}

/* A line that ends with a value of the document, which may be anything. */
struct line {
    char text[192];
};

static struct line line_with(const char *text, const char *value)
{
    struct line line;
    char shown[64];
    (void)printable(shown, sizeof shown, value == NULL ? "" : value);
    (void)snprintf(line.text, sizeof line.text, "%s %s", text, shown);
    return line;
}

/* Empty counts as absent. */
static bool absent(const char *text)
{
    return trim(text).n == 0;
}

int check_uuid(const char *text, struct uuid *out)
{
    char exact[UUID_TEXT_SIZE];
    const struct span t = trim(text);
    if (t.n != sizeof exact - 1)
        return -1;
    memcpy(exact, t.text, t.n);
    exact[t.n] = '\0';
    return uuid_parse(exact, out);
}

/* --- Root ----------------------------------------------------------------------------------- */

const char *cpix_content_id_fault(const char *id)
{
    size_t characters = 0;
    for (const char *p = id; *p != '\0'; characters++) {
        const size_t n = utf8_length(p, 4);
        if (utf8_is_control(p, n))
            return "holds a control character";
        p += n > 0 ? n : 1;
    }
    return characters > CPIX_CONTENT_ID_CHARACTERS ? "is longer than 1024 characters" : NULL;
}

static bool check_identifier(struct checks *c, const char *id, const char *place, const char *rule)
{
    char text[96];
    const char *fault = cpix_content_id_fault(id);
    if (fault == NULL)
        return true;
    (void)snprintf(text, sizeof text, "%s %s", place, fault);
    return check_fault(c, rule, c->doc->line, text, "%s", place);
}

static bool check_root(struct checks *c)
{
    const struct cpix_document *doc = c->doc;
    const char *const version = c->rules->version == SPEKE_V2_0 ? "2.3" : "2.4";
    static const char PLACE[] = "CPIX@contentId";
    if (absent(doc->content_id)) {
        if (!check_fault(c, "E1", doc->line, "Missing CPIX@contentId", PLACE))
            return false;
    } else if (!check_identifier(c, doc->content_id, PLACE, "S3.2")) {
        return false;
    }
    if (absent(doc->version_text))
        return check_fault(c, "E2", doc->line, "Missing CPIX@version", "CPIX@version");
    if (!span_is(trim(doc->version_text), version))
        return check_fault(c, "E3", doc->line, "Unsupported CPIX@version", "CPIX@version");
    return true;
}

/* The content identifier of SPEKE v1 is @id. A document with @contentId instead is one of v2.x
 * whose header got lost on the way. */
static bool check_v1_root(struct checks *c)
{
    const struct cpix_document *doc = c->doc;
    static const char PLACE[] = "CPIX@id";
    if (!absent(doc->id))
        return check_identifier(c, doc->id, PLACE, "S2.1");
    if (absent(doc->content_id))
        return check_fault(c, "R67", doc->line, "Missing CPIX@id", PLACE);
    return check_fault(c, "R67", doc->line,
                       "Missing header X-Speke-Version for a document with CPIX@contentId", PLACE);
}

/* --- Lists ---------------------------------------------------------------------------------- */

/* A list, the name of its items, and how many of them there are. */
struct list_check {
    const struct cpix_list *list;
    const char *name, *item;
    size_t count;
    bool required;  /* the list must be there */
    bool may_empty; /* without an item it is none the worse */
};

static bool check_list(struct checks *c, const struct list_check *l)
{
    char text[96];
    if (l->list->occurrences == 0) {
        (void)snprintf(text, sizeof text, "Missing %s", l->name);
        return !l->required || check_fault(c, "R17", c->doc->line, text, "%s", l->name);
    }
    if (l->list->occurrences > 1) {
        (void)snprintf(text, sizeof text, "More than one %s", l->name);
        if (!check_fault(c, "R17", l->list->last_line, text, "%s[%d]", l->name,
                         l->list->occurrences))
            return false;
    }
    if (l->count > 0 || l->may_empty)
        return true;
    (void)snprintf(text, sizeof text, "%s has no %s", l->name, l->item);
    return check_fault(c, "R17", l->list->line, text, "%s", l->name);
}

/* A missing list of usage rules is a missing contract, which has its own text and comes later. */
static bool check_lists(struct checks *c)
{
    const struct cpix_document *doc = c->doc;
    const bool v1 = doc->version == SPEKE_V1;
    const struct list_check lists[] = {
        {.list = &doc->delivery_list,
         .name = "DeliveryDataList",
         .item = "DeliveryData",
         .count = doc->delivery_count},
        {.list = &doc->key_list,
         .name = "ContentKeyList",
         .item = "ContentKey",
         .count = doc->key_count,
         .required = true},
        {.list = &doc->system_list,
         .name = "DRMSystemList",
         .item = "DRMSystem",
         .count = doc->system_count,
         .required = true},
        {.list = &doc->period_list,
         .name = "ContentKeyPeriodList",
         .item = "ContentKeyPeriod",
         .count = doc->period_count,
         .may_empty = v1},
        {.list = &doc->rule_list, .name = "ContentKeyUsageRuleList", .may_empty = true},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!check_list(c, &lists[i]))
            return false;
    }
    return true;
}

/* --- Keys ----------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    const struct kid_entry *x = a, *y = b;
    const int order = uuid_compare(&x->kid, &y->kid);
    return order != 0 ? order : (x->key > y->key) - (x->key < y->key);
}

static int compare_kid(const void *kid, const void *entry)
{
    return uuid_compare(kid, &((const struct kid_entry *)entry)->kid);
}

size_t check_find_key(const struct checks *c, const struct uuid *kid)
{
    const struct kid_entry *entry = bsearch(kid, c->kids, c->kid_count, sizeof *c->kids,
                                            compare_kid);
    return entry == NULL ? CPIX_NO_KEY : entry->key;
}

enum kid_state { KID_MALFORMED, KID_GOOD, KID_REPEATED };

/* Parses the KIDs and puts the first key of each into c->kids. */
static enum kid_state *index_keys(struct checks *c)
{
    struct cpix_document *doc = c->doc;
    enum kid_state *states = check_array(c, doc->key_count, sizeof *states);
    struct kid_entry *entries = check_array(c, doc->key_count, sizeof *entries);
    if (states == NULL || entries == NULL)
        return NULL;
    size_t count = 0;
    for (size_t i = 0; i < doc->key_count; i++) {
        if (check_uuid(doc->keys[i].kid_text, &doc->keys[i].kid) != 0)
            continue;
        entries[count++] = (struct kid_entry){.kid = doc->keys[i].kid, .key = i};
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        const bool repeated = distinct > 0 &&
                              uuid_equal(&entries[distinct - 1].kid, &entries[i].kid);
        states[entries[i].key] = repeated ? KID_REPEATED : KID_GOOD;
        if (!repeated)
            entries[distinct++] = entries[i];
    }
    c->kids = entries;
    c->kid_count = distinct;
    return states;
}

static bool check_kid(struct checks *c, size_t i, enum kid_state state)
{
    const struct cpix_content_key *key = &c->doc->keys[i];
    static const char PLACE[] = "ContentKeyList/ContentKey[%zu]@kid";
    if (state == KID_GOOD)
        return true;
    if (absent(key->kid_text))
        return check_fault(c, "R18", key->line, "Missing ContentKey@kid", PLACE, i + 1);
    const char *what = state == KID_REPEATED ? "ContentKey@kid is given twice:"
                                             : "ContentKey@kid is not a UUID:";
    return check_fault(c, "R18", key->line, line_with(what, key->kid_text).text, PLACE, i + 1);
}

static bool check_explicit_iv(struct checks *c, size_t i)
{
    struct cpix_content_key *key = &c->doc->keys[i];
    unsigned char iv[CPIX_IV_BYTES];
    size_t len;
    if (absent(key->explicit_iv)) {
        key->explicit_iv = NULL;
        return true;
    }
    if (base64_decode(key->explicit_iv, strlen(key->explicit_iv), iv, sizeof iv, &len) == 0 &&
        len == sizeof iv)
        return true;
    return check_fault(c, "R25", key->line, "ContentKey@explicitIV is not base64 of 16 bytes",
                       "ContentKeyList/ContentKey[%zu]@explicitIV", i + 1);
}

static bool check_keys(struct checks *c)
{
    const enum kid_state *states = index_keys(c);
    if (states == NULL)
        return false;
    for (size_t i = 0; i < c->doc->key_count; i++) {
        if (!check_kid(c, i, states[i]) || !check_explicit_iv(c, i))
            return false;
    }
    return true;
}

/* --- DRM systems ---------------------------------------------------------------------------- */

static bool check_system_kid(struct checks *c, size_t i)
{
    struct cpix_drm_system *system = &c->doc->systems[i];
    static const char PLACE[] = "DRMSystemList/DRMSystem[%zu]@kid";
    const char *what;
    system->key = CPIX_NO_KEY;
    if (absent(system->kid_text))
        return check_fault(c, "R28", system->line, "Missing DRMSystem@kid", PLACE, i + 1);
    if (check_uuid(system->kid_text, &system->kid) == 0) {
        system->key = check_find_key(c, &system->kid);
        if (system->key != CPIX_NO_KEY)
            return true;
        what = "DRMSystem@kid names no ContentKey:";
    } else {
        what = "DRMSystem@kid is not a UUID:";
    }
    return check_fault(c, "R28", system->line, line_with(what, system->kid_text).text, PLACE,
                       i + 1);
}

static bool check_system_id(struct checks *c, size_t i)
{
    struct cpix_drm_system *system = &c->doc->systems[i];
    static const char PLACE[] = "DRMSystemList/DRMSystem[%zu]@systemId";
    const char *what;
    if (absent(system->system_id_text))
        return check_fault(c, "R28", system->line, "Missing DRMSystem@systemId", PLACE, i + 1);
    if (check_uuid(system->system_id_text, &system->system_id) == 0) {
        if (c->rules->system_fit(c->rules->fit_context, &system->system_id, SCHEME_NONE,
                                 c->rules->version) != CPIX_UNKNOWN_SYSTEM)
            return true;
        what = "Unsupported DRMSystem";
    } else {
        what = "DRMSystem@systemId is not a UUID:";
    }
    return check_fault(c, "R28", system->line, line_with(what, system->system_id_text).text, PLACE,
                       i + 1);
}

/* What HLSSignalingData asks for: SPEKE says "media" and "master", CPIX 2.4 "multiVariant" for
 * "master"; without the attribute CPIX means the media playlist. */
enum playlist { PLAYLIST_MEDIA, PLAYLIST_MASTER, PLAYLIST_UNKNOWN };

static enum playlist playlist_of(const struct cpix_placeholder *p, enum speke_version version)
{
    const struct span word = trim(p->playlist);
    if (word.n == 0 || span_is(word, "media"))
        return PLAYLIST_MEDIA;
    if (span_is(word, "master") || (version == SPEKE_V2_1 && span_is(word, "multiVariant")))
        return PLAYLIST_MASTER;
    return PLAYLIST_UNKNOWN;
}

/* number is the place of the placeholder among the system's HLSSignalingData. */
static bool check_hls(struct checks *c, size_t i, const struct cpix_placeholder *p, size_t number,
                      unsigned *seen)
{
    static const char PLACE[] = "DRMSystemList/DRMSystem[%zu]/HLSSignalingData[%zu]@playlist";
    const enum playlist playlist = playlist_of(p, c->rules->version);
    if (playlist == PLAYLIST_UNKNOWN) {
        const struct line text = line_with("HLSSignalingData@playlist is not supported:",
                                           p->playlist);
        return check_fault(c, "A10", p->line, text.text, PLACE, i + 1, number);
    }
    const bool repeated = (*seen >> playlist & 1) != 0;
    *seen |= 1U << playlist;
    return !repeated ||
           check_fault(c, "S3.3", p->line, "Two HLSSignalingData with the same playlist", PLACE,
                       i + 1, number);
}

/* A placeholder may stand once, HLSSignalingData once for each playlist. */
static bool check_placeholders(struct checks *c, size_t i)
{
    const struct cpix_drm_system *system = &c->doc->systems[i];
    unsigned fields = 0, playlists = 0;
    size_t hls = 0;
    for (size_t j = 0; j < system->placeholder_count; j++) {
        const struct cpix_placeholder *p = &system->placeholders[j];
        const char *name = CPIX_PLACEHOLDERS[p->field].name;
        if (p->field == CPIX_HLS_SIGNALING_DATA) {
            if (!check_hls(c, i, p, ++hls, &playlists))
                return false;
            continue;
        }
        const bool repeated = (fields >> p->field & 1) != 0;
        fields |= 1U << p->field;
        if (repeated && !check_fault(c, "S3.2", p->line, line_with("More than one", name).text,
                                     "DRMSystemList/DRMSystem[%zu]/%s", i + 1, name))
            return false;
    }
    return true;
}

static bool check_systems(struct checks *c)
{
    for (size_t i = 0; i < c->doc->system_count; i++) {
        if (!check_system_kid(c, i) || !check_system_id(c, i))
            return false;
        if (c->rules->version != SPEKE_V1 && !check_placeholders(c, i))
            return false;
    }
    return true;
}

/* --- Schemes -------------------------------------------------------------------------------- */

static bool check_schemes_given(struct checks *c)
{
    for (size_t i = 0; i < c->doc->key_count; i++) {
        struct cpix_content_key *key = &c->doc->keys[i];
        key->scheme = scheme_parse(key->scheme_text, c->rules->version);
        if (key->scheme != SCHEME_NONE)
            continue;
        const struct line text = line_with("Missing ContentKey@commonEncryptionScheme for KID",
                                           key->kid_text);
        if (!check_fault(c, "E4", key->line, text.text,
                         "ContentKeyList/ContentKey[%zu]@commonEncryptionScheme", i + 1))
            return false;
    }
    return true;
}

static bool check_schemes_equal(struct checks *c)
{
    struct span first = {.text = "", .n = 0};
    for (size_t i = 0; i < c->doc->key_count; i++) {
        const struct cpix_content_key *key = &c->doc->keys[i];
        const struct span scheme = trim(key->scheme_text);
        if (first.n == 0)
            first = scheme;
        if (scheme.n == 0 || span_compare(scheme, first) == 0)
            continue;
        if (!check_fault(c, "E5", key->line,
                         "Non compliant ContentKey@commonEncryptionScheme combination",
                         "ContentKeyList/ContentKey[%zu]@commonEncryptionScheme", i + 1))
            return false;
    }
    return true;
}

static bool is_misfit(const struct checks *c, const struct cpix_drm_system *system)
{
    if (system->key == CPIX_NO_KEY)
        return false;
    const enum scheme scheme = c->doc->keys[system->key].scheme;
    if (scheme == SCHEME_NONE || scheme == SCHEME_UNKNOWN)
        return scheme == SCHEME_UNKNOWN;
    return c->rules->system_fit(c->rules->fit_context, &system->system_id, scheme,
                                c->rules->version) == CPIX_MISFIT;
}

static bool check_schemes_fit(struct checks *c)
{
    for (size_t i = 0; i < c->doc->system_count; i++) {
        const struct cpix_drm_system *system = &c->doc->systems[i];
        if (!is_misfit(c, system))
            continue;
        const struct line text = line_with(
            "ContentKey@commonEncryptionScheme non compatible with DRMSystem",
            system->system_id_text);
        if (!check_fault(c, "E6", system->line, text.text, "DRMSystemList/DRMSystem[%zu]@systemId",
                         i + 1))
            return false;
    }
    return true;
}

/* --- The whole ------------------------------------------------------------------------------ */

static bool check_v2(struct checks *c)
{
    return check_root(c) && check_lists(c) && check_keys(c) && check_systems(c) &&
           check_periods(c) && check_schemes_given(c) && check_schemes_equal(c) &&
           check_schemes_fit(c) && check_contract(c);
}

/* SPEKE v1 asks for one key, knows no commonEncryptionScheme and echoes periods and usage rules
 * without looking at them. */
static bool check_v1(struct checks *c)
{
    struct cpix_document *doc = c->doc;
    if (!check_v1_root(c) || !check_lists(c))
        return false;
    if (doc->key_count > 1 &&
        !check_fault(c, "S2.1", doc->keys[1].line, "SPEKE v1 allows one ContentKey only",
                     "ContentKeyList/ContentKey[2]"))
        return false;
    if (!check_keys(c) || !check_systems(c))
        return false;
    for (size_t i = 0; i < doc->key_count; i++)
        doc->keys[i].scheme = SCHEME_NONE;
    for (size_t i = 0; i < doc->rule_count; i++) {
        struct cpix_rule *rule = &doc->rules[i];
        rule->key = check_uuid(rule->kid_text, &rule->kid) == 0 ? check_find_key(c, &rule->kid)
                                                                : CPIX_NO_KEY;
    }
    return true;
}

int cpix_check(struct cpix_document *doc, const struct cpix_rules *rules, struct arena *arena,
               cpix_fault_sink sink, void *context)
{
    struct checks c = {
        .doc = doc, .rules = rules, .arena = arena, .sink = sink, .context = context};
    doc->version = rules->version;
    (void)(rules->version == SPEKE_V1 ? check_v1(&c) : check_v2(&c)); /* what it found is in c */
    if (c.no_memory)
        return -1;
    return c.faulty ? 1 : 0;
}
