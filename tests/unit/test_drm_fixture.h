/* SPDX-License-Identifier: Apache-2.0 */
/* A computation of DRM values with all input set, and ways to look at what comes out. */
#ifndef TEST_DRM_FIXTURE_H
#define TEST_DRM_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/failure.h"
#include "drm/drm.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { FIELD_COUNT = 8, ALL_FIELDS = (1 << FIELD_COUNT) - 1, VALUE_SIZE = 32768 };

extern const unsigned char KEY[16], OTHER_KEY[16];

/* Each test changes what it is about. */
struct fixture {
    struct arena arena;
    struct drm_settings settings;
    struct drm_input in;
    struct drm_values values;
    struct failure f;
    unsigned char bytes[VALUE_SIZE]; /* of the value decoded last, with a zero after them */
    size_t n;
};

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int set_up(void **state);
int tear_down(void **state);

/* Computes into x->values; drm_signal()'s result. */
int run(struct fixture *x, const char *name, unsigned wanted);
/* The same, and a failure fails the test. */
void run_well(struct fixture *x, const char *name, unsigned wanted);
/* The value of the field with that bit number. */
const char *field(const struct drm_values *v, unsigned bit);
/* Decodes a value into x->bytes and returns it as text. */
const char *decode(struct fixture *x, const char *value);
/* Runs for one field and decodes it. */
const char *run_one(struct fixture *x, const char *name, enum drm_field wanted);
/* Whether the value decoded last holds those bytes. */
bool holds(const struct fixture *x, const void *part, size_t n);

#endif
