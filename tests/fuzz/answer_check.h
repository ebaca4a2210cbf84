/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_ANSWER_CHECK_H
#define FUZZ_ANSWER_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct responder;

/* A responder on the key store in memory; one for the whole process. */
struct responder *fuzz_responder(void);

/* Whether head and body are one CGI answer: a status that is no fault of ours, header lines that
 * nobody forged, as many body bytes as announced (none to HEAD). */
void fuzz_check_answer(const void *head, size_t head_size, size_t body_size, bool is_head);

#endif
