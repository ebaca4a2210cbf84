/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/sealer.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/settings.h"
#include "keystore/keystore.h"
#include "responder/signals.h"

enum {
    SECURE_HEAP = 65536, /* the smallest; no key comes here */
    /* A call that sealed so many may have left some. */
    MANY = 1000
};

struct sealing {
    struct settings settings;
    const char *settings_path;
    struct keystore *keystore;
    struct signals signals;
    bool failing; /* which the log says already */
};

static void note_failure(struct sealing *s, const struct failure *f)
{
    if (!s->failing)
        log_warning("the audit is not being sealed: %s", f->cause);
    s->failing = true;
}

static void note_success(struct sealing *s)
{
    if (s->failing)
        log_notice("the audit is being sealed again");
    s->failing = false;
}

/* Waits for a signal. Returns whether to go on. */
static bool rest(struct sealing *s, int milliseconds)
{
    struct pollfd signal_fd = {.fd = s->signals.fd, .events = POLLIN};
    if (poll(&signal_fd, 1, milliseconds) > 0)
        signals_take(&s->signals);
    return !s->signals.stop;
}

/* Seals all there is. Between two calls signals are heeded. */
static void seal(struct sealing *s)
{
    struct failure f = {0};
    long rows;
    do {
        if (keystore_seal_audit(s->keystore, &rows, &f) != 0) {
            note_failure(s, &f);
            return;
        }
        note_success(s);
        if (rows > 0)
            log_debug("%ld audit rows sealed", rows);
    } while (rows >= MANY && rest(s, 0));
}

/* Returns 0, or -1 when memory ran out. */
static int reload(struct sealing *s)
{
    char why[512];
    struct settings fresh;
    s->signals.reload = false;
    if (settings_read(&fresh, s->settings_path, why, sizeof why) != 0)
        return 0; /* the workers say what is wrong with the file */
    s->settings = fresh;
    /* The names were checked when the settings were read. */
    (void)log_open(fresh.log, fresh.log_level);
    keystore_free(s->keystore);
    s->keystore = keystore_new(&s->settings);
    return s->keystore != NULL ? 0 : -1;
}

/* Returns the exit code. */
static int serve(struct sealing *s)
{
    while (s->settings.audit_seal_interval > 0) {
        seal(s);
        if (!rest(s, (int)(1000 * s->settings.audit_seal_interval)))
            return 0;
        if (s->signals.reload && reload(s) != 0)
            return 1;
    }
    return 0;
}

int sealer_run(const struct settings *settings, const char *settings_path)
{
    struct failure f = {0};
    struct sealing s = {.settings = *settings, .settings_path = settings_path};
    (void)prctl(PR_SET_NAME, "speke-sealer"); /* for those who list processes */
    if (signals_open(&s.signals) != 0) {
        log_error("signals: %s", strerror(errno));
        return 1;
    }
    int result = 1;
    if (secret_setup(SECURE_HEAP, &f) != 0) {
        log_error("the audit is not sealed: %s", f.cause);
    } else {
        s.keystore = keystore_new(&s.settings);
        if (s.keystore != NULL)
            result = serve(&s);
        if (s.keystore == NULL)
            log_error("out of memory");
    }
    keystore_free(s.keystore);
    (void)close(s.signals.fd); /* holds nothing */
    return result;
}
