/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAPPED_BYTES = 12 }; /* before those of IPv4 */

static const unsigned char MAPPED[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

int address_parse(const char *text, unsigned char out[static ADDRESS_BYTES])
{
    if (text == NULL)
        return -1;
    if (inet_pton(AF_INET, text, out + MAPPED_BYTES) == 1) {
        memcpy(out, MAPPED, sizeof MAPPED);
        return 0;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

bool address_is_v4(const unsigned char address[static ADDRESS_BYTES])
{
    return memcmp(address, MAPPED, sizeof MAPPED) == 0;
}
