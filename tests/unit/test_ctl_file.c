/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are replaced as a whole. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/file.h"

#include <cmocka.h>

static char directory[64], path[96], why[512];

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/speke-file.XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    why[0] = '\0';
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    char other[96];
    (void)snprintf(other, sizeof other, "%s/link", directory);
    (void)unlink(other);
    (void)unlink(path);
    return rmdir(directory); /* fails when a temporary file was left */
}

static void write_text(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void assert_contents(const char *expected, mode_t mode)
{
    struct stat st;
    struct buf text;
    buf_init(&text, 65536);
    assert_int_equal(file_slurp(path, &text, why, sizeof why), 0);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    buf_free(&text);
}

static void a_new_file_has_the_mode_asked_for(void **state)
{
    (void)state;
    (void)umask(077); /* must not matter */
    assert_int_equal(file_replace(path, "abc", 3, 0640, why, sizeof why), 0);
    assert_contents("abc", 0640);
}

static void a_file_keeps_its_mode_and_owner(void **state)
{
    (void)state;
    struct stat st;
    write_text("old", 0604);
    const bool root = geteuid() == 0;
    if (root)
        assert_int_equal(chown(path, 65534, 65533), 0);
    assert_int_equal(file_replace(path, "new!", 4, 0640, why, sizeof why), 0);
    assert_contents("new!", 0604);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, root ? 65534 : geteuid());
    assert_int_equal(st.st_gid, root ? 65533 : getegid());
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    char link_path[96];
    struct stat st;
    (void)snprintf(link_path, sizeof link_path, "%s/link", directory);
    write_text("old", 0600);
    assert_int_equal(symlink("file", link_path), 0);
    assert_int_equal(file_replace(link_path, "new", 3, 0640, why, sizeof why), 0);
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_contents("new", 0600);
}

static void the_old_contents_stay_until_the_commit(void **state)
{
    (void)state;
    struct file_update u;
    char old[8];
    write_text("old", 0600);
    assert_int_equal(file_update_begin(&u, path, 0640, why, sizeof why), 0);
    assert_int_equal(u.old_size, 3);
    assert_int_equal(file_update_read(&u, old, why, sizeof why), 0);
    assert_memory_equal(old, "old", 3);
    assert_int_equal(file_update_write(&u, "new", 3, why, sizeof why), 0);
    assert_contents("old", 0600);
    file_update_end(&u);
    assert_contents("old", 0600); /* and nothing is left beside it: remove_directory() */
}

static void a_directory_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(file_replace(directory, "x", 1, 0640, why, sizeof why), -1);
    assert_non_null(strstr(why, "not a regular file"));
}

static void a_missing_directory_is_named(void **state)
{
    (void)state;
    char missing[128];
    (void)snprintf(missing, sizeof missing, "%s/none/file", directory);
    assert_int_equal(file_replace(missing, "x", 1, 0640, why, sizeof why), -1);
    assert_non_null(strstr(why, "none/file"));
    assert_non_null(strstr(why, "No such file"));
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    (void)state;
    struct buf text;
    char big[40000];
    memset(big, 'x', sizeof big);
    assert_int_equal(file_replace(path, big, sizeof big, 0600, why, sizeof why), 0);
    buf_init(&text, 32768);
    assert_int_equal(file_slurp(path, &text, why, sizeof why), -1);
    assert_non_null(strstr(why, "larger"));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_file_has_the_mode_asked_for, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_file_keeps_its_mode_and_owner, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_link_stays_a_link, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(the_old_contents_stay_until_the_commit, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_directory_is_no_file, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_missing_directory_is_named, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_large_is_refused, make_directory,
                                        remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
