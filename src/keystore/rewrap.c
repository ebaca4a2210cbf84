/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/rewrap.h"

#include <openssl/rand.h>

#include "base/secret.h"
#include "keystore/keyring.h"

/* Opens what is sealed under the KEK of row first, which has been chosen for the sealer. */
static void open_alike(struct sealer *s, struct rewrap_row *rows, size_t count, size_t first,
                       unsigned char *keys)
{
    for (size_t i = first; i < count; i++) {
        if (rows[i].row.kek_version == rows[first].row.kek_version)
            rows[i].done = open_key(s, &rows[i].row, rows[i].old, keys + i * SEAL_KEY_BYTES) == 0;
    }
}

static bool is_first_of_its_kek(const struct rewrap_row *rows, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (rows[before].row.kek_version == rows[i].row.kek_version)
            return false;
    }
    return true;
}

/* One change of the KEK for each KEK that there is among the rows. */
static void open_all(struct sealer *s, struct keyring *ring, struct rewrap_row *rows, size_t count,
                     unsigned char *keys)
{
    for (size_t i = 0; i < count; i++)
        rows[i].done = false;
    for (size_t i = 0; i < count; i++) {
        if (!is_first_of_its_kek(rows, i))
            continue;
        const struct kek *kek = keyring_find(ring, (int32_t)rows[i].row.kek_version);
        if (kek != NULL && sealer_use(s, kek->key) == 0)
            open_alike(s, rows, count, i, keys);
    }
}

static int seal_all(struct sealer *s, struct keyring *ring, int32_t to, struct rewrap_row *rows,
                    size_t count, const unsigned char *keys)
{
    unsigned char nonce[SEAL_NONCE_BYTES];
    const struct kek *kek = keyring_find(ring, to);
    if (kek == NULL || sealer_use(s, kek->key) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct seal_row row = rows[i].row;
        row.kek_version = (uint32_t)to;
        if (!rows[i].done)
            continue;
        if (RAND_bytes(nonce, sizeof nonce) != 1 ||
            seal_key(s, &row, nonce, keys + i * SEAL_KEY_BYTES, rows[i].fresh) != 0)
            return -1;
    }
    return 0;
}

int rewrap(struct sealer *s, struct keyring *ring, int32_t to, struct rewrap_row *rows,
           size_t count)
{
    if (count == 0 || count > REWRAP_ROWS_MAX)
        return count == 0 ? 0 : -1;
    const size_t size = count * SEAL_KEY_BYTES;
    unsigned char *keys = secret_alloc(size);
    if (keys == NULL)
        return -1;
    open_all(s, ring, rows, count, keys);
    const int result = seal_all(s, ring, to, rows, count, keys);
    sealer_rest(s);
    secret_free(keys, size);
    for (size_t i = 0; result != 0 && i < count; i++)
        rows[i].done = false;
    return result;
}
