/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/owner.h"

#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/syscall.h>
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

void owner_reach(const struct owner *o, const char *path)
{
    char folder[PATH_MAX];
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    const int n = snprintf(folder, sizeof folder, "%s", path);
    if (!o->switched || n < 0 || (size_t)n >= sizeof folder ||
        euidaccess(dirname(folder), X_OK) == 0 || syscall(SYS_capget, &head, data) != 0)
        return;
    data[CAP_TO_INDEX(CAP_DAC_READ_SEARCH)].effective |= CAP_TO_MASK(CAP_DAC_READ_SEARCH);
    /* Without it the file is not readable, and that is said. */
    (void)syscall(SYS_capset, &head, data);
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
