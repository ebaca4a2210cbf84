/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINDINGS_MAX = 10000, SENTENCE_SIZE = 512 };

/* A row's time is that of the beginning of its transaction, and the clocks of a seal and a row are
 * one: transactions are shorter than an hour, and clocks are set by less than a minute. */
static const int64_t ROW_TOLERANCE = INT64_C(3600) * 1000000;
static const int64_t SEAL_TOLERANCE = INT64_C(60) * 1000000;

void audit_check_init(struct audit_check *c)
{
    *c = (struct audit_check){.findings = json_array()};
    c->out_of_memory = c->findings == NULL;
}

void audit_check_free(struct audit_check *c)
{
    json_decref(c->findings);
    audit_seal_clear(&c->seal);
    free(c->places);
    free(c->states);
    *c = (struct audit_check){0};
}

void audit_find(struct audit_check *c, const char *word, int64_t event_id, int64_t seal_no,
                const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list args;
    c->finding_count++;
    if (json_array_size(c->findings) >= FINDINGS_MAX)
        return;
    va_start(args, format);
    if (vsnprintf(sentence, sizeof sentence, format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    json_t *finding = json_pack("{s:s, s:s}", "finding", word, "text", sentence);
    if (event_id != 0)
        c->out_of_memory |= json_object_set_new(finding, "event_id", json_integer(event_id)) != 0;
    if (seal_no != 0)
        c->out_of_memory |= json_object_set_new(finding, "seal_no", json_integer(seal_no)) != 0;
    c->out_of_memory |= json_array_append_new(c->findings, finding) != 0;
}

/* --- seals ---------------------------------------------------------------------------------- */

static bool is_zero(const unsigned char hash[static AUDIT_HASH])
{
    static const unsigned char ZERO[AUDIT_HASH];
    return memcmp(hash, ZERO, AUDIT_HASH) == 0;
}

/* Whether the seal follows the one before. */
static void check_chain(struct audit_check *c, const struct audit_seal *seal)
{
    const struct audit_seal *before = &c->seal;
    const int64_t expected = c->first_no != 0 ? before->seal_no + 1 : c->whole ? 1 : seal->seal_no;
    if (seal->seal_no < expected)
        audit_find(c, "seal reordered", 0, seal->seal_no,
                   "seal %" PRId64 " comes after seal %" PRId64, seal->seal_no, before->seal_no);
    else if (seal->seal_no > expected)
        audit_find(c, "seal removed", 0, expected,
                   "seals %" PRId64 " to %" PRId64 " are missing, and so it is not known what rows "
                   "they covered",
                   expected, seal->seal_no - 1);
    else if (seal->seal_no == 1
                 ? !is_zero(seal->previous)
                 : c->first_no != 0 && memcmp(seal->previous, before->hash, AUDIT_HASH) != 0)
        audit_find(c, "seal edited", 0, seal->seal_no,
                   "seal %" PRId64 " does not follow the one before: one of them was changed",
                   seal->seal_no);
    if (c->first_no != 0 && seal->sealed_at < before->sealed_at - SEAL_TOLERANCE)
        audit_find(c, "clock set back", 0, seal->seal_no,
                   "seal %" PRId64
                   " has an earlier time than the one before: the clock was set back",
                   seal->seal_no);
}

static void check_hashes(struct audit_check *c, const struct audit_seal *seal)
{
    unsigned char hash[AUDIT_HASH];
    if (seal->event_ids != NULL) {
        c->out_of_memory |= audit_root(seal, hash) != 0;
        if (memcmp(hash, seal->root, AUDIT_HASH) != 0)
            audit_find(c, "seal edited", 0, seal->seal_no,
                       "seal %" PRId64 " was changed: its list of rows is another", seal->seal_no);
    }
    c->out_of_memory |= audit_hash(seal, hash) != 0;
    if (memcmp(hash, seal->hash, AUDIT_HASH) != 0)
        audit_find(c, "seal edited", 0, seal->seal_no,
                   "seal %" PRId64 " was changed: its hash is that of another", seal->seal_no);
}

static void check_checkpoint(struct audit_check *c, const struct audit_seal *seal)
{
    if (c->checkpoint == NULL || seal->seal_no != c->checkpoint->seal_no)
        return;
    c->checkpoint_seen = true;
    if (memcmp(seal->hash, c->checkpoint->hash, AUDIT_HASH) != 0)
        audit_find(c, "checkpoint", 0, seal->seal_no,
                   "seal %" PRId64 " is not the one that the checkpoint is of: the audit was made "
                   "anew",
                   seal->seal_no);
}

static int by_event_id(const void *a, const void *b)
{
    const struct audit_place *x = a, *y = b;
    return (x->event_id > y->event_id) - (x->event_id < y->event_id);
}

static void index_rows(struct audit_check *c)
{
    const size_t count = (size_t)c->seal.row_count;
    c->last_index = -1;
    free(c->places);
    free(c->states);
    c->places = calloc(count, sizeof *c->places);
    c->states = calloc(count, 1);
    if (c->places == NULL || c->states == NULL) {
        c->out_of_memory = true;
        c->seal.row_count = 0;
        return;
    }
    for (size_t i = 0; i < count; i++)
        c->places[i] = (struct audit_place){c->seal.event_ids[i], (int32_t)i};
    qsort(c->places, count, sizeof *c->places, by_event_id);
}

void audit_check_seal(struct audit_check *c, struct audit_seal *seal)
{
    check_chain(c, seal);
    check_hashes(c, seal);
    check_checkpoint(c, seal);
    c->former_sealed_at = c->first_no != 0 ? c->seal.sealed_at : INT64_MIN;
    if (c->first_no == 0)
        c->first_no = seal->seal_no;
    audit_seal_clear(&c->seal);
    c->seal = *seal;
    *seal = (struct audit_seal){0};
    c->seals++;
    if (c->seal.event_ids != NULL)
        index_rows(c);
}

/* --- rows ----------------------------------------------------------------------------------- */

static struct audit_place *find(const struct audit_check *c, int64_t event_id)
{
    const struct audit_place key = {.event_id = event_id};
    return c->seal.event_ids == NULL
               ? NULL
               : bsearch(&key, c->places, (size_t)c->seal.row_count, sizeof key, by_event_id);
}

/* A row that was written long before its seal and after the seal before that: its time is made up.
 */
static void check_time(struct audit_check *c, int64_t event_id, int64_t at)
{
    char time[AUDIT_TIME_SIZE];
    audit_time(at, time);
    if (c->former_sealed_at != INT64_MIN && at < c->former_sealed_at - ROW_TOLERANCE)
        audit_find(c, "dated back", event_id, c->seal.seal_no,
                   "row %" PRId64 " of %s came after a seal of a later time: it was dated back, or "
                   "the clock was",
                   event_id, time);
    else if (at > c->seal.sealed_at + ROW_TOLERANCE)
        audit_find(c, "dated ahead", event_id, c->seal.seal_no,
                   "row %" PRId64 " of %s was sealed before that time: it was dated ahead, or the "
                   "clock was",
                   event_id, time);
}

void audit_check_row(struct audit_check *c, const struct audit_row *row)
{
    unsigned char leaf[AUDIT_HASH];
    char time[AUDIT_TIME_SIZE];
    const int64_t event_id = audit_int8(&row->fields[AUDIT_EVENT_ID]);
    const int64_t at = audit_int8(&row->fields[AUDIT_AT]);
    const struct audit_place *place = find(c, event_id);
    c->rows++;
    audit_time(at, time);
    if (place == NULL) {
        audit_find(c, "inserted", event_id, c->seal.seal_no,
                   "row %" PRId64 " of %s was inserted: seal %" PRId64 " does not cover it",
                   event_id, time, c->seal.seal_no);
        return;
    }
    c->out_of_memory |= audit_leaf(row, leaf) != 0;
    if (memcmp(leaf, c->seal.leaves + (size_t)AUDIT_HASH * (size_t)place->index, AUDIT_HASH) != 0)
        audit_find(c, "edited", event_id, c->seal.seal_no,
                   "row %" PRId64 " of %s was edited: it is not what seal %" PRId64 " covers",
                   event_id, time, c->seal.seal_no);
    else
        check_time(c, event_id, at);
    if (c->states[place->index] == AUDIT_SEEN)
        audit_find(c, "inserted", event_id, c->seal.seal_no, "row %" PRId64 " is there twice",
                   event_id);
    else if (c->in_order && place->index < c->last_index)
        audit_find(c, "reordered", event_id, c->seal.seal_no,
                   "row %" PRId64 " is not in its place in seal %" PRId64, event_id,
                   c->seal.seal_no);
    c->states[place->index] = AUDIT_SEEN;
    c->last_index = place->index > c->last_index ? place->index : c->last_index;
}

void audit_check_elsewhere(struct audit_check *c, int64_t event_id)
{
    const struct audit_place *place = find(c, event_id);
    if (place == NULL || c->states[place->index] != AUDIT_UNSEEN)
        return;
    c->states[place->index] = AUDIT_ELSEWHERE;
    c->elsewhere++;
}

void audit_check_rows_end(struct audit_check *c)
{
    if (c->seal.event_ids == NULL)
        return;
    for (int32_t i = 0, next; i < c->seal.row_count; i = next) {
        next = i + 1;
        if (c->states[c->places[i].index] != AUDIT_UNSEEN)
            continue;
        while (next < c->seal.row_count && c->states[c->places[next].index] == AUDIT_UNSEEN)
            next++;
        if (next == i + 1)
            audit_find(c, "removed", c->places[i].event_id, c->seal.seal_no,
                       "row %" PRId64 " was removed: seal %" PRId64 " covers it",
                       c->places[i].event_id, c->seal.seal_no);
        else
            audit_find(c, "removed", c->places[i].event_id, c->seal.seal_no,
                       "rows %" PRId64 " to %" PRId64 " were removed, %" PRId32
                       " of them: seal %" PRId64 " covers them",
                       c->places[i].event_id, c->places[next - 1].event_id, next - i,
                       c->seal.seal_no);
    }
}

void audit_check_end(struct audit_check *c)
{
    const struct audit_checkpoint *p = c->checkpoint;
    if (p == NULL || c->checkpoint_seen)
        return;
    if (c->first_no == 0 || c->seal.seal_no < p->seal_no)
        audit_find(c, "checkpoint", 0, p->seal_no,
                   "the checkpoint is of seal %" PRId64 ", but the seals end with number %" PRId64
                   ": seals were cut off, and it is not known what rows with them",
                   p->seal_no, c->seal.seal_no);
    else
        audit_find(c, "checkpoint", 0, p->seal_no, "the checkpoint's seal %" PRId64 " is not there",
                   p->seal_no);
}
