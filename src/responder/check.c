/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/settings.h"
#include "keystore/keyring.h"
#include "keystore/keystore.h"
#include "responder/responder.h"

/* Whether the KEK file can be used. */
static bool check_kek_file(const struct settings *settings)
{
    struct keyring *keyring = keyring_of(settings, NULL);
    if (keyring == NULL) {
        (void)printf("out of memory\n");
        return false;
    }
    (void)keyring_find(keyring, 1); /* has the file read, whatever versions it holds */
    const char *fault = keyring_fault(keyring);
    const bool usable = fault[0] == '\0';
    if (!usable)
        (void)printf("KEK file: %s\n", fault);
    keyring_free(keyring);
    return usable;
}

/* The store is sealed without a usable KEK file, which has had its line already. */
static bool check_store(struct keystore *store, bool has_kek_file)
{
    struct failure f = {0};
    if (keystore_health(store, &f) == 0)
        return true;
    if (has_kek_file || strcmp(f.text, "sealed") != 0)
        (void)printf("%s: %s\n", f.text, f.cause);
    return false;
}

static bool check_service(const struct settings *settings)
{
    struct responder r;
    struct failure f = {0};
    bool ready = false;
    if (responder_open(&r, settings, &f) != 0) {
        (void)printf("%s\n", f.cause);
    } else {
        const bool has_kek_file = check_kek_file(settings);
        ready = check_store(r.keystore, has_kek_file) && has_kek_file;
    }
    responder_close(&r);
    return ready;
}

int check_config(const char *settings_path)
{
    struct settings settings;
    char why[512];
    if (settings_read(&settings, settings_path, why, sizeof why) != 0) {
        (void)printf("%s\n", why);
        return 1;
    }
    if (!check_service(&settings))
        return 1;
    return printf("%s: ready\n", settings_path) < 0 ? 1 : 0;
}
