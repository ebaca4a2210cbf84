/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

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

/* Length of a valid UTF-8 sequence above ASCII at s (RFC 3629), 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    /* U+0080 to U+009F are control characters too. */
    return n == 2 && s[0] == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

static size_t printable(char *out, size_t size, const char *text)
{
    static const char HEX[] = "0123456789abcdef";
    size_t len = 0;
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0' && len + 5 < size) {
        size_t n = *s >= 0x20 && *s < 0x7f ? 1 : *s >= 0x80 ? utf8_length(s) : 0;
        if (n > 0) {
            memcpy(out + len, s, n);
            len += n;
            s += n;
            continue;
        }
        out[len++] = '\\';
        out[len++] = 'x';
        out[len++] = HEX[*s >> 4];
        out[len++] = HEX[*s & 15];
        s++;
    }
    out[len] = '\0';
    return len;
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
