/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/preset.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SHARED = -1, UNENCRYPTED = -2, NOT_NAMED = 0, ITEM_SIZE = 48 };

enum { VIDEO, AUDIO, SIDES };

#define VIDEO_RULE(type, least, most)               \
    {                                               \
        type, {{CPIX_VIDEO_FILTER, least, most}}, 1 \
    }
#define AUDIO_RULE(type, least, most)               \
    {                                               \
        type, {{CPIX_AUDIO_FILTER, least, most}}, 1 \
    }

/* Pixels: 1024x576 = 589824, 1280x720 = 921600, 1920x1080 = 2073600, 4096x2160 = 8847360. */
static const struct preset_rule
    ANY_VIDEO = VIDEO_RULE("VIDEO", NULL, NULL),
    SD = VIDEO_RULE("SD", NULL, "589824"), HD_AND_UP = VIDEO_RULE("HD", "589825", NULL),
    HD = VIDEO_RULE("HD", "589825", "2073600"), HD1 = VIDEO_RULE("HD1", "589825", "921600"),
    HD2 = VIDEO_RULE("HD2", "921601", "2073600"),
    /* One filter for two parts, as the AWS encryptors send it. */
    SD_HD1 = VIDEO_RULE("SD+HD1", NULL, "921600"), UHD = VIDEO_RULE("UHD", "2073601", NULL),
    UHD1 = VIDEO_RULE("UHD1", "2073601", "8847360"), UHD2 = VIDEO_RULE("UHD2", "8847361", NULL),
    ANY_AUDIO = AUDIO_RULE("AUDIO", NULL, NULL), STEREO = AUDIO_RULE("STEREO_AUDIO", NULL, "2"),
    MULTICHANNEL = AUDIO_RULE("MULTICHANNEL_AUDIO", "3", NULL),
    MULTICHANNEL_3_6 = AUDIO_RULE("MULTICHANNEL_AUDIO_3_6", "3", "6"),
    MULTICHANNEL_7 = AUDIO_RULE("MULTICHANNEL_AUDIO_7", "7", NULL),
    ALL = {"ALL", {{CPIX_VIDEO_FILTER, NULL, NULL}, {CPIX_AUDIO_FILTER, NULL, NULL}}, 2};

enum { KEYS_MAX = 5 };

static const struct preset_rule *const VIDEO_PRESETS[][KEYS_MAX] = {
    {&ANY_VIDEO},
    {&SD, &HD_AND_UP},
    {&SD, &HD, &UHD},
    {&SD, &HD, &UHD1, &UHD2},
    {&SD, &HD1, &HD2, &UHD1, &UHD2},
    {&SD, &HD1, &HD2, &UHD},
    {&SD_HD1, &HD2, &UHD},
    {&SD_HD1, &HD2, &UHD1, &UHD2},
};

static const struct preset_rule *const AUDIO_PRESETS[][KEYS_MAX] = {
    {&ANY_AUDIO},
    {&STEREO, &MULTICHANNEL},
    {&STEREO, &MULTICHANNEL_3_6, &MULTICHANNEL_7},
};

enum {
    VIDEO_COUNT = sizeof VIDEO_PRESETS / sizeof VIDEO_PRESETS[0],
    AUDIO_COUNT = sizeof AUDIO_PRESETS / sizeof AUDIO_PRESETS[0]
};

/* What was named for each side, and whether UNENCRYPTED stood alone. */
struct choice {
    int sides[SIDES];
    bool unencrypted_alone;
};

static int unknown(const char *item, char *why, size_t size)
{
    (void)snprintf(why, size,
                   "--preset: \"%s\" is none of PRESET-VIDEO-1 to %d, PRESET-AUDIO-1 to %d, "
                   "SHARED, UNENCRYPTED",
                   item, VIDEO_COUNT, AUDIO_COUNT);
    return -1;
}

static int name_side(struct choice *c, int side, int value, char *why, size_t size)
{
    if (c->sides[side] != NOT_NAMED && c->sides[side] != value) {
        (void)snprintf(why, size, "--preset: two for the %s", side == VIDEO ? "video" : "audio");
        return -1;
    }
    c->sides[side] = value;
    return 0;
}

/* item is in upper case, with hyphens. */
static int take_item(struct choice *c, const char *item, char *why, size_t size)
{
    const char *name = strncmp(item, "PRESET-", 7) == 0 ? item + 7 : item;
    if (strcmp(name, "SHARED") == 0)
        return name_side(c, VIDEO, SHARED, why, size) == 0 ? name_side(c, AUDIO, SHARED, why, size)
                                                           : -1;
    if (strcmp(name, "UNENCRYPTED") == 0 && !c->unencrypted_alone) {
        c->unencrypted_alone = true;
        return 0;
    }
    const int side = strncmp(name, "VIDEO-", 6) == 0   ? VIDEO
                     : strncmp(name, "AUDIO-", 6) == 0 ? AUDIO
                                                       : SIDES;
    if (side == SIDES)
        return unknown(item, why, size);
    name += 6;
    if (strcmp(name, "SHARED") == 0)
        return name_side(c, side, SHARED, why, size);
    if (strcmp(name, "UNENCRYPTED") == 0)
        return name_side(c, side, UNENCRYPTED, why, size);
    const int most = side == VIDEO ? VIDEO_COUNT : AUDIO_COUNT;
    if (name[0] < '1' || name[0] > '0' + most || name[1] != '\0')
        return unknown(item, why, size);
    return name_side(c, side, name[0] - '0', why, size);
}

/* Upper case, and "-" for what may stand in its place. */
static char normal(char c)
{
    static const char FROM[] = "abcdefghijklmnopqrstuvwxyz_=";
    static const char TO[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ--";
    const char *at = strchr(FROM, c);
    if (at == NULL)
        return c;
    return TO[at - FROM];
}

static int take_items(struct choice *c, const char *text, char *why, size_t size)
{
    char item[ITEM_SIZE] = "";
    for (;;) {
        const size_t n = strcspn(text, ",");
        if (n >= sizeof item) {
            (void)snprintf(why, size, "--preset: no name is so long");
            return -1;
        }
        for (size_t i = 0; i < n; i++)
            item[i] = normal(text[i]);
        item[n] = '\0';
        if (take_item(c, item, why, size) != 0)
            return -1;
        if (text[n] == '\0')
            return 0;
        text += n + 1;
    }
}

/* Fills in what was not named and applies the encryptors' restrictions. */
static int complete(struct choice *c, char *why, size_t size)
{
    const char *fault = NULL;
    int *video = &c->sides[VIDEO], *audio = &c->sides[AUDIO];
    if (c->unencrypted_alone && (*video == NOT_NAMED) == (*audio == NOT_NAMED))
        fault = "UNENCRYPTED for which side? Name the other one";
    else if (c->unencrypted_alone)
        *(*video == NOT_NAMED ? video : audio) = UNENCRYPTED;
    *video = *video == NOT_NAMED ? 1 : *video;
    *audio = *audio == NOT_NAMED ? 1 : *audio;
    if (fault == NULL && (*video == SHARED) != (*audio == SHARED))
        fault = "SHARED is for both sides together";
    if (fault == NULL && *video == UNENCRYPTED && *audio == UNENCRYPTED)
        fault = "UNENCRYPTED on both sides leaves no key to ask for";
    if (fault == NULL)
        return 0;
    (void)snprintf(why, size, "--preset: %s", fault);
    return -1;
}

static void add_rules(const struct preset_rule *const keys[KEYS_MAX],
                      const struct preset_rule **rules, size_t *count)
{
    for (size_t i = 0; i < KEYS_MAX && keys[i] != NULL; i++)
        rules[(*count)++] = keys[i];
}

int preset_parse(const char *text, const struct preset_rule *rules[static PRESET_RULES_MAX],
                 size_t *count, char *why, size_t size)
{
    struct choice c = {{NOT_NAMED, NOT_NAMED}, false};
    if (take_items(&c, text, why, size) != 0 || complete(&c, why, size) != 0)
        return -1;
    *count = 0;
    if (c.sides[VIDEO] == SHARED) {
        rules[(*count)++] = &ALL;
        return 0;
    }
    if (c.sides[VIDEO] > 0)
        add_rules(VIDEO_PRESETS[c.sides[VIDEO] - 1], rules, count);
    if (c.sides[AUDIO] > 0)
        add_rules(AUDIO_PRESETS[c.sides[AUDIO] - 1], rules, count);
    return 0;
}
