/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/printable.h"

enum { LINE_MAX_BYTES = 2048 };

static const struct {
    const char *name;
    int syslog_priority;
} LEVELS[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},      [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_NOTICE] = {"notice", LOG_NOTICE}, [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

static enum log_level threshold = LOG_LEVEL_NOTICE;
static bool to_syslog;

int log_open(const char *target, const char *level)
{
    const bool syslog_wanted = strcmp(target, "syslog") == 0;
    if (!syslog_wanted && strcmp(target, "stderr") != 0)
        return -1;
    for (size_t i = 0; i < sizeof LEVELS / sizeof LEVELS[0]; i++) {
        if (strcmp(level, LEVELS[i].name) != 0)
            continue;
        threshold = (enum log_level)i;
        to_syslog = syslog_wanted;
        if (to_syslog)
            openlog("speke", LOG_PID, LOG_DAEMON);
        return 0;
    }
    return -1;
}

bool log_enabled(enum log_level level)
{
    return level <= threshold;
}

void log_at(enum log_level level, const char *format, ...)
{
    char raw[LINE_MAX_BYTES];
    char line[LINE_MAX_BYTES + 64];
    if (!log_enabled(level))
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    if (n < 0)
        return;
    int head = to_syslog ? 0
                         : snprintf(line, sizeof line, "speke[%ld] %s: ", (long)getpid(),
                                    LEVELS[level].name);
    if (head < 0)
        return;
    size_t len = (size_t)head + printable(line + head, sizeof line - (size_t)head - 1, raw);
    if (to_syslog) {
        syslog(LEVELS[level].syslog_priority, "%s", line);
        return;
    }
    line[len++] = '\n';
    /* One write() keeps the lines of several workers apart; a log that cannot be written has
     * nobody left to be told. */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}
