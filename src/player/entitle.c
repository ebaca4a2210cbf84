/* SPDX-License-Identifier: Apache-2.0 */
#include "player/entitle.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/failure.h"
#include "base/secret.h"
#include "exchange/tenant.h"
#include "keystore/player.h"
#include "player/free.h"
#include "player/player.h"

/* RFC 6750 section 3: a request without a token learns no more than the scheme. */
static const char NO_TOKEN[] = "Bearer";
static const char INVALID_TOKEN[] = "Bearer error=\"invalid_token\"";
static const char EXPIRED[] =
    "Bearer error=\"invalid_token\", error_description=\"The token has expired\"";
static const char NOT_YET[] =
    "Bearer error=\"invalid_token\", error_description=\"The token is not valid yet\"";

static const struct refused FAULTS[] = {
    [TOKEN_MALFORMED] = {401, "token_malformed", INVALID_TOKEN},
    [TOKEN_UNKNOWN_KEY] = {401, "token_key_unknown", INVALID_TOKEN},
    [TOKEN_WRONG_ALGORITHM] = {401, "token_algorithm", INVALID_TOKEN},
    [TOKEN_WRONG_SIGNATURE] = {401, "token_signature", INVALID_TOKEN},
    [TOKEN_EXPIRED] = {401, "token_expired", EXPIRED},
    [TOKEN_NOT_YET] = {401, "token_not_yet", NOT_YET},
    [TOKEN_UNBOUND] = {401, "token_unbound", INVALID_TOKEN},
    [TOKEN_OTHER_ADDRESS] = {403, "other_address", NULL},
    [TOKEN_OTHER_DEVICE] = {403, "other_device", NULL},
};

/* --- finding the token ---------------------------------------------------------------------- */

static const char *of_header(const char *header, size_t *size)
{
    static const char SCHEME[] = "Bearer ";
    if (header == NULL || strncasecmp(header, SCHEME, sizeof SCHEME - 1) != 0)
        return NULL;
    header += sizeof SCHEME - 1;
    header += strspn(header, " ");
    *size = strcspn(header, " \t");
    return *size > 0 ? header : NULL;
}

/* The value of name= among items that one of the separators ends. */
static const char *of_list(const char *list, const char *name, const char *separators, size_t *size)
{
    const size_t n = strlen(name);
    while (list != NULL && *list != '\0') {
        list += strspn(list, separators);
        const size_t item = strcspn(list, separators);
        if (item > n && list[n] == '=' && memcmp(list, name, n) == 0) {
            *size = item - n - 1;
            return *size > 0 ? list + n + 1 : NULL;
        }
        list += item;
    }
    return NULL;
}

const char *entitle_find_token(const struct player_request *q, size_t *size)
{
    const char *token = of_header(q->authorization, size);
    if (token == NULL)
        token = of_list(q->query, "token", "&", size);
    if (token == NULL)
        token = of_list(q->cookie, "speke_token", "; ", size);
    return token;
}

/* --- judging it ----------------------------------------------------------------------------- */

static const struct keystore_token_key *find_key(const struct keystore_audience *audience,
                                                 const char *kid)
{
    for (size_t i = 0; i < audience->key_count; i++) {
        if (strcmp(audience->keys[i].kid, kid) == 0)
            return &audience->keys[i];
    }
    return NULL;
}

/* With the secret in the clear for no longer than it takes. */
static int verify_with_secret(struct player *p, const struct keystore_audience *audience,
                              const struct keystore_token_key *kept, struct token *token,
                              enum token_fault *fault, struct failure *f)
{
    struct token_key key = {.algorithm = TOKEN_HS256};
    unsigned char *secret = secret_alloc(TOKEN_SECRET_MAX_BYTES);
    if (secret == NULL)
        return fail_internal(f, "no memory for a secret: raise the setting secure_heap");
    const int result = keystore_token_secret(p->keystore, audience, kept, secret, &key.size, f);
    key.bytes = secret;
    if (result == 0)
        *fault = token_verify(token, &key, NULL);
    secret_free(secret, TOKEN_SECRET_MAX_BYTES);
    return result;
}

static int verify(struct player *p, const struct keystore_audience *audience, struct token *token,
                  enum token_fault *fault, struct failure *f)
{
    const struct keystore_token_key *kept = find_key(audience, token->kid);
    if (kept == NULL) {
        *fault = TOKEN_UNKNOWN_KEY;
        return 0;
    }
    if (kept->algorithm == KEYSTORE_HS256)
        return verify_with_secret(p, audience, kept, token, fault, f);
    const struct token_key key = {TOKEN_ES256, kept->point, KEYSTORE_POINT_BYTES};
    *fault = token_verify(token, &key, &p->points);
    return 0;
}

static int judge_token(struct player *p, const struct keystore_audience *audience,
                       const struct tenant_config *config, const struct player_request *q,
                       const char *text, size_t size, struct token *token, struct refused *refused,
                       struct failure *f)
{
    const struct token_circumstances where = {
        .now = (int64_t)time(NULL),
        .leeway = config->token_leeway,
        .remote_addr = q->remote_addr,
        .device = q->device,
    };
    enum token_fault fault = token_read(token, text, size);
    if (fault == TOKEN_GOOD && verify(p, audience, token, &fault, f) != 0)
        return -1;
    if (fault == TOKEN_GOOD)
        fault = token_judge(token, &where);
    *refused = FAULTS[fault];
    return 0;
}

int entitle(struct player *p, const struct keystore_audience *audience,
            const struct tenant_config *config, const struct player_request *q,
            struct entitlement *e, struct refused *refused, struct failure *f)
{
    size_t size;
    *e = (struct entitlement){.has_content = false};
    *refused = (struct refused){0};
    if (q->content != NULL)
        e->has_content = segment_digest(q->content, e->content) == 0;
    if (audience != NULL && e->has_content && free_content(config->free_content, q->content)) {
        e->open = true;
        return 0;
    }
    const char *text = entitle_find_token(q, &size);
    if (text == NULL) {
        *refused = (struct refused){401, "no_token", NO_TOKEN};
        return 0;
    }
    if (audience == NULL) {
        *refused = (struct refused){401, "tenant_unknown", INVALID_TOKEN};
        return 0;
    }
    if (judge_token(p, audience, config, q, text, size, &e->token, refused, f) != 0)
        return -1;
    if (refused->status != 0)
        return 0;
    if (q->content != NULL && !(e->has_content && token_has_content(&e->token, e->content)))
        *refused = (struct refused){403, "other_content", NULL};
    else if (q->content == NULL && e->token.content_count == 0)
        *refused = (struct refused){403, "no_content_named", NULL};
    return 0;
}
