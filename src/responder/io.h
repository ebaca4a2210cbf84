/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RESPONDER_IO_H
#define RESPONDER_IO_H

#include <stddef.h>
#include <sys/uio.h>

/* A piece to write; writev() has no const for what it only reads. */
struct iovec io_piece(const void *bytes, size_t size);
/* Writes all bytes of count pieces to a descriptor, in as many calls as it takes; changes the
 * pieces. Returns 0, or -1 with errno, which is ETIMEDOUT when a timeout of the socket ran out. */
int io_write_all(int fd, struct iovec *pieces, int count);

#endif
