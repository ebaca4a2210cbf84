/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of "spekectl request", a SPEKE client: plan, document, exchange, check, show. */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/scheme.h"
#include "base/uuid.h"
#include "cpix/cpix.h"
#include "ctl/preset.h"

enum { REQUEST_SYSTEMS_MAX = 8 };

struct arena;
struct ctl;
struct ctl_arguments;
struct drm_system;

/* --- request_plan.c: what to ask for -------------------------------------------------------- */

struct request_plan {
    enum speke_version version;
    enum scheme scheme;
    const char *content_id;
    const struct preset_rule *rules[PRESET_RULES_MAX]; /* one a key; one in SPEKE v1 */
    struct uuid kids[PRESET_RULES_MAX];
    size_t key_count;
    const struct drm_system *systems[REQUEST_SYSTEMS_MAX];
    size_t system_count;
    const char *period;      /* index, NULL for VOD */
    const char *iv;          /* base64, NULL to let the provider make one */
    bool smooth;             /* ask for the header of Smooth Streaming as well */
    const char *certificate; /* base64 of DER: whom to encrypt the keys for; NULL for clear keys */
};

/* Reads a SPEKE version. Returns 0 or -1. */
int speke_version_parse(const char *text, enum speke_version *out);
/* Reads the options. Returns an enum ctl_exit. */
int plan_read(const struct ctl_arguments *args, struct request_plan *out);
/* The KID of a track type: the name-based UUID (version 5, RFC 4122 section 4.3) of
 * "speke-fcgi:kid:TYPE:PERIOD:CONTENT-ID" in the name space for URLs, PERIOD being empty without
 * one, so that the same request made again asks for the same keys. Returns 0 or -1. */
int plan_derive_kid(const char *track_type, const char *period, const char *content_id,
                    struct uuid *out);

/* --- request_document.c: the document that asks --------------------------------------------- */

/* The values (enum drm_field) that a system has in a version: those that a request asks for.
 * Unknown systems have all. */
unsigned document_fields(const struct uuid *system_id, enum speke_version version);
/* Builds the document into *out; all texts are in the arena or belong to the plan. Returns 0, or
 * -1 when memory ran out. */
int document_build(const struct request_plan *plan, struct arena *arena, struct cpix_document *out);

/* --- request_http.c: the exchange ----------------------------------------------------------- */

enum http_auth { HTTP_AUTH_DIGEST, HTTP_AUTH_BASIC, HTTP_AUTH_CERTIFICATE };

struct http_request {
    const char *url;
    enum http_auth auth;
    const char *user, *password;        /* NULL with a certificate alone */
    const char *ca, *certificate, *key; /* files; NULL for the system's CAs and for none */
    long timeout;                       /* seconds */
    enum speke_version version;
    const struct buf *body;
};

struct http_answer {
    long status;
    char content_type[128], speke_version[16], retry_after[16];
    struct buf body; /* may hold keys; freed with buf_free() */
};

/* Posts the document. Returns CTL_DONE when there was an answer, whatever its status; else it has
 * said why there was none. answer->body is to be freed either way. */
int http_post(const struct http_request *request, struct http_answer *answer);

/* --- answer.c: reading what came ------------------------------------------------------------ */

/* The placeholder of a DRMSystem with that field, and for HLSSignalingData that playlist ("media"
 * is the default of the attribute). NULL when there is none. */
const struct cpix_placeholder *answer_field(const struct cpix_drm_system *system,
                                            enum cpix_field field, const char *playlist);
/* Decodes base64 into the arena with a zero byte after it. NULL when it is none. */
char *answer_decode(struct arena *arena, const char *base64, size_t *len);
/* The key of a ContentKey, opened or clear, as 16 bytes. Returns 0, or -1 when it has none of that
 * size. */
int answer_key(const struct cpix_content_key *key, unsigned char out[static CPIX_KEY_BYTES]);
/* The value of an attribute of an HLS tag line, without quotes, "" when absent or too long. */
void answer_hls_attribute(const char *line, const char *name, char *out, size_t size);

/* --- request_check.c: is it what was asked for? --------------------------------------------- */

/* Appends a line to faults, an array of texts, for everything that an encryptor would have to stop
 * for. asked may be NULL when it could not be read: then only the answer itself is looked at. */
void answer_check(const struct cpix_document *asked, const struct cpix_document *got,
                  enum speke_version version, struct arena *arena, json_t *faults);

/* --- request_show.c: telling about it -------------------------------------------------------- */

/* Prints what answer_describe() gave as tables. Returns an enum ctl_exit. */
int answer_print(const json_t *description, bool reveal);

#endif
