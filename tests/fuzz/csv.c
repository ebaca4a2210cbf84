/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values: every line is read or at fault, and what was read is the same when it is
 * written and read again. */
#include "ctl/csv.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "fuzz.h"

enum { OUTPUT_MAX = 1 << 22 };

/* Reads a file and appends what is good in it to out, but for records of one empty field, which
 * would be empty lines. */
static void read_all(const char *path, struct buf *out)
{
    struct csv csv;
    char why[128];
    bool fatal;
    int got;
    long line = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && csv_begin(&csv, fd) == 0);
    while ((got = csv_next(&csv, &fatal, why, sizeof why)) != 0) {
        MUST(!fatal && csv.line > line);
        line = csv.line;
        if (got < 0 || (csv.count == 1 && csv.fields[0][0] == '\0'))
            continue;
        MUST(csv.count >= 1 && csv.count <= CSV_FIELDS_MAX);
        for (size_t i = 0; i < csv.count; i++) {
            const size_t n = strlen(csv.fields[i]);
            MUST(n <= CSV_LINE_MAX && memchr(csv.fields[i], '\n', n) == NULL);
            MUST(utf8_valid_prefix(csv.fields[i], n) == n);
            if (i > 0)
                buf_putc(out, ',');
            csv_put(out, csv.fields[i]);
        }
        buf_putc(out, '\n');
    }
    csv_end(&csv);
    MUST(close(fd) == 0 && buf_ok(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, again;
    fuzz_setup();
    buf_init(&first, OUTPUT_MAX);
    buf_init(&again, OUTPUT_MAX);
    buf_puts(&first, "head\n"); /* so that nothing of the input can be a byte order mark there */
    read_all(fuzz_file(data, size), &first);
    read_all(fuzz_file(first.data, first.len), &again);
    MUST(first.len == again.len && memcmp(first.data, again.data, first.len) == 0);
    buf_free(&first);
    buf_free(&again);
    return 0;
}
