/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "keystore/seal.h"

#include <cmocka.h>

enum { PROCESSES_MAX = 64 };

const char KEK_1[] = "1 QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n";
const char KEK_2[] = "2 QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n";

static struct {
    char directory[64];
    char cluster[96];
    char kek[96];
    pid_t holder;
    FILE *to, *from;
    PGresult *last;
    pid_t frozen[PROCESSES_MAX];
    size_t frozen_count;
} fixture;

static int spawn_holder(void)
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0)
        return -1;
    fixture.holder = fork();
    if (fixture.holder == 0) {
        if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0)
            _exit(1);
        (void)close(to[0]);
        (void)close(to[1]);
        (void)close(from[0]);
        (void)close(from[1]);
        execl(TEST_SOURCE_DIR "/tests/lib/pg-hold", "pg-hold", fixture.cluster, (char *)NULL);
        _exit(1);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    fixture.to = fdopen(to[1], "w");
    fixture.from = fdopen(from[0], "r");
    return fixture.holder > 0 && fixture.to != NULL && fixture.from != NULL ? 0 : -1;
}

static bool holder_says(const char *word)
{
    char line[32];
    return fgets(line, sizeof line, fixture.from) != NULL && strncmp(line, word, strlen(word)) == 0;
}

int fixture_start(void)
{
    struct failure f;
    (void)signal(SIGPIPE, SIG_IGN); /* for the pipe to the holder */
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/speke-ks.XXXXXX");
    if (secret_setup(262144, &f) != 0 || mkdtemp(fixture.directory) == NULL ||
        chmod(fixture.directory, 0755) != 0)
        return 1;
    (void)snprintf(fixture.cluster, sizeof fixture.cluster, "%s/pg", fixture.directory);
    (void)snprintf(fixture.kek, sizeof fixture.kek, "%s/kek", fixture.directory);
    if (spawn_holder() != 0)
        return 1;
    if (!holder_says("ready")) {
        int status = 0;
        (void)waitpid(fixture.holder, &status, 0);
        (void)rmdir(fixture.directory);
        return WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED ? SKIPPED : 1;
    }
    admin("SELECT speke.tenant_add('red'), speke.tenant_add('blue')");
    admin("SELECT speke.client_add('red', 'red-1'), speke.client_add('red', 'red-2'), "
          "speke.client_add('blue', 'blue-1')");
    register_kek(1);
    fixture_write_keks(KEK_1);
    return 0;
}

void fixture_stop(void)
{
    int status;
    PQclear(fixture.last);
    fixture.last = NULL;
    (void)fclose(fixture.to);
    (void)waitpid(fixture.holder, &status, 0);
    (void)fclose(fixture.from);
    (void)unlink(fixture.kek);
    (void)rmdir(fixture.directory);
}

void fixture_server(const char *word)
{
    assert_true(fprintf(fixture.to, "%s\n", word) > 0);
    assert_int_equal(fflush(fixture.to), 0);
    if (!holder_says("done"))
        fail_msg("the server did not %s", word);
}

/* The postmaster's first child processes and itself, so that nobody is left to start others. */
void fixture_freeze(void)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/data/postmaster.pid", fixture.cluster);
    FILE *in = fopen(path, "r");
    long pid;
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%ld", &pid), 1);
    (void)fclose(in);
    fixture.frozen[0] = (pid_t)pid;
    fixture.frozen_count = 1;
    assert_int_equal(kill((pid_t)pid, SIGSTOP), 0);
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", pid, pid);
    in = fopen(path, "r");
    assert_non_null(in);
    while (fixture.frozen_count < PROCESSES_MAX && fscanf(in, "%ld", &pid) == 1) {
        fixture.frozen[fixture.frozen_count++] = (pid_t)pid;
        assert_int_equal(kill((pid_t)pid, SIGSTOP), 0);
    }
    (void)fclose(in);
}

void fixture_thaw(void)
{
    while (fixture.frozen_count > 0)
        (void)kill(fixture.frozen[--fixture.frozen_count], SIGCONT);
}

struct settings fixture_settings(void)
{
    struct settings s;
    settings_defaults(&s);
    (void)snprintf(s.database, sizeof s.database, "host=%s dbname=speke user=t_service",
                   fixture.cluster);
    (void)snprintf(s.kek_file, sizeof s.kek_file, "%s", fixture.kek);
    return s;
}

const char *fixture_kek_path(void)
{
    return fixture.kek;
}

void fixture_write_keks(const char *text)
{
    (void)unlink(fixture.kek);
    FILE *out = fopen(fixture.kek, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(fixture.kek, 0400), 0);
}

/* --- the database, as superuser ------------------------------------------------------------- */

PGconn *admin_connect(void)
{
    char conninfo[160];
    (void)snprintf(conninfo, sizeof conninfo, "host=%s dbname=speke user=postgres",
                   fixture.cluster);
    PGconn *pg = PQconnectdb(conninfo);
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    return pg;
}

/* A connection for each statement: the tests stop and restart the server. */
static void run(const char *sql)
{
    PGconn *pg = admin_connect();
    PQclear(fixture.last);
    fixture.last = PQexec(pg, sql);
    const ExecStatusType status = PQresultStatus(fixture.last);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    PQfinish(pg);
}

void admin(const char *format, ...)
{
    char sql[2048];
    va_list args;
    va_start(args, format);
    assert_in_range(vsnprintf(sql, sizeof sql, format, args), 1, sizeof sql - 1);
    va_end(args);
    run(sql);
}

const char *query(const char *format, ...)
{
    char sql[2048];
    va_list args;
    va_start(args, format);
    assert_in_range(vsnprintf(sql, sizeof sql, format, args), 1, sizeof sql - 1);
    va_end(args);
    run(sql);
    return PQntuples(fixture.last) > 0 ? PQgetvalue(fixture.last, 0, 0) : "";
}

void register_kek(int version)
{
    unsigned char kek[KEK_BYTES], check[KEK_CHECK_BYTES];
    char hex[2 * KEK_CHECK_BYTES + 1];
    memset(kek, 'A' + version - 1, sizeof kek);
    assert_int_equal(kek_check(kek, check), 0);
    for (size_t i = 0; i < sizeof check; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", check[i]);
    admin("SELECT speke.kek_register(%d, decode('%s', 'hex'))", version, hex);
}

/* --- orders --------------------------------------------------------------------------------- */

struct order *order_new(const char *user, const char *content, int first, size_t count)
{
    struct order *o = calloc(1, sizeof *o);
    assert_non_null(o);
    assert_in_range(count, 1, MAX_SLOTS);
    o->request = (struct keystore_request){.remote_user = user,
                                           .remote_addr = "192.0.2.1",
                                           .speke_version = "2.0",
                                           .content_id = content};
    o->count = count;
    o->keys = secret_alloc(count * KEYSTORE_KEY_BYTES);
    assert_non_null(o->keys);
    for (size_t i = 0; i < count; i++) {
        memset(o->slots[i].kid.bytes, first + (int)i, UUID_BYTES);
        o->slots[i].scheme = "cbcs";
        o->slots[i].key = o->keys + i * KEYSTORE_KEY_BYTES;
    }
    return o;
}

void order_free(struct order *o)
{
    secret_free(o->keys, o->count * KEYSTORE_KEY_BYTES);
    free(o);
}

/* As an exchange does it: once more from the start when the configuration changed meanwhile. */
int order_run(struct keystore *ks, struct order *o, struct failure *f)
{
    static const struct uuid SYSTEM = {{0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8,
                                        0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed}};
    bool stale = true;
    int result = -1;
    o->details.systems = &SYSTEM;
    o->details.system_count = 1;
    failure_clear(f);
    keystore_begin(ks);
    for (int attempt = 0; result != 0 && stale && attempt < 2; attempt++) {
        const struct keystore_client *client;
        stale = false;
        result = keystore_identify(ks, &o->request, &client, f);
        if (result == 0)
            result = keystore_acquire(ks, &o->request, o->slots, o->count, &o->details, &stale, f);
    }
    return result;
}

static const unsigned char ZEROS[KEYSTORE_KEY_BYTES];

void expect_keys(struct keystore *ks, struct order *o)
{
    struct failure f;
    if (order_run(ks, o, &f) != 0)
        fail_msg("no keys: %d %s (%s)", f.status, f.text, f.cause);
    for (size_t i = 0; i < o->count; i++) {
        assert_memory_not_equal(o->slots[i].key, ZEROS, sizeof ZEROS);
        assert_memory_not_equal(o->slots[i].key, o->slots[i].iv, sizeof ZEROS);
    }
}

void expect_failure(struct keystore *ks, struct order *o, int status, const char *part)
{
    struct failure f;
    unsigned char untouched[KEYSTORE_KEY_BYTES];
    memset(untouched, 0x55, sizeof untouched);
    for (size_t i = 0; i < o->count; i++)
        memcpy(o->slots[i].key, untouched, sizeof untouched);
    if (order_run(ks, o, &f) == 0)
        fail_msg("keys were given out where %d \"%s\" was due", status, part);
    if (f.status != status || (strstr(f.text, part) == NULL && strstr(f.cause, part) == NULL))
        fail_msg("expected %d \"%s\", got %d \"%s\" (%s)", status, part, f.status, f.text, f.cause);
    if (status == 503 && f.retry_after <= 0)
        fail_msg("a 503 without Retry-After");
    for (size_t i = 0; i < o->count; i++) {
        if (memcmp(o->slots[i].key, ZEROS, sizeof ZEROS) != 0 &&
            memcmp(o->slots[i].key, untouched, sizeof untouched) != 0)
            fail_msg("slot %zu holds bytes after %d \"%s\"", i, status, part);
    }
}

void expect_same_keys(const struct order *a, const struct order *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_memory_equal(a->slots[i].key, b->slots[i].key, KEYSTORE_KEY_BYTES);
        assert_memory_equal(a->slots[i].iv, b->slots[i].iv, KEYSTORE_IV_BYTES);
    }
}

int64_t now_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
