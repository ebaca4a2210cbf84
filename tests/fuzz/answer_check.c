/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_check.h"

#include <string.h>

#include "base/settings.h"
#include "fuzz.h"
#include "keystore/keystore.h"
#include "responder/answer.h"
#include "responder/responder.h"

struct responder *fuzz_responder(void)
{
    enum { BODY_MAX = 64 * 1024 };
    static struct responder r;
    static struct settings settings;
    if (r.settings != NULL)
        return &r;
    fuzz_setup();
    settings_defaults(&settings);
    settings.max_body = BODY_MAX;
    settings.body_timeout = 1;
    r.settings = &settings;
    r.keystore = keystore_new(&settings);
    exchange_init(&r.exchange, &settings, r.keystore);
    player_init(&r.player, &settings, r.keystore);
    buf_init(&r.head, ANSWER_HEAD_MAX);
    buf_init(&r.body, BODY_MAX + 1);
    buf_init(&r.result.body, 64 * 1024 * 1024);
    return &r;
}

/* Length of a header line; its end is CR LF and there is no other control character in it. */
static size_t header_line(const char *p, const char *end)
{
    const char *at = p;
    while (at < end && *at != '\r') {
        MUST((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
        at++;
    }
    MUST(end - at >= 2 && at[1] == '\n');
    return (size_t)(at - p);
}

void fuzz_check_answer(const void *head, size_t head_size, size_t body_size, bool is_head)
{
    static const char *const NAMES[] = {"Status: ",
                                        "Content-Type: ",
                                        "Content-Length: ",
                                        "X-Speke-User-Agent: ",
                                        "Speke-User-Agent: ",
                                        "X-Speke-Version: ",
                                        "Allow: ",
                                        "Cache-Control: ",
                                        "X-Content-Type-Options: ",
                                        "WWW-Authenticate: ",
                                        "Access-Control-Allow-Origin: ",
                                        "Access-Control-Allow-Credentials: ",
                                        "Access-Control-Allow-Methods: ",
                                        "Access-Control-Allow-Headers: ",
                                        "Access-Control-Max-Age: ",
                                        "Access-Control-Expose-Headers: ",
                                        "Vary: ",
                                        "Retry-After: "};
    const char *p = head, *const end = p + head_size;
    unsigned seen = 0;
    bool empty = false; /* 204 has neither type nor length */
    for (size_t n; (n = header_line(p, end)) > 0; p += n + 2) {
        size_t i = 0;
        while (i < sizeof NAMES / sizeof NAMES[0] && strncmp(p, NAMES[i], strlen(NAMES[i])) != 0)
            i++;
        MUST(i < sizeof NAMES / sizeof NAMES[0] && (seen & 1U << i) == 0);
        seen |= 1U << i;
        const unsigned long value = strtoul(p + strlen(NAMES[i]), NULL, 10);
        if (i == 0) {
            MUST(value == 200 || value == 204 || (value >= 400 && value < 500));
            empty = value == 204;
        }
        if (i == 2)
            MUST(is_head ? body_size == 0 : value == body_size);
    }
    MUST(p + 2 == end && (seen & 7) == (empty ? 1 : 7));
}
