/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from a CPIX document: encrypted ones, opened with a private key, or clear ones. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/printable.h"
#include "base/secret.h"
#include "base/trim.h"
#include "cpix/check.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/key_source.h"
#include "ctl/open.h"
#include "ctl/request.h"
#include "exchange/details.h"
#include "keystore/keystore.h"

enum {
    DOCUMENT_MAX = 16 * 1024 * 1024,
    ARENA_MAX = 128 * 1024 * 1024,
    ITEMS_MAX = 20000, /* keys, periods and rules each */
    KEYS_MAX = 4000    /* what the secure heap has room for when they are opened */
};

/* A document being read. */
struct reading {
    struct key_source *source;
    struct cpix_document doc;
    struct arena arena;
    const char *content_id;
    unsigned char *value; /* 16 bytes in the secure heap */
};

static void fault(struct reading *r, int line, const char *text)
{
    char shown[512];
    (void)printable(shown, sizeof shown, text);
    key_source_fault(r->source, line, "%s", shown);
}

/* The content id of the document byte by byte, as an exchange takes it. Returns 0 or -1. */
static int take_content_id(struct reading *r)
{
    const char *id = r->doc.content_id;
    if (trim(id).n == 0)
        id = r->doc.id; /* SPEKE v1 */
    if (trim(id).n == 0)
        id = r->source->content_id;
    const char *why = trim(id).n == 0 ? "names no content: --content-id says which"
                                      : cpix_content_id_fault(id);
    r->content_id = id;
    if (why == NULL)
        return 0;
    key_source_fault(r->source, r->doc.line, "CPIX@contentId %s", why);
    return -1;
}

/* --- periods -------------------------------------------------------------------------------- */

/* Links the rules to their keys, as far as they have one. */
static void link_rules(struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->rule_count; i++) {
        struct cpix_rule *rule = &doc->rules[i];
        rule->key = CPIX_NO_KEY;
        if (check_uuid(rule->kid_text, &rule->kid) != 0)
            continue;
        for (size_t k = 0; k < doc->key_count && rule->key == CPIX_NO_KEY; k++)
            rule->key = uuid_equal(&doc->keys[k].kid, &rule->kid) ? k : CPIX_NO_KEY;
    }
}

static int add_periods(struct reading *r)
{
    struct keystore_details details;
    struct failure f;
    int code = CTL_DONE;
    link_rules(&r->doc);
    r->doc.system_count = 0; /* they are of no interest here and have not been looked at */
    failure_clear(&f);
    if (details_gather(&r->doc, NULL, &r->arena, &details, &f) != 0)
        return ctl_fail_memory();
    for (size_t i = 0; i < details.period_count; i++) {
        const struct keystore_period *p = &details.periods[i];
        for (size_t k = 0; k < p->kid_count && code == CTL_DONE; k++)
            code = key_stage_period(&r->source->stage,
                                    key_source_line(r->source, r->doc.periods[i].line),
                                    r->content_id, &p->kids[k], p);
    }
    return code;
}

/* --- keys ----------------------------------------------------------------------------------- */

/* Reads the attributes of a key. Returns whether nothing is wrong with them. */
static bool check_key(struct reading *r, struct cpix_content_key *key, unsigned char *iv,
                      struct stage_key *out)
{
    const long long faults = r->source->faults;
    size_t n = 0;
    if (check_uuid(key->kid_text, &key->kid) != 0)
        fault(r, key->line, "ContentKey@kid is not a UUID");
    key->scheme = scheme_parse(key->scheme_text, SPEKE_V2_1);
    if (key->scheme == SCHEME_UNKNOWN)
        fault(r, key->line, "ContentKey@commonEncryptionScheme is none that is known");
    const struct span iv_text = trim(key->explicit_iv);
    if (iv_text.n > 0 &&
        (base64_decode(iv_text.text, iv_text.n, iv, CPIX_IV_BYTES, &n) != 0 || n != CPIX_IV_BYTES))
        fault(r, key->line, "ContentKey@explicitIV is not base64 of 16 bytes");
    if (answer_key(key, r->value) != 0)
        fault(r, key->line, "ContentKey has no key of 16 bytes");
    *out = (struct stage_key){.content_id = r->content_id,
                              .kid = key->kid,
                              .scheme = scheme_name(key->scheme),
                              .value = r->value,
                              .iv = iv_text.n > 0 ? iv : NULL};
    return r->source->faults == faults;
}

static int add_keys(struct reading *r)
{
    int code = CTL_DONE;
    if (r->doc.key_count == 0)
        fault(r, r->doc.line, "no ContentKey in it");
    for (size_t i = 0; i < r->doc.key_count && code == CTL_DONE; i++) {
        unsigned char iv[CPIX_IV_BYTES];
        struct stage_key key;
        if (check_key(r, &r->doc.keys[i], iv, &key))
            code = key_source_add(r->source, &key, r->doc.keys[i].line);
    }
    return code == CTL_DONE && r->source->faults == 0 ? add_periods(r) : code;
}

static bool has_encrypted(const struct cpix_document *doc)
{
    for (size_t i = 0; i < doc->key_count; i++) {
        if (doc->keys[i].encrypted.cipher != NULL)
            return true;
    }
    return false;
}

/* Opens the keys when they are encrypted, and adds them. */
static int open_and_add(struct reading *r)
{
    struct opened opened = {0};
    char why[256];
    if (!has_encrypted(&r->doc)) {
        if (r->source->clear)
            return add_keys(r);
        fault(r, r->doc.line, "the keys in it are clear: --clear says that this is meant");
        return CTL_DONE;
    }
    if (r->source->recipient == NULL) {
        fault(r, r->doc.line, "the keys in it are encrypted: --key names the private key");
        return CTL_DONE;
    }
    int code = CTL_DONE;
    if (open_document(&r->doc, r->source->recipient, &r->arena, &opened, why, sizeof why) != 0)
        fault(r, r->doc.line, why);
    else
        code = add_keys(r);
    opened_free(&opened, &r->doc);
    return code;
}

static int read_document(struct reading *r, const struct buf *text)
{
    struct failure f;
    struct cpix_limits limits = CPIX_DEFAULT_LIMITS;
    limits.keys = ITEMS_MAX;
    if (cpix_read(text->data, text->len, &limits, &r->arena, &r->doc, &f) != 0) {
        fault(r, f.line, f.status < 500 ? f.text : f.cause);
        return CTL_DONE;
    }
    if (r->doc.key_count > KEYS_MAX)
        fault(r, r->doc.line, "more than 4000 keys in one document");
    else if (take_content_id(r) == 0)
        return open_and_add(r);
    return CTL_DONE;
}

int key_cpix_read(struct key_source *s, const char *path)
{
    struct reading r = {.source = s, .value = secret_alloc(CPIX_KEY_BYTES)};
    struct buf text;
    char why[256];
    int code = CTL_DONE;
    cpix_setup();
    buf_init(&text, DOCUMENT_MAX);
    arena_init(&r.arena, ARENA_MAX);
    if (r.value == NULL)
        code = ctl_fail_memory();
    else if (file_slurp_named(path, &text, why, sizeof why) != 0)
        code = ctl_fail(CTL_FAILED, "%s", why);
    else
        code = read_document(&r, &text);
    arena_free(&r.arena);
    buf_free(&text);
    secret_free(r.value, CPIX_KEY_BYTES);
    return code;
}
