/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_vault.h"

#include <string.h>

#include "base/settings.h"
#include "ctl/ctl.h"
#include "ctl/kek.h"
#include "keystore/keyring.h"

int key_vault_begin(struct key_vault *v, const struct ctl *ctl)
{
    struct settings settings;
    *v = (struct key_vault){0};
    int code = ctl_settings(ctl, &settings);
    if (code != CTL_DONE)
        return code;
    v->sealer = sealer_new();
    v->ring = kek_open_ring(&settings, kek_path(&settings));
    if (v->sealer == NULL || v->ring == NULL)
        return ctl_fail_memory();
    return keyring_fault(v->ring)[0] == '\0' ? CTL_DONE
                                             : ctl_fail(CTL_FAILED, "%s", keyring_fault(v->ring));
}

void key_vault_end(struct key_vault *v)
{
    if (v->sealer != NULL)
        sealer_rest(v->sealer);
    sealer_free(v->sealer);
    keyring_free(v->ring);
    *v = (struct key_vault){0};
}

int key_vault_use(struct key_vault *v, int32_t version, const unsigned char *check)
{
    if (version == v->in_use && check == NULL)
        return CTL_DONE;
    const struct kek *kek = keyring_find(v->ring, version);
    v->in_use = 0;
    if (kek == NULL)
        return ctl_fail(CTL_FAILED, "KEK %d is not in the KEK file", version);
    if (check != NULL && memcmp(kek->check, check, sizeof kek->check) != 0)
        return ctl_fail(CTL_FAILED, "KEK %d in the KEK file is another key of that number",
                        version);
    if (sealer_use(v->sealer, kek->key) != 0)
        return ctl_fail(CTL_FAILED, "KEK %d could not be used", version);
    v->in_use = version;
    return CTL_DONE;
}

int key_vault_open(struct key_vault *v, const struct seal_row *row, const unsigned char *sealed,
                   unsigned char *key)
{
    char kid[UUID_TEXT_SIZE];
    int code = key_vault_use(v, (int32_t)row->kek_version, NULL);
    if (code != CTL_DONE || open_key(v->sealer, row, sealed, key) == 0)
        return code;
    uuid_format(&row->kid, kid);
    return ctl_fail(CTL_FAILED,
                    "key %s of content %s does not open: its row was altered, or KEK %u is a wrong "
                    "one",
                    kid, row->content_id, row->kek_version);
}
