/* SPDX-License-Identifier: Apache-2.0 */
/* Documents for the tests of the cpix room, and what is read and found in them. */
#ifndef TESTS_CPIX_FIXTURE_H
#define TESTS_CPIX_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/failure.h"
#include "cpix/cpix.h"

#define KID_1      "5c0f7a3e-1b2d-4e6f-8a90-b1c2d3e4f506"
#define KID_2      "e2b7d1c4-0a39-4f58-9d6c-77a1b2c3d4e5"
#define WIDEVINE   "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
#define PLAYREADY  "9a04f079-9840-4286-ab92-e65be0885f95"
#define FAIRPLAY   "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
#define CLEAR_KEY  "3ea8778f-7742-4bf9-b18b-e834b2acbd47"
#define AES_128_V1 "81376844-f976-481e-a84e-cc25d39b0b33"

/* Good documents, one element a line. Cases are made from them by replacing a piece. */
extern const char FIXTURE_V2_0[]; /* live, two keys, Widevine and FairPlay */
extern const char FIXTURE_V1[];   /* live */

/* The text with the first piece like "from" replaced, which must be there; in static memory that
 * the next call overwrites, but text may be the result of the last. NULL for from: unchanged. */
const char *fixture_edit(const char *text, const char *from, const char *to);

/* The contents of a file below tests/vectors/cpix, likewise in memory that the next call
 * overwrites. */
const char *fixture_file(const char *name);

struct fixture {
    struct arena arena;
    struct cpix_document doc;
    struct failure failure;
    int result; /* of cpix_read() */
};

/* Sets up libxml2 and the arena: for setup and teardown of a test. */
int fixture_start(void **state);
int fixture_stop(void **state);
void fixture_read(struct fixture *x, const char *text);
/* Reads a text that has to be good. */
void fixture_read_well(struct fixture *x, const char *text);

/* What cpix_check() said, in its order. */
enum { FIXTURE_FAULTS = 64 };
struct fixture_faults {
    struct cpix_fault items[FIXTURE_FAULTS];
    size_t count;
    bool stop_at_first;
    int result;
};
/* Checks the document with the schemes that the MediaPackage guide gives the systems. */
void fixture_check(struct fixture *x, const struct cpix_rules *rules,
                   struct fixture_faults *faults);
/* Rules of a version without any option. */
struct cpix_rules fixture_rules(enum speke_version version);

/* Texts and places of faults. */
#define E4 "Missing ContentKey@commonEncryptionScheme for KID "
#define E5 "Non compliant ContentKey@commonEncryptionScheme combination"
#define E6 "ContentKey@commonEncryptionScheme non compatible with DRMSystem "

#define KEY_1    "ContentKeyList/ContentKey[1]"
#define KEY_2    "ContentKeyList/ContentKey[2]"
#define SYSTEM_1 "DRMSystemList/DRMSystem[1]"
#define SYSTEM_2 "DRMSystemList/DRMSystem[2]"
#define PERIOD_1 "ContentKeyPeriodList/ContentKeyPeriod[1]"

/* A piece of a document and what takes its place. */
struct edit {
    const char *from, *to;
};

/* A good document made bad, and the first fault that is found then. */
struct bad {
    const char *name;
    struct edit edits[3];
    const char *rule, *text;
    int line;
    const char *place;
};

/* A good document made another good one. */
struct good {
    const char *name;
    struct edit edits[3];
};

/* Edits that put a list into a document twice, and that take one out. */
#define TWICE(name)                                          \
    {                                                        \
        "<cpix:" name ">", "<cpix:" name "/><cpix:" name ">" \
    }
#define WITHOUT(name)                       \
    {"<cpix:" name ">", "<cpix:Other>"},    \
    {                                       \
        "</cpix:" name ">", "</cpix:Other>" \
    }

void fixture_read_edited(struct fixture *x, const char *base, const struct edit edits[3]);
/* Checks each document of a table twice: as the exchange does, which stops at the first fault, and
 * going on after it, which must find the same one first. */
void fixture_refuse_all(struct fixture *x, const struct cpix_rules *rules, const char *base,
                        const struct bad *table, size_t count);
void fixture_accept_all(struct fixture *x, const struct cpix_rules *rules, const char *base,
                        const struct good *table, size_t count);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#endif
