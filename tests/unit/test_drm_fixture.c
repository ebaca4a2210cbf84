/* SPDX-License-Identifier: Apache-2.0 */
#include "test_drm_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

const unsigned char KEY[16] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                               0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
const unsigned char OTHER_KEY[16] = {0x0f};

static const unsigned char IV[16] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                                     0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
static const struct uuid KID = {{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                 0xcc, 0xdd, 0xee, 0xff, 0x00}};

int set_up(void **state)
{
    static struct fixture x;
    x = (struct fixture){.settings = DRM_DEFAULT_SETTINGS};
    arena_init(&x.arena, 1 << 20);
    x.settings.key_url_base = "https://keys.example.net/client";
    x.settings.clearkey_url_base = "https://keys.example.net/clearkey";
    x.in = (struct drm_input){
        .kid = &KID,
        .key = KEY,
        .iv = IV,
        .iv_text = "EBESExQVFhcYGRobHB0eHw==",
        .content_id = "movie-42",
        .version = SPEKE_V2_0,
        .settings = &x.settings,
    };
    *state = &x;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *x = *state;
    arena_free(&x->arena);
    return 0;
}

int run(struct fixture *x, const char *name, unsigned wanted)
{
    failure_clear(&x->f);
    return drm_signal(drm_find_by_name(name), &x->in, wanted, &x->arena, &x->values, &x->f);
}

void run_well(struct fixture *x, const char *name, unsigned wanted)
{
    if (run(x, name, wanted) != 0)
        fail_msg("%s: %s", name, x->f.cause);
}

const char *field(const struct drm_values *v, unsigned bit)
{
    const char *const all[FIELD_COUNT] = {v->pssh,       v->content_protection, v->hls_media,
                                          v->hls_master, v->smooth_header,      v->key_uri,
                                          v->key_format, v->key_format_versions};
    return all[bit];
}

const char *decode(struct fixture *x, const char *value)
{
    assert_non_null(value);
    assert_int_equal(base64_decode(value, strlen(value), x->bytes, sizeof x->bytes - 1, &x->n), 0);
    x->bytes[x->n] = '\0';
    return (const char *)x->bytes;
}

const char *run_one(struct fixture *x, const char *name, enum drm_field wanted)
{
    run_well(x, name, wanted);
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (wanted == 1U << i)
            return decode(x, field(&x->values, i));
    }
    return NULL;
}

bool holds(const struct fixture *x, const void *part, size_t n)
{
    return memmem(x->bytes, x->n, part, n) != NULL;
}
