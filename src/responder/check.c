/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/check.h"

#include <stdio.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/settings.h"
#include "keystore/keystore.h"
#include "responder/responder.h"

static int check_service(const struct settings *settings)
{
    struct responder r;
    struct failure f = {0};
    int result = responder_open(&r, settings, &f);
    if (result == 0)
        result = keystore_health(r.keystore, &f);
    if (result != 0)
        (void)printf("%s: %s\n", f.text, f.cause);
    responder_close(&r);
    return result;
}

int check_config(const char *settings_path)
{
    struct settings settings;
    char why[512];
    if (settings_read(&settings, settings_path, why, sizeof why) != 0) {
        (void)printf("%s\n", why);
        return 1;
    }
    if (check_service(&settings) != 0)
        return 1;
    return printf("%s: ready\n", settings_path) < 0 ? 1 : 0;
}
