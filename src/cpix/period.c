/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of ContentKeyPeriod. Its texts go back as they came; they are read here alone, to
 * refuse a period that cannot be one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/trim.h"
#include "cpix/check.h"

enum { NANOS_DIGITS = 9, DAY = 24 * 3600 };

/* A point in time, or a length of time. Of two that are not of one kind neither is the later. */
struct moment {
    int64_t seconds;
    int64_t nanos;
    int kind; /* of a date: whether it has a time zone; of a length: whether it counts months */
};

/* --- Reading -------------------------------------------------------------------------------- */

/* Takes at least "least" and at most "most" digits. */
static bool take_digits(struct span *s, size_t least, size_t most, int64_t *out)
{
    size_t n = 0;
    *out = 0;
    while (n < s->n && n < most && s->text[n] >= '0' && s->text[n] <= '9')
        *out = *out * 10 + (s->text[n++] - '0');
    s->text += n;
    s->n -= n;
    return n >= least;
}

static bool take(struct span *s, char c)
{
    if (s->n == 0 || s->text[0] != c)
        return false;
    s->text++;
    s->n--;
    return true;
}

/* A fraction of a second; digits beyond the nanoseconds are passed over. */
static bool take_fraction(struct span *s, int64_t *nanos)
{
    size_t n = 0;
    *nanos = 0;
    for (; n < s->n && s->text[n] >= '0' && s->text[n] <= '9'; n++) {
        if (n < NANOS_DIGITS)
            *nanos = *nanos * 10 + (s->text[n] - '0');
    }
    for (size_t i = n; i < NANOS_DIGITS; i++)
        *nanos *= 10;
    s->text += n;
    s->n -= n;
    return n > 0;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar from year 0 on: years are counted from
 * March, so that the leap day is a year's last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month > 2 ? year : year - 1;
    const int64_t since_march = (month + 9) % 12;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * since_march + 2) / 5 + day - 1 - 719468;
}

static bool take_zone(struct span *s, struct moment *m)
{
    int64_t hours, minutes;
    if (s->n == 0 || take(s, 'Z')) {
        m->kind = 1;
        return s->n == 0;
    }
    const bool east = s->text[0] == '+';
    if ((!east && s->text[0] != '-') || !take(s, s->text[0]) || !take_digits(s, 2, 2, &hours) ||
        !take(s, ':') || !take_digits(s, 2, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    m->seconds += (east ? -1 : 1) * (hours * 3600 + minutes * 60);
    m->kind = 1;
    return s->n == 0;
}

/* xs:dateTime (XML Schema part 2, 3.2.7), of years without a sign. */
static bool read_date(struct span s, struct moment *m)
{
    int64_t year, month, day, hour, minute, second;
    *m = (struct moment){0};
    if (!take_digits(&s, 4, 9, &year) || !take(&s, '-') || !take_digits(&s, 2, 2, &month) ||
        !take(&s, '-') || !take_digits(&s, 2, 2, &day) || !take(&s, 'T') ||
        !take_digits(&s, 2, 2, &hour) || !take(&s, ':') || !take_digits(&s, 2, 2, &minute) ||
        !take(&s, ':') || !take_digits(&s, 2, 2, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 59)
        return false;
    if (take(&s, '.') && !take_fraction(&s, &m->nanos))
        return false;
    m->seconds = days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    return s.n == 0 || take_zone(&s, m);
}

/* The next part of a duration: a number and its unit, the first of those left in *units. */
static bool take_part(struct span *s, const char **units, struct moment *m, char *unit)
{
    int64_t n;
    if (!take_digits(s, 1, NANOS_DIGITS, &n))
        return false;
    const bool fraction = take(s, '.');
    if (fraction && !take_fraction(s, &m->nanos))
        return false;
    const char *found = s->n == 0 ? NULL : strchr(*units, s->text[0]);
    if (found == NULL || *found == '\0' || (fraction && *found != 'S'))
        return false;
    *unit = *found;
    *units = found + 1;
    (void)take(s, *found); /* it is there */
    m->seconds += n * (*unit == 'D' ? DAY : *unit == 'H' ? 3600 : *unit == 'M' ? 60 : 1);
    return true;
}

/* xs:duration (XML Schema part 2, 3.2.6) without a sign. How long a year or a month is depends on
 * when, so lengths that have any are not compared. */
static bool read_duration(struct span s, struct moment *m)
{
    const char *date_units = "YMD", *time_units = "HMS";
    bool any = false;
    char unit;
    *m = (struct moment){0};
    if (!take(&s, 'P'))
        return false;
    for (; s.n > 0 && s.text[0] != 'T'; any = true) {
        if (!take_part(&s, &date_units, m, &unit))
            return false;
        m->kind |= unit == 'D' ? 0 : 1;
    }
    if (s.n == 0)
        return any;
    (void)take(&s, 'T'); /* it is there */
    do {
        if (!take_part(&s, &time_units, m, &unit))
            return false;
    } while (s.n > 0);
    return true;
}

/* --- Judging -------------------------------------------------------------------------------- */

/* The two ends of a period, in one of the two ways that they are given in. */
struct ends {
    const char *from, *to;           /* texts, NULL or blank for none */
    const char *from_name, *to_name; /* of the attributes */
    const char *type;
    bool (*read)(struct span s, struct moment *m);
    bool comparable_kind[2]; /* which kinds can be compared with their like */
};

static bool fault_by_rule(struct checks *c, const char *rule, size_t i, const char *name,
                          const char *what)
{
    char text[96];
    (void)snprintf(text, sizeof text, "ContentKeyPeriod@%s %s", name, what);
    return check_fault(c, rule, c->doc->periods[i].line, text,
                       "ContentKeyPeriodList/ContentKeyPeriod[%zu]@%s", i + 1, name);
}

static bool period_fault(struct checks *c, size_t i, const char *name, const char *what)
{
    return fault_by_rule(c, "S5", i, name, what);
}

static bool check_ends(struct checks *c, size_t i, const struct ends *e)
{
    struct moment from, to;
    const struct span from_text = trim(e->from), to_text = trim(e->to);
    const bool has_from = from_text.n > 0, has_to = to_text.n > 0;
    const bool good_from = has_from && e->read(from_text, &from);
    const bool good_to = has_to && e->read(to_text, &to);
    if (has_from && !good_from && !period_fault(c, i, e->from_name, e->type))
        return false;
    if (has_to && !good_to && !period_fault(c, i, e->to_name, e->type))
        return false;
    if (!good_from || !good_to || from.kind != to.kind || !e->comparable_kind[from.kind])
        return true;
    const bool later = to.seconds > from.seconds ||
                       (to.seconds == from.seconds && to.nanos > from.nanos);
    return later || period_fault(c, i, e->to_name, "is not after the period's beginning");
}

static bool check_times(struct checks *c, size_t i)
{
    const struct cpix_period *p = &c->doc->periods[i];
    const struct ends dates = {p->start,  p->end,      "start", "end", "is no xs:dateTime",
                               read_date, {true, true}};
    const struct ends lengths = {p->start_offset,     p->end_offset, "startOffset", "endOffset",
                                 "is no xs:duration", read_duration, {true, false}};
    return check_ends(c, i, &dates) && check_ends(c, i, &lengths);
}

/* xs:integer (XML Schema part 2, 3.3.13). The number goes back as it came and may be of any size.
 */
static bool is_integer(struct span s)
{
    size_t n = s.n > 0 && (s.text[0] == '+' || s.text[0] == '-') ? 1 : 0;
    const size_t sign = n;
    while (n < s.n && s.text[n] >= '0' && s.text[n] <= '9')
        n++;
    return n > sign && n == s.n;
}

static bool check_index(struct checks *c, size_t i)
{
    const struct span index = trim(c->doc->periods[i].index);
    return index.n == 0 || is_integer(index) ||
           fault_by_rule(c, "S3.2", i, "index", "is no xs:integer");
}

/* MediaPackage sends periods without @index in SPEKE v2.1 when they have their times instead. */
static bool is_placed(const struct cpix_period *p, enum speke_version version)
{
    if (trim(p->index).n > 0)
        return true;
    return version == SPEKE_V2_1 && ((trim(p->start).n > 0 && trim(p->end).n > 0) ||
                                     (trim(p->start_offset).n > 0 && trim(p->end_offset).n > 0));
}

/* A period's name and its place among the periods. */
struct period_name {
    struct span id;
    size_t place;
};

static int compare_names(const void *a, const void *b)
{
    const struct period_name *x = a, *y = b;
    const int order = span_compare(x->id, y->id);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* A filter names a period by its id, so no two may have the same. */
static bool check_ids_differ(struct checks *c)
{
    const size_t count = c->doc->period_count;
    struct period_name *names = check_array(c, count, sizeof *names);
    if (names == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        names[i] = (struct period_name){.id = trim(c->doc->periods[i].id), .place = i};
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (names[i].id.n > 0 && span_compare(names[i].id, names[i - 1].id) == 0 &&
            !period_fault(c, names[i].place, "id", "is given twice"))
            return false;
    }
    return true;
}

bool check_periods(struct checks *c)
{
    static const char PLACE[] = "ContentKeyPeriodList/ContentKeyPeriod[%zu]@%s";
    const enum speke_version version = c->rules->version;
    for (size_t i = 0; i < c->doc->period_count; i++) {
        const struct cpix_period *p = &c->doc->periods[i];
        if (trim(p->id).n == 0 &&
            !check_fault(c, "S3.2", p->line, "Missing ContentKeyPeriod@id", PLACE, i + 1, "id"))
            return false;
        if (!is_placed(p, version) &&
            !check_fault(c, "R53", p->line, "Missing ContentKeyPeriod@index", PLACE, i + 1,
                         "index"))
            return false;
        if (!check_index(c, i))
            return false;
        /* Earlier versions have no times. */
        if (version == SPEKE_V2_1 && !check_times(c, i))
            return false;
    }
    return check_ids_differ(c);
}
