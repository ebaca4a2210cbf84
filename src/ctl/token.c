/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl token issue: a token for a player, to try things out with. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "base/secret.h"
#include "ctl/commands.h"
#include "ctl/output.h"
#include "ctl/token_file.h"

enum { TTL_SECONDS = 3600, TTL_MAX = 366 * 86400, NUMBER_ID_BYTES = 8 };

/* A claim from each occurrence of an option; nothing when there is none. Returns 0 or -1. */
static int put_list(json_t *claims, const char *name, const struct ctl_arguments *args,
                    const char *option)
{
    const char *value;
    json_t *list = json_array();
    int result = list != NULL ? 0 : -1;
    for (size_t n = 0; result == 0 && (value = option_nth(args, option, n)) != NULL; n++)
        result = json_array_append_new(list, json_string(value));
    if (result == 0 && json_array_size(list) > 0)
        return json_object_set_new(claims, name, list);
    json_decref(list);
    return result;
}

static int put_text(json_t *claims, const char *name, const char *value)
{
    return value == NULL ? 0 : json_object_set_new(claims, name, json_string(value));
}

static int put_claims(json_t *claims, const struct ctl_arguments *args, long ttl)
{
    unsigned char random[NUMBER_ID_BYTES];
    char id[2 * NUMBER_ID_BYTES + 1];
    const json_int_t now = (json_int_t)time(NULL);
    if (RAND_bytes(random, sizeof random) != 1)
        return -1;
    hex_encode(random, sizeof random, id);
    if (put_list(claims, "content_id", args, "content-id") != 0 ||
        put_list(claims, "kids", args, "kids") != 0 ||
        put_text(claims, "sub", option_value(args, "sub")) != 0 ||
        put_text(claims, "ip", option_value(args, "ip")) != 0 ||
        put_text(claims, "device", option_value(args, "device")) != 0 ||
        put_text(claims, "jti", id) != 0)
        return -1;
    if (json_object_set_new(claims, "iat", json_integer(now)) != 0)
        return -1;
    return json_object_set_new(claims, "exp", json_integer(now + ttl));
}

static char *make_token(const struct token_key *key, const struct ctl_arguments *args, long ttl)
{
    json_t *claims = json_object();
    char *text = claims != NULL && put_claims(claims, args, ttl) == 0
                     ? json_dumps(claims, JSON_COMPACT)
                     : NULL;
    char *token = text != NULL ? token_sign(key, option_value(args, "kid"), text) : NULL;
    free(text);
    json_decref(claims);
    return token;
}

static int print_token(const struct ctl *ctl, const char *token)
{
    if (ctl->json)
        return output_object(ctl, NULL, 0, json_pack("{s:s}", "token", token));
    return printf("%s\n", token) > 0 ? CTL_DONE : CTL_FAILED; /* main() says why */
}

static int run_issue(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct token_file file;
    long ttl = TTL_SECONDS;
    const char *path = option_value(args, "key-file"), *given = option_value(args, "ttl");
    if (path == NULL || option_value(args, "kid") == NULL)
        return ctl_fail(CTL_USAGE, "--key-file and --kid are needed");
    if (option_value(args, "content-id") == NULL && option_value(args, "kids") == NULL)
        return ctl_fail(CTL_USAGE, "a token names a content or KIDs: --content-id, --kids");
    if (given != NULL && option_number(given, -TTL_MAX, TTL_MAX, &ttl) != 0)
        return ctl_fail(CTL_USAGE, "--ttl: seconds, at most %d", TTL_MAX);
    token_setup();
    int code = token_file_read(&file, path, true);
    char *token = code == CTL_DONE ? make_token(&file.key, args, ttl) : NULL;
    if (code == CTL_DONE && token == NULL)
        code = ctl_fail(CTL_FAILED, "the token could not be signed");
    if (code == CTL_DONE)
        code = print_token(ctl, token);
    free(token);
    token_file_free(&file);
    return code;
}

static const struct ctl_option ISSUE_ROWS[] = {
    {"key-file", '\0', "FILE", "the secret or private key to sign with"},
    {"kid", '\0', "KID", "its name, as it is registered"},
    {"content-id", '\0', "ID", "a content that the token is for; may be given again"},
    {"kids", '\0', "UUID", "a key that the token is for; may be given again"},
    {"ttl", '\0', "SECONDS", "how long it is good; 3600 unless given"},
    {"sub", '\0', "TEXT", "whom it is for; goes into the audit"},
    {"ip", '\0', "ADDRESS", "the only address that may use it"},
    {"device", '\0', "TEXT", "what the header X-Speke-Device has to say"},
};

const struct ctl_command token_issue_command = {
    .name = "token issue",
    .words = "--key-file FILE --kid KID --content-id ID",
    .summary = "Sign a token for a player, to try things out.",
    .notes = "Needs neither the database nor the settings: whoever has the key signs tokens.",
    .options = CTL_OPTIONS(ISSUE_ROWS),
    .run = run_issue,
};
