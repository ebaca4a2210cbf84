/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "keystore/store.h"

static int look(struct keystore *ks, struct failure *f)
{
    struct active_kek active;
    const struct kek *kek;
    if (store_open(ks, f) != 0 || store_state(ks, &active, f) != 0)
        return -1;
    if (active.version == 0)
        return fail_unavailable(f, "sealed", "the database names no active KEK");
    return store_kek(ks, active.version, active.check, &kek, f);
}

int keystore_health(struct keystore *ks, struct failure *f)
{
    if (look(ks, f) == 0)
        return 0;
    /* The word is the last one of "Service unavailable: sealed". What failed on this side alone,
     * for want of memory, keeps from reaching the database. */
    const char *last = f->status == 503 ? strrchr(f->text, ' ') : NULL;
    char word[16];
    (void)snprintf(word, sizeof word, "%s", last != NULL ? last + 1 : "database");
    f->status = 503;
    (void)snprintf(f->text, sizeof f->text, "%s", word);
    return -1;
}
