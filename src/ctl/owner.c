/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/owner.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

void owner_become(struct owner *o, uid_t user)
{
    o->switched = false;
    if (geteuid() != 0 || user == 0)
        return;
    const struct passwd *entry = getpwuid(user);
    o->group = getegid();
    o->group_count = getgroups(OWNER_GROUPS_MAX, o->groups);
    if (o->group_count < 0)
        return;
    o->switched = true;
    /* A number without a name has no groups here. The last step counts: it takes the rights away
     * that the others need. */
    const bool changed = (entry == NULL || (initgroups(entry->pw_name, entry->pw_gid) == 0 &&
                                            setegid(entry->pw_gid) == 0)) &&
                         seteuid(user) == 0;
    if (!changed && owner_return(o) == 0)
        o->switched = false;
}

int owner_return(const struct owner *o)
{
    if (!o->switched)
        return 0;
    return seteuid(0) == 0 && setegid(o->group) == 0 &&
                   setgroups((size_t)o->group_count, o->groups) == 0
               ? 0
               : -1;
}
