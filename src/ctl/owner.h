/* SPDX-License-Identifier: Apache-2.0 */
/* Root acting as the user that a file belongs to, for as long as it takes to look at it as the
 * service will. */
#ifndef CTL_OWNER_H
#define CTL_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

enum { OWNER_GROUPS_MAX = 256 };

struct owner {
    bool switched;
    gid_t group;
    int group_count;
    gid_t groups[OWNER_GROUPS_MAX];
};

/* Takes on the user, with the groups that it has on this machine. Does nothing when this is not
 * root, or the user is, or it cannot be done. */
void owner_become(struct owner *o, uid_t user);
/* Where the folder of a path is closed to the user, as one below /root is, lets it pass all the
 * same (CAP_DAC_READ_SEARCH): a service that was given a file there can pass, too. */
void owner_reach(const struct owner *o, const char *path);
/* Takes root's own back. Returns 0 or -1, after which nothing may be done any more. */
int owner_return(const struct owner *o);

#endif
