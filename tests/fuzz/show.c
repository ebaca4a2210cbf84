/* SPDX-License-Identifier: Apache-2.0 */
/* What spekectl makes of a document from anywhere: every fault told, all its values taken apart,
 * boxes and headers too. */
#include <string.h>

#include "base/arena.h"
#include "base/failure.h"
#include "cpix/cpix.h"
#include "ctl/describe.h"
#include "ctl/lint.h"
#include "exchange/tenant.h"
#include "fuzz.h"

enum { ARENA_MAX = 64 << 20, LARGEST = 1 << 16 };

static void check_faults(const json_t *faults)
{
    size_t i;
    const json_t *fault;
    json_array_foreach(faults, i, fault)
    {
        const char *text = json_string_value(json_object_get(fault, "text"));
        MUST(text != NULL && text[0] != '\0');
        MUST(json_integer_value(json_object_get(fault, "line")) >= 0);
    }
}

/* A tenant that refuses what can be refused. */
static const struct tenant_config *strict_tenant(void)
{
    static struct tenant_config config;
    static bool made;
    if (!made) {
        tenant_config_init(&config);
        config.max_keys = 1;
        config.refuse_all = config.refuse_audio_with_uhd = config.refuse_mixed_uhd = true;
        config.strict_cardinality = config.kid_override = true;
        config.delivery = TENANT_DELIVERY_REQUIRED;
        config.delivery_policy.check_validity = config.delivery_policy.registered_only = true;
        made = true;
    }
    return &config;
}

/* One without settings. */
static const struct tenant_config *usual_tenant(void)
{
    static struct tenant_config config;
    static bool made;
    if (!made)
        tenant_config_init(&config);
    made = true;
    return &config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    struct cpix_document doc = {0};
    struct failure f = {0};
    enum speke_version version;
    if (size > LARGEST)
        return 0;
    fuzz_setup();
    if (arena.max == 0)
        arena_init(&arena, ARENA_MAX);
    json_t *faults = lint_document(data, size, size % 2 == 0 ? usual_tenant() : strict_tenant(),
                                   NULL, &version);
    MUST(faults != NULL);
    check_faults(faults);
    if (cpix_read(data, size, &CPIX_DEFAULT_LIMITS, &arena, &doc, &f) == 0) {
        json_t *told = answer_describe(&doc, lint_guess_version(&doc), &arena, true, faults);
        MUST(told != NULL);
        char *text = json_dumps(told, JSON_COMPACT);
        MUST(text != NULL);
        free(text);
        json_decref(told);
    } else {
        MUST(json_array_size(faults) > 0);
        json_decref(faults);
    }
    arena_reset(&arena);
    return 0;
}
