/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/tenant_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/uuid.h"
#include "drm/drm.h"
#include "exchange/tenant.h"
#include "exchange/tenant_checks.h"

/* --- Words ---------------------------------------------------------------------------------- */

static const char BETWEEN[] = " ,\t\r\n";

size_t tenant_next_word(const char **p, const char **word)
{
    *p += strspn(*p, BETWEEN);
    *word = *p;
    const size_t n = strcspn(*p, BETWEEN);
    *p += n;
    return n;
}

/* The place of n characters among the words of a list, -1 when they are none. */
static int place_of(const char *list, const char *text, size_t n)
{
    const char *word;
    size_t length;
    for (int i = 0; (length = tenant_next_word(&list, &word)) > 0; i++) {
        if (length == n && memcmp(word, text, n) == 0)
            return i;
    }
    return -1;
}

static bool is_word_of(const char *list, const char *word)
{
    return place_of(list, word, strlen(word)) >= 0;
}

int tenant_system_parse(const char *text, size_t n, struct uuid *out)
{
    char copy[UUID_TEXT_SIZE];
    if (n >= sizeof copy)
        return -1;
    memcpy(copy, text, n);
    copy[n] = '\0';
    const struct drm_system *system = drm_find_by_name(copy);
    if (system == NULL)
        return uuid_parse(copy, out);
    *out = *drm_id(system);
    return 0;
}

/* --- Finding -------------------------------------------------------------------------------- */

/* The short name of a system, whatever the versions that know it. */
static const char *short_name(const struct uuid *id)
{
    for (size_t i = 0; i < DRM_SYSTEMS; i++) {
        if (uuid_equal(drm_id(drm_at(i)), id))
            return drm_name(drm_at(i));
    }
    return drm_name(drm_from_templates());
}

const struct tenant_option *tenant_option_find(const struct uuid *system, const char *name)
{
    size_t count;
    const struct tenant_option *table = tenant_options(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tenant_option *o = &table[i];
        if (strcmp(o->name, name) != 0)
            continue;
        if (system == NULL ? o->systems[0] == '\0' : is_word_of(o->systems, short_name(system)))
            return o;
    }
    return NULL;
}

/* --- Values --------------------------------------------------------------------------------- */

static int wrong(char *why, size_t size, const char *text)
{
    (void)snprintf(why, size, "%s", text);
    return -1;
}

/* Text that is to stand in XML and in playlists. Templates and XML may have several lines. */
static int check_text(const struct tenant_option *o, const char *value, char *why, size_t size)
{
    const size_t n = strlen(value);
    if (n > (size_t)o->most) {
        (void)snprintf(why, size, "longer than %ld bytes", o->most);
        return -1;
    }
    for (size_t i = 0; i < n;) {
        const size_t length = utf8_length(value + i, n - i);
        const bool line = o->most >= TENANT_LONG_TEXT && strchr("\t\r\n", value[i]) != NULL;
        if (length == 0 || (utf8_is_control(value + i, length) && !line)) {
            (void)snprintf(why, size, "byte %zu: %s", i + 1,
                           length == 0 ? "no UTF-8" : "a control character");
            return -1;
        }
        if (length == 3 && (memcmp(value + i, "\xef\xbf\xbe", 3) == 0 ||
                            memcmp(value + i, "\xef\xbf\xbf", 3) == 0)) {
            (void)snprintf(why, size, "byte %zu: a character that XML does not allow", i + 1);
            return -1;
        }
        i += length;
    }
    if (n == 0)
        return wrong(why, size, "empty; \"unset\" brings the default back");
    if (o->choices != NULL && !is_word_of(o->choices, value)) {
        (void)snprintf(why, size, "one of: %s", o->choices);
        return -1;
    }
    return o->check == NULL ? 0 : o->check(value, why, size);
}

static int read_number(const struct tenant_option *o, const char *value, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(value, &end, 10);
    return errno == 0 && end != value && *end == '\0' && *out >= o->least && *out <= o->most ? 0
                                                                                             : -1;
}

/* The bits of a list of words; -1 when one is not among the choices or there is none. */
static int read_words(const struct tenant_option *o, const char *value, unsigned *bits)
{
    const char *word;
    size_t n;
    *bits = 0;
    while ((n = tenant_next_word(&value, &word)) > 0) {
        const int place = place_of(o->choices, word, n);
        if (place < 0 || word[0] == '-')
            return -1;
        *bits |= 1U << place;
    }
    return *bits != 0 ? 0 : -1;
}

int tenant_option_check(const struct tenant_option *o, const char *value, char *why, size_t size)
{
    long number;
    unsigned bits;
    switch (o->type) {
    case TENANT_TEXT:
        return check_text(o, value, why, size);
    case TENANT_SWITCH:
        return is_word_of("on off", value) ? 0 : wrong(why, size, "on or off");
    case TENANT_NUMBER:
        if (read_number(o, value, &number) == 0)
            return 0;
        (void)snprintf(why, size, "a number from %ld to %ld", o->least, o->most);
        return -1;
    case TENANT_CHOICE:
        if (is_word_of(o->choices, value))
            return 0;
        (void)snprintf(why, size, "one of: %s", o->choices);
        return -1;
    case TENANT_WORDS:
        if (read_words(o, value, &bits) == 0)
            return 0;
        (void)snprintf(why, size, "one or more of: %s", o->choices + strspn(o->choices, "- "));
        return -1;
    }
    return wrong(why, size, "no such type");
}

void tenant_option_store(const struct tenant_option *o, const char *value, void *base)
{
    void *const member = (char *)base + o->offset;
    switch (o->type) {
    case TENANT_TEXT:
        *(const char **)member = value;
        break;
    case TENANT_SWITCH:
        *(bool *)member = strcmp(value, "on") == 0;
        break;
    case TENANT_NUMBER:
        (void)read_number(o, value, member); /* it passed the check */
        break;
    case TENANT_CHOICE:
        *(unsigned *)member = (unsigned)place_of(o->choices, value, strlen(value));
        break;
    case TENANT_WORDS:
        (void)read_words(o, value, member); /* likewise */
        break;
    }
}

/* --- Help ----------------------------------------------------------------------------------- */

static void print_kind(const struct tenant_option *o, FILE *out)
{
    switch (o->type) {
    case TENANT_SWITCH:
        (void)fprintf(out, "on or off");
        break;
    case TENANT_NUMBER:
        (void)fprintf(out, "%ld to %ld", o->least, o->most);
        break;
    case TENANT_WORDS:
        (void)fprintf(out, "one or more of %s", o->choices + strspn(o->choices, "- "));
        break;
    default:
        if (o->choices != NULL)
            (void)fprintf(out, "one of %s", o->choices);
        else
            (void)fprintf(out, "text of at most %ld bytes", o->most);
    }
}

void tenant_options_help(enum tenant_family family, FILE *out)
{
    size_t count;
    const struct tenant_option *table = tenant_options(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tenant_option *o = &table[i];
        if (o->family != family)
            continue;
        (void)fprintf(out, "  %s", o->name);
        if (family == TENANT_DRM)
            (void)fprintf(out, "  (%s)", o->systems[0] != '\0' ? o->systems : "all");
        (void)fprintf(out, "\n      %s\n      ", o->help);
        print_kind(o, out);
        (void)fprintf(out, "; default %s%s%s\n      example: %s\n",
                      o->initial == NULL ? "none" : "\"", o->initial == NULL ? "" : o->initial,
                      o->initial == NULL ? "" : "\"", o->example);
    }
}
