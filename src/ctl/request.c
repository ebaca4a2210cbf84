/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl request: asks a key provider for keys as a packager would, and shows what came. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/failure.h"
#include "ctl/commands.h"
#include "ctl/describe.h"
#include "ctl/file.h"
#include "ctl/lint.h"
#include "ctl/open.h"
#include "ctl/output.h"
#include "ctl/password.h"
#include "ctl/request.h"

enum {
    ARENA_MAX = 128 * 1024 * 1024,
    DOCUMENT_MAX = 16 * 1024 * 1024,
    TIMEOUT_SECONDS = 30,
    TIMEOUT_MAX = 3600,
    SAVE_MODE = 0600 /* the answer holds keys */
};

/* One run of the subcommand. */
struct run {
    struct ctl *ctl;
    const struct ctl_arguments *args;
    struct arena arena;
    enum speke_version version;
    struct cpix_document asked;
    bool asked_known;           /* asked could be read */
    struct recipient recipient; /* of encrypted keys; no key: they come in the clear */
    struct buf body;
};

/* An empty body has no bytes to point at. */
static int read_document(struct run *r, const struct buf *text, struct cpix_document *out,
                         struct failure *f)
{
    if (text->len == 0)
        return fail(f, 400, "The document is empty");
    return cpix_read(text->data, text->len, &CPIX_DEFAULT_LIMITS, &r->arena, out, f);
}

/* --- the document that is sent ------------------------------------------------------------------
 */

/* A ready document is sent as it is, well-formed or not, so that a provider's refusals can be
 * tried. Its version is that of --speke, else what its root says. */
static int load_document(struct run *r, const char *path)
{
    struct failure f = {0};
    char why[512];
    const char *version = option_value(r->args, "speke");
    if (file_slurp(path, &r->body, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    r->asked_known = read_document(r, &r->body, &r->asked, &f) == 0;
    if (!r->asked_known)
        ctl_warn(r->ctl, "%s: %s; it is sent all the same", path, f.text);
    if (version != NULL)
        return speke_version_parse(version, &r->version) == 0
                   ? CTL_DONE
                   : ctl_fail(CTL_USAGE, "--speke: one of 1.0, 2.0, 2.1");
    r->version = r->asked_known ? lint_guess_version(&r->asked) : SPEKE_V1;
    return CTL_DONE;
}

/* Makes or reads the key and certificate of encrypted delivery. A ready document holds its own
 * certificates, so that the key is enough for it. */
static int choose_recipient(struct run *r, bool ready)
{
    const char *key = option_value(r->args, "recipient-key");
    const char *certificate = option_value(r->args, "recipient-cert");
    const bool make = option_given(r->args, "encrypt");
    char why[512];
    int result = 0;
    if (make && (ready || key != NULL || certificate != NULL))
        return ctl_fail(CTL_USAGE, "--encrypt makes its own certificate, so it goes without "
                                   "--send, --recipient-cert and --recipient-key");
    if (certificate != NULL ? key == NULL || ready : key != NULL && !ready)
        return ctl_fail(CTL_USAGE, "--recipient-cert and --recipient-key go together; with --send "
                                   "--recipient-key alone");
    if (make)
        result = recipient_make(&r->recipient, why, sizeof why);
    else if (key != NULL)
        result = recipient_load(&r->recipient, key, certificate, why, sizeof why);
    return result == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s", why);
}

static int make_document(struct run *r)
{
    struct request_plan plan;
    int code = plan_read(r->args, &plan);
    if (code != CTL_DONE)
        return code;
    plan.certificate = r->recipient.certificate;
    if (document_build(&plan, &r->arena, &r->asked) != 0)
        return ctl_fail_memory();
    cpix_write(&r->asked, &r->body);
    r->asked_known = true;
    r->version = plan.version;
    return buf_ok(&r->body) ? CTL_DONE : ctl_fail_memory();
}

/* --- who asks, and whom -------------------------------------------------------------------------
 */

static const char *option_or_environment(const struct ctl_arguments *args, const char *option,
                                         const char *variable)
{
    const char *value = option_value(args, option);
    if (value == NULL)
        value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int choose_auth(const struct run *r, struct http_request *http)
{
    const char *kind = option_value(r->args, "auth");
    if (kind == NULL)
        kind = http->user == NULL && http->certificate != NULL ? "cert" : "digest";
    if (strcmp(kind, "digest") == 0)
        http->auth = HTTP_AUTH_DIGEST;
    else if (strcmp(kind, "basic") == 0)
        http->auth = HTTP_AUTH_BASIC;
    else if (strcmp(kind, "cert") == 0)
        http->auth = HTTP_AUTH_CERTIFICATE;
    else
        return ctl_fail(CTL_USAGE, "--auth: one of digest, basic, cert");
    if (http->auth == HTTP_AUTH_CERTIFICATE && http->certificate == NULL)
        return ctl_fail(CTL_USAGE, "--auth cert wants --cert FILE");
    if (http->auth != HTTP_AUTH_CERTIFICATE && http->user == NULL)
        return ctl_fail(CTL_USAGE, "who asks? --user NAME or SPEKE_USER, or --cert FILE");
    return CTL_DONE;
}

static int choose_server(const struct run *r, struct http_request *http)
{
    const struct ctl_arguments *args = r->args;
    const char *timeout = option_value(args, "timeout");
    http->url = args->word_count > 0 ? args->words[0] : getenv("SPEKE_URL");
    http->user = option_or_environment(args, "user", "SPEKE_USER");
    http->ca = option_or_environment(args, "ca", "SPEKE_CA");
    http->certificate = option_value(args, "cert");
    http->key = option_value(args, "key");
    http->timeout = TIMEOUT_SECONDS;
    http->version = r->version;
    http->body = &r->body;
    if (http->url == NULL || http->url[0] == '\0')
        return ctl_fail(CTL_USAGE, "which key provider? Give its URL, or set SPEKE_URL");
    const bool plain = strncasecmp(http->url, "http://", 7) == 0;
    if (!plain && strncasecmp(http->url, "https://", 8) != 0)
        return ctl_fail(CTL_USAGE, "%s: not an https:// URL", http->url);
    if (plain)
        ctl_warn(r->ctl, "plain http: everybody on the way can read the keys");
    if (timeout != NULL && option_number(timeout, 1, TIMEOUT_MAX, &http->timeout) != 0)
        return ctl_fail(CTL_USAGE, "--timeout: seconds from 1 to %d", TIMEOUT_MAX);
    return choose_auth(r, http);
}

static char *find_password(const struct ctl_arguments *args)
{
    const char *file = option_value(args, "password-file");
    const char *environment = getenv("SPEKE_PASSWORD");
    if (file != NULL)
        return password_from_file(file);
    if (environment != NULL)
        return password_copy(environment);
    if (isatty(STDIN_FILENO))
        return password_ask("Password", false);
    (void)ctl_fail(CTL_FAILED, "no password: --password-file FILE, SPEKE_PASSWORD or a terminal");
    return NULL;
}

/* --- what came ----------------------------------------------------------------------------------
 */

/* Tells of an answer that is none: the provider's own words if they fit a line. */
static int refused(const struct http_answer *answer)
{
    const char *hint = "";
    const char *text = answer->body.len > 0 ? (const char *)answer->body.data : "";
    size_t n = strnlen(text, answer->body.len);
    const bool plain = strncasecmp(answer->content_type, "text/plain", 10) == 0;
    if (!plain || n > 500) {
        text = "";
        n = 0;
    }
    if (answer->status == 401)
        hint = " (user or password wrong, or another --auth is wanted)";
    if (answer->status >= 500)
        return ctl_fail(CTL_UNAVAILABLE, "the key provider answers %ld%s%.*s%s%s%s%s",
                        answer->status, n > 0 ? ": " : "", (int)n, text,
                        answer->retry_after[0] != '\0' ? " (try again after " : "",
                        answer->retry_after, answer->retry_after[0] != '\0' ? " s)" : "", hint);
    return ctl_fail(answer->status >= 400 ? CTL_REFUSED : CTL_FAILED,
                    "the key provider answers %ld%s%.*s%s", answer->status, n > 0 ? ": " : "",
                    (int)n, text, hint);
}

/* Faults of the HTTP answer, beside those of the document. */
static int check_headers(const struct run *r, const struct http_answer *answer, json_t *faults)
{
    const char *version = r->version == SPEKE_V1 ? "" : speke_version_name(r->version);
    int result = 0;
    if (strncasecmp(answer->content_type, "application/xml", 15) != 0)
        result = json_array_append_new(
            faults,
            json_sprintf("Content-Type is \"%s\", not application/xml", answer->content_type));
    if (result == 0 && strcmp(answer->speke_version, version) != 0)
        result = json_array_append_new(faults,
                                       json_sprintf("X-Speke-Version is \"%s\", asked was \"%s\"",
                                                    answer->speke_version, version));
    return result;
}

/* Says every fault; returns CTL_FAILED when there is one. */
static int tell_faults(const json_t *faults)
{
    int code = CTL_DONE;
    size_t i;
    json_t *fault;
    json_array_foreach(faults, i, fault)
        code = ctl_fail(CTL_FAILED, "fault in the answer: %s", json_string_value(fault));
    return code;
}

static int show_answer(struct run *r, const struct cpix_document *got, const struct opened *opened,
                       const struct http_answer *answer, json_t *faults)
{
    const bool reveal = option_given(r->args, "reveal");
    int code;
    json_t *description = answer_describe(got, r->version, &r->arena, reveal, json_incref(faults));
    if (description == NULL ||
        (opened->keys != NULL && answer_describe_opened(opened, description) != 0))
        code = ctl_fail_memory();
    else if (option_given(r->args, "xml"))
        code = fwrite(answer->body.data, 1, answer->body.len, stdout) == answer->body.len &&
                       putchar('\n') != EOF
                   ? CTL_DONE
                   : CTL_FAILED; /* main() says why */
    else if (r->ctl->json)
        code = output_object(r->ctl, NULL, 0, json_incref(description));
    else
        code = answer_print(description, reveal);
    json_decref(description);
    return code;
}

/* Opens what came encrypted. Returns 0, or -1 when memory ran out. */
static int open_answer(struct run *r, struct cpix_document *got, struct opened *opened,
                       json_t *faults)
{
    char why[512];
    for (size_t i = 0; i < got->key_count; i++) {
        if (got->keys[i].plain_value != NULL)
            return json_array_append_new(
                faults, json_string("keys came in the clear, asked was for encrypted ones"));
    }
    if (open_document(got, r->recipient.key, &r->arena, opened, why, sizeof why) == 0)
        return 0;
    return json_array_append_new(faults, json_sprintf("the keys cannot be opened: %s", why));
}

/* Looks at an answer that was read, and tells of it. */
static int judge_answer(struct run *r, struct cpix_document *got, const struct http_answer *answer)
{
    struct opened opened = {0};
    json_t *faults = json_array();
    int code;
    if (faults == NULL || check_headers(r, answer, faults) != 0 ||
        (r->recipient.key != NULL && open_answer(r, got, &opened, faults) != 0)) {
        code = ctl_fail_memory();
    } else {
        answer_check(r->asked_known ? &r->asked : NULL, got, r->version, &r->arena, faults);
        code = show_answer(r, got, &opened, answer, faults);
        if (code == CTL_DONE)
            code = tell_faults(faults);
    }
    opened_free(&opened, got);
    json_decref(faults);
    return code;
}

static int take_answer(struct run *r, const struct http_answer *answer)
{
    struct cpix_document got;
    struct failure f = {0};
    char why[512];
    const char *save = option_value(r->args, "save");
    if (answer->status != 200)
        return refused(answer);
    if (save != NULL &&
        file_replace(save, answer->body.data, answer->body.len, SAVE_MODE, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    if (read_document(r, &answer->body, &got, &f) != 0)
        return ctl_fail(CTL_FAILED, "the answer is no CPIX document: %s", f.text);
    return judge_answer(r, &got, answer);
}

static int exchange(struct run *r)
{
    struct http_request http = {0};
    struct http_answer answer = {0};
    char *password = NULL;
    int code = choose_server(r, &http);
    if (code != CTL_DONE)
        return code;
    if (http.auth != HTTP_AUTH_CERTIFICATE) {
        password = find_password(r->args);
        if (password == NULL)
            return CTL_FAILED;
        http.password = password;
    }
    code = http_post(&http, &answer);
    password_free(password);
    if (code == CTL_DONE)
        code = take_answer(r, &answer);
    buf_free(&answer.body);
    return code;
}

static int run_request(struct ctl *ctl, const struct ctl_arguments *args)
{
    struct run r = {.ctl = ctl, .args = args};
    const char *send = option_value(args, "send");
    cpix_setup();
    arena_init(&r.arena, ARENA_MAX);
    buf_init(&r.body, DOCUMENT_MAX);
    int code = choose_recipient(&r, send != NULL);
    if (code == CTL_DONE)
        code = send != NULL ? load_document(&r, send) : make_document(&r);
    if (code == CTL_DONE && option_given(args, "request-only"))
        code = fwrite(r.body.data, 1, r.body.len, stdout) == r.body.len && putchar('\n') != EOF
                   ? CTL_DONE
                   : CTL_FAILED; /* main() says why */
    else if (code == CTL_DONE)
        code = exchange(&r);
    recipient_free(&r.recipient);
    buf_free(&r.body);
    arena_free(&r.arena);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"content-id", '\0', "ID", "the content whose keys are asked for"},
    {"preset", '\0', "NAMES", "PRESET-VIDEO-1 to 8, PRESET-AUDIO-1 to 3, SHARED, UNENCRYPTED"},
    {"drm", '\0', "SYSTEMS", "widevine,playready,fairplay,clearkey,common,aes128 (v1)"},
    {"scheme", '\0', "SCHEME", "cenc, cbcs, cbc1; the first that fits unless given"},
    {"speke", '\0', "VERSION", "1.0, 2.0 or 2.1; 2.0 unless given"},
    {"period", '\0', "INDEX", "live: the key period with this index"},
    {"kid", '\0', "UUID", "KID of a key; once for each, in their order"},
    {"random-kid", '\0', NULL, "new KIDs each time, not derived from the content id"},
    {"iv", '\0', "BASE64", "explicitIV of 16 bytes for every key"},
    {"smooth", '\0', NULL, "ask PlayReady for its Smooth Streaming header as well"},
    {"encrypt", '\0', NULL, "ask for encrypted keys with a certificate that is made for it"},
    {"recipient-cert", '\0', "FILE", "the same with this certificate in PEM form"},
    {"recipient-key", '\0', "FILE", "its private key, which the keys are opened with"},
    {"send", '\0', "FILE", "send this document instead of one made from the above"},
    {"request-only", '\0', NULL, "print the document and send nothing"},
    {"user", 'u', "NAME", "user; else $SPEKE_USER"},
    {"password-file", '\0', "FILE", "password on its first line; else $SPEKE_PASSWORD"},
    {"auth", '\0', "KIND", "digest, basic or cert; digest unless only --cert is given"},
    {"ca", '\0', "FILE", "CA certificates of the server; else $SPEKE_CA, else the system's"},
    {"cert", '\0', "FILE", "client certificate in PEM form"},
    {"key", '\0', "FILE", "its private key, if not in the same file"},
    {"timeout", '\0', "SECONDS", "longest time for the exchange; 30 unless given"},
    {"xml", '\0', NULL, "print the answer as it came; it holds the keys"},
    {"reveal", '\0', NULL, "print the keys, not only their fingerprints"},
    {"save", '\0', "FILE", "write the answer to a file of mode 0600; it holds the keys"},
};

const struct ctl_command request_command = {
    .name = "request",
    .words = "[URL]",
    .summary = "Ask a key provider for keys as a packager would, and check its answer.",
    .notes = "URL is that of copyProtection; without it $SPEKE_URL is asked. The password is\n"
             "never an argument: from a file, $SPEKE_PASSWORD or the terminal.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .most_words = 1,
    .run = run_request,
};
