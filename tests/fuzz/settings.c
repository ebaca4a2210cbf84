/* SPDX-License-Identifier: Apache-2.0 */
/* The settings file: one that is accepted prints as one that says the same. */
#include "base/settings.h"

#include <string.h>

#include "fuzz.h"

static char *print(const struct settings *s, size_t *n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, n);
    MUST(out != NULL);
    settings_print(s, out);
    MUST(fclose(out) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings s, again;
    char why[512] = "";
    if (settings_read(&s, fuzz_file(data, size), why, sizeof why) != 0) {
        MUST(why[0] != '\0' && memchr(why, '\0', sizeof why) != NULL);
        return 0;
    }
    size_t n;
    /* What may hold a password is not printed. */
    (void)strcpy(s.database, "dbname=speke");
    char *text = print(&s, &n);
    MUST(settings_read(&again, fuzz_file(text, n), why, sizeof why) == 0);
    size_t m;
    char *second = print(&again, &m);
    MUST(n == m && memcmp(text, second, n) == 0);
    free(text);
    free(second);
    return 0;
}
