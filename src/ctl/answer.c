/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "ctl/request.h"

const struct cpix_placeholder *answer_field(const struct cpix_drm_system *system,
                                            enum cpix_field field, const char *playlist)
{
    static const char DEFAULT_PLAYLIST[] = "media"; /* CPIX: of HLSSignalingData */
    for (size_t i = 0; i < system->placeholder_count; i++) {
        const struct cpix_placeholder *p = &system->placeholders[i];
        const char *have = p->playlist != NULL ? p->playlist : DEFAULT_PLAYLIST;
        if (p->field != field)
            continue;
        if (field != CPIX_HLS_SIGNALING_DATA ||
            strcmp(have, playlist != NULL ? playlist : DEFAULT_PLAYLIST) == 0)
            return p;
    }
    return NULL;
}

char *answer_decode(struct arena *arena, const char *base64, size_t *len)
{
    const size_t n = strlen(base64);
    const size_t room = n / 4 * 3 + 3;
    char *out = arena_alloc(arena, room + 1);
    if (out == NULL || base64_decode(base64, n, (unsigned char *)out, room, len) != 0)
        return NULL;
    out[*len] = '\0';
    return out;
}

int answer_key(const struct cpix_content_key *key, unsigned char out[static CPIX_KEY_BYTES])
{
    size_t len;
    if (key->key != NULL) {
        memcpy(out, key->key, CPIX_KEY_BYTES);
        return 0;
    }
    if (key->plain_value == NULL ||
        base64_decode(key->plain_value, strlen(key->plain_value), out, CPIX_KEY_BYTES, &len) != 0)
        return -1;
    return len == CPIX_KEY_BYTES ? 0 : -1;
}

void answer_hls_attribute(const char *line, const char *name, char *out, size_t size)
{
    const size_t n = strlen(name);
    const char *p = strchr(line, ':');
    out[0] = '\0';
    while (p != NULL && *p != '\0') {
        p++; /* over the colon or the comma */
        const size_t key = strcspn(p, "=");
        const char *value = p + key + (p[key] == '=');
        const bool quoted = value[0] == '"';
        value += quoted;
        const size_t length = strcspn(value, quoted ? "\"" : ",");
        if (key == n && memcmp(p, name, n) == 0) {
            if (length < size)
                (void)snprintf(out, size, "%.*s", (int)length, value);
            return;
        }
        p = value + length + (quoted && value[length] == '"');
    }
}
