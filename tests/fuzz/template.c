/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what the check lets pass can be used, and nothing else can. The first byte of the
 * input chooses the use. */
#include "drm/template.h"

#include <string.h>

#include "base/buf.h"
#include "base/failure.h"
#include "drm/drm.h"
#include "fuzz.h"

/* Everything that a name can stand for is there. */
static struct drm_input everything(void)
{
    static const struct uuid KID = {{0x5c, 0x0f, 0x7a, 0x3e, 0x1b, 0x2d, 0x4e, 0x6f, 0x8a, 0x90,
                                     0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x06}};
    static const unsigned char IV[16] = {1, 2, 3};
    static struct drm_settings settings;
    settings = DRM_DEFAULT_SETTINGS;
    settings.key_url_base = "https://keys.example/speke";
    settings.clearkey_url_base = "https://keys.example/clearkey";
    return (struct drm_input){
        .kid = &KID,
        .key = IV,
        .iv = IV,
        .iv_text = "AQIDAAAAAAAAAAAAAAAAAA==",
        .content_id = "caf\xc3\xa9 \"1\" <&'> \\ / {kid}",
        .scheme = SCHEME_CBCS,
        .version = SPEKE_V2_1,
        .settings = &settings,
        .system_id = &KID,
        .pssh = "AAAAIHBzc2g=",
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum template_use USES[] = {TEMPLATE_URI, TEMPLATE_XML, TEMPLATE_DATA};
    enum { LONGEST = 4096 };
    const struct drm_input in = everything();
    struct failure f = {0};
    struct buf out;
    char why[256] = "";
    if (size == 0 || size > LONGEST)
        return 0;
    const enum template_use use = USES[data[0] % 3];
    char *text = fuzz_text(data + 1, size - 1);
    buf_init(&out, 1 << 20);
    const int judged = template_check(use, text, why, sizeof why);
    const int put = template_put(&out, use, text, &in, &f);
    if (judged != 0)
        MUST(why[0] != '\0');
    else
        MUST(put == 0 && buf_ok(&out));
    if (put == 0 && use == TEMPLATE_URI && out.len > 0)
        MUST(memchr(out.data, '"', out.len) == NULL && memchr(out.data, '\n', out.len) == NULL);
    if (put != 0)
        MUST(f.status == 500);
    buf_free(&out);
    free(text);
    return 0;
}
