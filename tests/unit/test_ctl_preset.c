/* SPDX-License-Identifier: Apache-2.0 */
/* Preset names and the rules that they stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ctl/preset.h"

#include <cmocka.h>

static char why[256];

/* "TYPE[V least-most] ..." of the rules, the fault in brackets when there is one. */
static void describe(const char *names, char *out, size_t size)
{
    const struct preset_rule *rules[PRESET_RULES_MAX];
    size_t count = 0, n = 0;
    out[0] = '\0';
    if (preset_parse(names, rules, &count, why, sizeof why) != 0) {
        (void)snprintf(out, size, "(%s)", why);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%s[", i > 0 ? " " : "", rules[i]->track_type);
        for (size_t k = 0; k < rules[i]->filter_count; k++) {
            const struct preset_filter *f = &rules[i]->filters[k];
            n += (size_t)snprintf(out + n, size - n, "%s%c%s-%s", k > 0 ? " " : "",
                                  f->kind == CPIX_VIDEO_FILTER ? 'V' : 'A',
                                  f->least != NULL ? f->least : "", f->most != NULL ? f->most : "");
        }
        n += (size_t)snprintf(out + n, size - n, "]");
    }
}

static void names_stand_for_rules(void **state)
{
    (void)state;
    static const struct {
        const char *names, *rules;
    } CASES[] = {
        {"PRESET-VIDEO-1,PRESET-AUDIO-1", "VIDEO[V-] AUDIO[A-]"},
        {"PRESET_VIDEO_2,PRESET_AUDIO_1", "SD[V-589824] HD[V589825-] AUDIO[A-]"},
        {"video-3", "SD[V-589824] HD[V589825-2073600] UHD[V2073601-] AUDIO[A-]"},
        {"VIDEO=4,AUDIO=UNENCRYPTED",
         "SD[V-589824] HD[V589825-2073600] UHD1[V2073601-8847360] UHD2[V8847361-]"},
        {"video-5,audio-3",
         "SD[V-589824] HD1[V589825-921600] HD2[V921601-2073600] UHD1[V2073601-8847360] "
         "UHD2[V8847361-] STEREO_AUDIO[A-2] MULTICHANNEL_AUDIO_3_6[A3-6] "
         "MULTICHANNEL_AUDIO_7[A7-]"},
        {"audio-2,video-6",
         "SD[V-589824] HD1[V589825-921600] HD2[V921601-2073600] UHD[V2073601-] STEREO_AUDIO[A-2] "
         "MULTICHANNEL_AUDIO[A3-]"},
        {"PRESET-VIDEO-7,UNENCRYPTED", "SD+HD1[V-921600] HD2[V921601-2073600] UHD[V2073601-]"},
        {"UNENCRYPTED,PRESET-AUDIO-2", "STEREO_AUDIO[A-2] MULTICHANNEL_AUDIO[A3-]"},
        {"video-8,audio-1", "SD+HD1[V-921600] HD2[V921601-2073600] UHD1[V2073601-8847360] "
                            "UHD2[V8847361-] AUDIO[A-]"},
        {"SHARED", "ALL[V- A-]"},
        {"shared,shared", "ALL[V- A-]"},
        {"VIDEO-SHARED,AUDIO-SHARED", "ALL[V- A-]"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char rules[512];
        print_message("  %s\n", CASES[i].names);
        describe(CASES[i].names, rules, sizeof rules);
        assert_string_equal(rules, CASES[i].rules);
    }
}

static void what_no_encryptor_offers_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "VIDEO-0",
        "VIDEO-9",
        "AUDIO-4",
        "VIDEO-10",
        "VIDEO",
        "HD",
        "VIDEO-1,VIDEO-2",
        "VIDEO-1,",
        "SHARED,AUDIO-1",
        "VIDEO-SHARED",
        "UNENCRYPTED",
        "UNENCRYPTED,UNENCRYPTED",
        "SHARED,UNENCRYPTED",
        "VIDEO-1,AUDIO-1,UNENCRYPTED",
        "VIDEO-UNENCRYPTED,AUDIO-UNENCRYPTED",
        "PRESET-VIDEO-1-AND-A-VERY-LONG-NAME-THAT-GOES-ON-AND-ON",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        char rules[512];
        describe(BAD[i], rules, sizeof rules);
        print_message("  \"%s\": %s\n", BAD[i], rules);
        assert_int_equal(rules[0], '(');
        assert_non_null(strstr(rules, "--preset"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_for_rules),
        cmocka_unit_test(what_no_encryptor_offers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
