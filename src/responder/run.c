/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings.h"
#include "responder/cgi.h"
#include "responder/listener.h"
#include "responder/parent.h"
#include "responder/worker.h"

/* The first descriptor that systemd passes on (sd_listen_fds(3)). */
enum { SYSTEMD_FD = 3 };

enum start { START_ALONE, START_SYSTEMD, START_SPAWNED, START_NONE };

bool run_is_cgi(void)
{
    return (getenv("GATEWAY_INTERFACE") != NULL || getenv("REQUEST_METHOD") != NULL) &&
           !listener_is(STDIN_FILENO);
}

/* Were one of the first three closed, the next file or connection that is opened would take its
 * place, and log lines would go into a database connection. Whatever else was left open by whoever
 * started the process is none of its business. Returns 0, or -1. */
static int tidy_descriptors(int keep)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return -1;
    }
    const unsigned first = (unsigned)(keep > STDERR_FILENO ? keep : STDERR_FILENO) + 1;
    if (keep > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0) != 0)
        return -1;
    return close_range(first, UINT_MAX, 0);
}

int run_cgi(void)
{
    if (tidy_descriptors(-1) != 0)
        return 1;
    return cgi_run(settings_path(NULL));
}

static bool is_systemd(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    return pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid() &&
           strcmp(count, "1") == 0;
}

static enum start find_start(const struct options *options)
{
    if (options->listen != NULL)
        return START_ALONE;
    if (is_systemd())
        return START_SYSTEMD;
    return listener_is(STDIN_FILENO) ? START_SPAWNED : START_NONE;
}

static int get_listener(const struct options *options, enum start start, struct listener *l,
                        char *why, size_t size)
{
    switch (start) {
    case START_ALONE:
        return listener_open(l, options->listen, options->socket_group, why, size);
    case START_SYSTEMD:
        return listener_inherit(l, SYSTEMD_FD, why, size);
    default:
        return listener_inherit(l, STDIN_FILENO, why, size);
    }
}

static int write_pid_file(const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return -1;
    const bool written = fprintf(out, "%ld\n", (long)getpid()) > 0;
    return fclose(out) == 0 && written ? 0 : -1;
}

/* A spawner decides itself how many processes it wants, so one that was spawned is a worker unless
 * it is told to be a parent. */
static int run_listening(const struct options *options, enum start start, const struct listener *l,
                         const struct settings *settings, const char *path)
{
    if (start == START_SPAWNED && options->workers == 0)
        return worker_run(l->fd, settings, path);
    return parent_run(l->fd, options->workers > 0 ? options->workers : PARENT_WORKERS, settings,
                      path);
}

static int run_with_settings(const struct options *options, enum start start,
                             const struct settings *settings, const char *path)
{
    char why[512];
    struct listener l;
    if (get_listener(options, start, &l, why, sizeof why) != 0) {
        log_error("%s", why);
        return 1;
    }
    int result = 1;
    if (options->pid_file != NULL && write_pid_file(options->pid_file) != 0)
        log_error("%s: %s", options->pid_file, strerror(errno));
    else
        result = run_listening(options, start, &l, settings, path);
    if (options->pid_file != NULL)
        (void)unlink(options->pid_file); /* one that stays does no harm: it names no process */
    listener_close(&l);
    return result;
}

int run(const struct options *options)
{
    char why[512];
    struct settings settings;
    const enum start start = find_start(options);
    const char *path = settings_path(options->config);
    if (start == START_NONE) {
        (void)fprintf(
            stderr, "speke.fcgi: started neither by a web server nor with --listen; see --help\n");
        return 2;
    }
    if (tidy_descriptors(start == START_SYSTEMD ? SYSTEMD_FD : -1) != 0) {
        log_error("descriptors: %s", strerror(errno));
        return 1;
    }
    if (settings_read(&settings, path, why, sizeof why) != 0) {
        log_error("%s", why);
        return 1;
    }
    /* The names were checked when the settings were read. */
    (void)log_open(settings.log, settings.log_level);
    return run_with_settings(options, start, &settings, path);
}
