/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long command is, on stderr: a bar that is drawn over on a terminal, else a plain line
 * every few seconds. Nothing with --quiet. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct ctl;

struct progress {
    const char *what; /* is done: "keys rewrapped" */
    long long total;  /* 0: not known */
    int64_t started, shown;
    bool quiet, terminal, drawn;
};

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, long long total);
/* Tells how much is done by now, unless that was told a moment ago. */
void progress_show(struct progress *p, long long done);
/* Tells it for the last time and ends the line. */
void progress_end(struct progress *p, long long done);

#endif
