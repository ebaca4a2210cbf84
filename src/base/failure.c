/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_SECONDS = 2 };

void failure_clear(struct failure *f)
{
    f->status = 0;
    f->retry_after = 0;
    f->line = 0;
    f->text[0] = '\0';
    f->cause[0] = '\0';
}

bool failed(const struct failure *f)
{
    return f->status != 0;
}

/* A text that is cut is still a text: vsnprintf() ends it with a zero whatever it returns. */
static void __attribute__((format(printf, 3, 0)))
set_text(char *out, size_t size, const char *format, va_list args)
{
    if (vsnprintf(out, size, format, args) < 0)
        out[0] = '\0';
}

int fail(struct failure *f, int status, const char *format, ...)
{
    va_list args;
    failure_clear(f);
    f->status = status;
    va_start(args, format);
    set_text(f->text, sizeof f->text, format, args);
    va_end(args);
    return -1;
}

int fail_because(struct failure *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(f->cause, sizeof f->cause, format, args);
    va_end(args);
    return -1;
}

int fail_internal(struct failure *f, const char *format, ...)
{
    va_list args;
    (void)fail(f, 500, "Internal error");
    va_start(args, format);
    set_text(f->cause, sizeof f->cause, format, args);
    va_end(args);
    return -1;
}

int fail_memory(struct failure *f)
{
    return fail_internal(f, "out of memory");
}

int fail_unavailable(struct failure *f, const char *word, const char *format, ...)
{
    va_list args;
    (void)fail(f, 503, "Service unavailable: %s", word);
    f->retry_after = RETRY_SECONDS;
    va_start(args, format);
    set_text(f->cause, sizeof f->cause, format, args);
    va_end(args);
    return -1;
}
