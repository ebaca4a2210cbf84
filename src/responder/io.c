/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/io.h"

#include <errno.h>
#include <stdint.h>

struct iovec io_piece(const void *bytes, size_t size)
{
    /* struct iovec is for reading into as well, so it has no const.
     * NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
}

int io_write_all(int fd, struct iovec *pieces, int count)
{
    while (count > 0) {
        if (pieces->iov_len == 0) {
            pieces++;
            count--;
            continue;
        }
        ssize_t n = writev(fd, pieces, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno == EAGAIN)
                errno = ETIMEDOUT;
            return -1;
        }
        for (; count > 0 && (size_t)n >= pieces->iov_len; count--) {
            n -= (ssize_t)pieces->iov_len;
            pieces++;
        }
        if (count > 0) {
            pieces->iov_base = (unsigned char *)pieces->iov_base + n;
            pieces->iov_len -= (size_t)n;
        }
    }
    return 0;
}
