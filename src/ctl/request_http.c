/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctl/ctl.h"
#include "ctl/request.h"

enum { ANSWER_MAX = 32 * 1024 * 1024, CONNECT_SECONDS = 10 };

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct buf *body = context;
    buf_put(body, bytes, size * count);
    return buf_ok(body) ? size * count : 0;
}

/* Copies the value of a header line that has this name. */
static void take_value(const char *line, size_t n, const char *name, char *out, size_t size)
{
    const size_t name_length = strlen(name);
    if (n <= name_length || strncasecmp(line, name, name_length) != 0 || line[name_length] != ':')
        return;
    const char *value = line + name_length + 1;
    n -= name_length + 1;
    while (n > 0 && (value[0] == ' ' || value[0] == '\t')) {
        value++;
        n--;
    }
    while (n > 0 && strchr(" \t\r\n", value[n - 1]) != NULL)
        n--;
    (void)snprintf(out, size, "%.*s", (int)n, value);
}

/* Called for the headers of every answer, that of a 401 before the real one included; a status
 * line begins anew. */
static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    struct http_answer *answer = context;
    const size_t n = size * count;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
        answer->content_type[0] = answer->speke_version[0] = answer->retry_after[0] = '\0';
    take_value(line, n, "Content-Type", answer->content_type, sizeof answer->content_type);
    take_value(line, n, "X-Speke-Version", answer->speke_version, sizeof answer->speke_version);
    take_value(line, n, "Retry-After", answer->retry_after, sizeof answer->retry_after);
    return n;
}

static struct curl_slist *append(struct curl_slist *list, const char *line, bool *ok)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    *ok = *ok && longer != NULL;
    return longer != NULL ? longer : list;
}

static struct curl_slist *make_headers(enum speke_version version, bool *ok)
{
    char line[64];
    struct curl_slist *list = append(NULL, "Content-Type: application/xml", ok);
    list = append(list, "Expect:", ok); /* one round trip less, and no server here needs it */
    if (version == SPEKE_V1)
        return list;
    (void)snprintf(line, sizeof line, "X-Speke-Version: %s", speke_version_name(version));
    return append(list, line, ok);
}

/* True when libcurl took every option. */
static bool set_authentication(CURL *curl, const struct http_request *r)
{
    const long kind = r->auth == HTTP_AUTH_BASIC ? (long)CURLAUTH_BASIC : (long)CURLAUTH_DIGEST;
    bool ok = true;
    if (r->auth != HTTP_AUTH_CERTIFICATE)
        ok = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, kind) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_USERNAME, r->user) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_PASSWORD, r->password) == CURLE_OK;
    if (r->ca != NULL)
        ok = ok && curl_easy_setopt(curl, CURLOPT_CAINFO, r->ca) == CURLE_OK;
    if (r->certificate != NULL)
        ok = ok && curl_easy_setopt(curl, CURLOPT_SSLCERT, r->certificate) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSLKEY, r->key != NULL ? r->key : r->certificate) ==
                 CURLE_OK;
    return ok;
}

static bool set_options(CURL *curl, const struct http_request *r, struct http_answer *answer,
                        struct curl_slist *headers, char *error)
{
    return curl_easy_setopt(curl, CURLOPT_URL, r->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body->len) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                            r->body->len > 0 ? (const void *)r->body->data : "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "spekectl/" SPEKE_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, r->timeout) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer) == CURLE_OK &&
           set_authentication(curl, r);
}

static int explain(const struct http_request *r, CURLcode result, const char *error)
{
    const char *hint = "";
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE)
        hint = " (--ca FILE names the CA of the server)";
    if (result == CURLE_SSL_CERTPROBLEM)
        hint = " (--cert FILE and --key FILE)";
    return ctl_fail(CTL_UNAVAILABLE, "%s: %s%s", r->url,
                    error[0] != '\0' ? error : curl_easy_strerror(result), hint);
}

int http_post(const struct http_request *request, struct http_answer *answer)
{
    char error[CURL_ERROR_SIZE] = "";
    bool ok = true;
    int code = CTL_DONE;
    *answer = (struct http_answer){0};
    buf_init(&answer->body, ANSWER_MAX);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ctl_fail(CTL_FAILED, "libcurl does not start");
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = make_headers(request->version, &ok);
    if (curl == NULL || !ok || !set_options(curl, request, answer, headers, error)) {
        code = ctl_fail(CTL_FAILED, "libcurl does not take the request: %s",
                        error[0] != '\0' ? error : "out of memory, or an option it lacks");
    } else {
        CURLcode result = curl_easy_perform(curl);
        if (result == CURLE_OK)
            result = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
        if (result != CURLE_OK)
            code = explain(request, result, error);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return code;
}
