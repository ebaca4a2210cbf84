/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that a tenant gives to everybody. */
#ifndef PLAYER_FREE_H
#define PLAYER_FREE_H

#include <stdbool.h>

/* Whether the tenant's setting names the content, which is given by its segment in a path,
 * percent-decoded. The setting has patterns (exchange/pattern.h) separated by blanks. A segment
 * that is a digest is named by "*", by the content id and by itself. NULL: nothing is free. */
bool free_content(const char *setting, const char *segment);

#endif
