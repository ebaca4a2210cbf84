/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/printable.h"
#include "base/settings.h"

enum { LINE_SIZE = 2048 };

/* Server messages and content ids end up here, so the line is made fit for a terminal. */
static void __attribute__((format(printf, 3, 0)))
print_line(FILE *out, const char *head, const char *format, va_list args)
{
    char raw[LINE_SIZE];
    char line[LINE_SIZE];
    if (vsnprintf(raw, sizeof raw, format, args) < 0)
        raw[0] = '\0';
    (void)printable(line, sizeof line, raw);
    /* main() asks stdout for errors at the end; stderr has nobody to complain to. */
    (void)fprintf(out, "%s%s\n", head, line);
}

int ctl_fail(enum ctl_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(stderr, "spekectl: ", format, args);
    va_end(args);
    return (int)code;
}

int ctl_fail_memory(void)
{
    return ctl_fail(CTL_FAILED, "out of memory");
}

void ctl_warn(const struct ctl *ctl, const char *format, ...)
{
    va_list args;
    if (ctl->quiet)
        return;
    va_start(args, format);
    print_line(stderr, "spekectl: note: ", format, args);
    va_end(args);
}

void ctl_say(const struct ctl *ctl, const char *format, ...)
{
    va_list args;
    if (ctl->quiet || ctl->json)
        return;
    va_start(args, format);
    print_line(stdout, "", format, args);
    va_end(args);
}

int ctl_settings(const struct ctl *ctl, struct settings *out)
{
    char why[512];
    const char *environment = getenv("SPEKE_CONFIG");
    const bool asked_for = ctl->config != NULL || (environment != NULL && environment[0] != '\0');
    const char *path = settings_path(ctl->config);
    if (!asked_for && access(path, F_OK) != 0) {
        settings_defaults(out);
        return CTL_DONE;
    }
    if (settings_read(out, path, why, sizeof why) != 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    return CTL_DONE;
}
