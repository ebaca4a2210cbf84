/* SPDX-License-Identifier: Apache-2.0 */
/* spekectl lint: runs the checks of the service on a document and tells all that they find. */
#include "ctl/lint.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/failure.h"
#include "base/printable.h"
#include "cpix/delivery.h"
#include "ctl/commands.h"
#include "ctl/file.h"
#include "ctl/output.h"
#include "ctl/request.h"
#include "ctl/tenant_load.h"
#include "exchange/override.h"
#include "exchange/policy.h"
#include "exchange/tenant.h"

enum { ARENA_MAX = 128 * 1024 * 1024, DOCUMENT_MAX = 16 * 1024 * 1024, TEXT_MAX = 4096 };

/* Faults as they come; failed is set when one could not be kept. */
struct findings {
    json_t *faults;
    bool failed;
};

static void add(struct findings *found, int line, const char *place, const char *rule,
                const char *text)
{
    char shown[TEXT_MAX];
    (void)printable(shown, sizeof shown, place); /* a name of the document may be part of it */
    if (json_array_append_new(found->faults,
                              json_pack("{s:i, s:s, s:s, s:s}", "line", line, "place", shown,
                                        "rule", rule, "text", text)) != 0)
        found->failed = true;
}

/* A refusal whose cause is its place and its line. */
static void add_place(struct findings *found, const struct failure *f, const char *rule)
{
    char place[sizeof f->cause];
    char line[32];
    (void)snprintf(place, sizeof place, "%s", f->cause);
    (void)snprintf(line, sizeof line, "line %d", f->line);
    char *end = strstr(place, line);
    if (end != NULL)
        *end = '\0';
    const size_t n = strlen(place);
    if (n > 2 && strcmp(place + n - 2, ", ") == 0)
        place[n - 2] = '\0';
    add(found, f->line, place, rule, f->text);
}

static bool take_fault(void *context, const struct cpix_fault *fault)
{
    add(context, fault->line, fault->place, fault->rule, fault->text);
    return true;
}

/* Judges one recipient. Returns whether it may receive. */
static bool check_recipient(struct findings *found, const struct cpix_document *doc, size_t i,
                            const struct delivery_policy *policy, struct arena *arena)
{
    struct cpix_document one = *doc;
    const struct certificate **recipients;
    struct failure f = {0};
    char place[80];
    one.deliveries = &doc->deliveries[i];
    one.delivery_count = 1;
    if (delivery_accept(&one, policy, arena, &recipients, &f) == 0)
        return true;
    if (f.status != 422) {
        found->failed = true;
        return false;
    }
    (void)snprintf(place, sizeof place, "DeliveryDataList/DeliveryData[%zu]", i + 1);
    add(found, doc->deliveries[i].line, place, "R63", f.text);
    return false;
}

/* Recipients one by one and each demand alone, since the service stops at the first that is not
 * met. A certificate that is none meets no demand, which is told once. */
static void check_recipients(struct findings *found, const struct cpix_document *doc,
                             const struct delivery_policy *policy, struct arena *arena)
{
    const struct delivery_policy any = {.min_rsa_bits = 0};
    struct delivery_policy large = any, dated = any, registered = *policy;
    large.min_rsa_bits = policy->min_rsa_bits;
    dated.check_validity = policy->check_validity;
    registered.min_rsa_bits = 0;
    registered.check_validity = false;
    for (size_t i = 0; i < doc->delivery_count && !found->failed; i++) {
        if (!check_recipient(found, doc, i, &any, arena))
            continue;
        (void)check_recipient(found, doc, i, &large, arena); /* each has been told */
        (void)check_recipient(found, doc, i, &dated, arena);
        (void)check_recipient(found, doc, i, &registered, arena);
    }
}

/* What the client's tenant refuses besides. New KIDs are computed last, as the service does, and
 * only for documents without another fault. */
static void check_policy(struct findings *found, struct cpix_document *doc,
                         const struct tenant_config *config, enum speke_version version,
                         struct arena *arena)
{
    struct failure f = {0};
    (void)policy_check(config, doc, version, take_fault, found); /* it has told them */
    if (!config->kid_override || json_array_size(found->faults) > 0 || found->failed ||
        override_kids(doc, arena, &f) == 0)
        return;
    if (f.status == 422)
        add_place(found, &f, "R71");
    else
        found->failed = true;
}

enum speke_version lint_guess_version(const struct cpix_document *doc)
{
    if (doc->version_text == NULL)
        return doc->id != NULL ? SPEKE_V1 : SPEKE_V2_0;
    return strcmp(doc->version_text, "2.4") == 0 ? SPEKE_V2_1 : SPEKE_V2_0;
}

static void check_version(struct findings *found, const struct tenant_config *config,
                          enum speke_version version)
{
    struct failure f = {0};
    if (policy_version(config, version, &f) != 0)
        add(found, 0, "X-Speke-Version (versions)", "E7", f.text);
}

static void check(struct findings *found, const void *bytes, size_t n,
                  const struct tenant_config *config, const enum speke_version *version,
                  struct arena *arena, enum speke_version *used)
{
    struct cpix_document doc;
    struct failure f = {0};
    const int result = cpix_read(bytes, n, &CPIX_DEFAULT_LIMITS, arena, &doc, &f);
    *used = version != NULL ? *version : lint_guess_version(&doc);
    check_version(found, config, *used);
    if (result != 0) {
        /* What the reader refuses it refuses whole: there is no more than this one fault. 400 is
         * for what is no CPIX document, all else passes a limit of the program. */
        found->failed = f.status == 500;
        add_place(found, &f, f.status == 400 ? "R8" : "limit");
        return;
    }
    const struct cpix_rules rules = tenant_rules(config, *used);
    if (cpix_check(&doc, &rules, arena, take_fault, found) < 0)
        found->failed = true;
    check_recipients(found, &doc, &config->delivery_policy, arena);
    check_policy(found, &doc, config, *used, arena);
}

json_t *lint_document(const void *bytes, size_t n, const struct tenant_config *config,
                      const enum speke_version *version, enum speke_version *used)
{
    struct findings found = {.faults = json_array()};
    struct arena arena;
    if (found.faults == NULL)
        return NULL;
    arena_init(&arena, ARENA_MAX);
    check(&found, bytes, n, config, version, &arena, used);
    arena_free(&arena);
    if (!found.failed)
        return found.faults;
    json_decref(found.faults);
    return NULL;
}

/* --- The command ------------------------------------------------------------------------------ */

/* One line a fault, in the form that editors know from compilers. */
static int print_faults(const char *name, const json_t *faults)
{
    size_t i;
    json_t *fault;
    json_array_foreach(faults, i, fault)
    {
        if (printf("%s:%" JSON_INTEGER_FORMAT ": %s%s%s [%s]\n", name,
                   json_integer_value(json_object_get(fault, "line")),
                   json_string_value(json_object_get(fault, "place")),
                   json_string_length(json_object_get(fault, "place")) > 0 ? ": " : "",
                   json_string_value(json_object_get(fault, "text")),
                   json_string_value(json_object_get(fault, "rule"))) < 0)
            return CTL_FAILED; /* main() says why */
    }
    return json_array_size(faults) > 0 ? CTL_FAILED : CTL_DONE;
}

static int tell(const struct ctl *ctl, const char *name, enum speke_version used, bool guessed,
                json_t *faults)
{
    const size_t count = json_array_size(faults);
    if (ctl->json) {
        const int code = output_object(ctl, NULL, 0,
                                       json_pack("{s:s, s:s, s:b, s:O}", "file", name,
                                                 "speke_version", speke_version_name(used),
                                                 "guessed", guessed, "faults", faults));
        return code == CTL_DONE && count > 0 ? CTL_FAILED : code;
    }
    const int code = print_faults(name, faults);
    ctl_say(ctl, "%s: SPEKE %s%s, %zu fault%s", name, speke_version_name(used),
            guessed ? " (guessed)" : "", count, count == 1 ? "" : "s");
    return code;
}

static int lint_file(struct ctl *ctl, const char *name, const struct tenant_config *config,
                     const enum speke_version *version)
{
    enum speke_version used;
    struct buf body;
    char why[512];
    buf_init(&body, DOCUMENT_MAX);
    if (file_slurp_named(name, &body, why, sizeof why) != 0) {
        buf_free(&body);
        return ctl_fail(CTL_FAILED, "%s", why);
    }
    json_t *faults = lint_document(body.len > 0 ? (const void *)body.data : "", body.len, config,
                                   version, &used);
    buf_free(&body);
    if (faults == NULL)
        return ctl_fail_memory();
    const int code = tell(ctl, name, used, version == NULL, faults);
    json_decref(faults);
    return code;
}

static int run_lint(struct ctl *ctl, const struct ctl_arguments *args)
{
    const char *version = option_value(args, "speke"), *tenant = option_value(args, "tenant");
    enum speke_version given;
    struct tenant_config config;
    int code = CTL_DONE;
    if (version != NULL && speke_version_parse(version, &given) != 0)
        return ctl_fail(CTL_USAGE, "--speke: one of 1.0, 2.0, 2.1");
    cpix_setup();
    if (tenant != NULL)
        code = tenant_load(ctl, tenant, &config);
    else
        tenant_config_init(&config);
    if (code == CTL_DONE)
        code = lint_file(ctl, args->words[0], &config, version != NULL ? &given : NULL);
    tenant_config_free(&config);
    return code;
}

static const struct ctl_option OPTION_ROWS[] = {
    {"speke", '\0', "VERSION", "1.0, 2.0 or 2.1; guessed from the root unless given"},
    {"tenant", '\0', "NAME", "by the settings of this tenant, which are in the database"},
};

const struct ctl_command lint_command = {
    .name = "lint",
    .words = "FILE",
    .summary = "Tell every fault that a key provider would find in a request.",
    .notes = "\"-\" is standard input. A line for each fault: file, line, place, what the client\n"
             "would get, and the number of the rule. Exits with 1 when there is one.",
    .options = CTL_OPTIONS(OPTION_ROWS),
    .least_words = 1,
    .most_words = 1,
    .run = run_lint,
};
