/* SPDX-License-Identifier: Apache-2.0 */
/* speke.fcgi: the options. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "responder/check.h"
#include "responder/parent.h"
#include "responder/run.h"

enum { USAGE_ERROR = 2 };

enum option_code {
    OPTION_CONFIG = 'c',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
    OPTION_LISTEN = 'l',
    OPTION_WORKERS = 'w',
    OPTION_GROUP = 1000,
    OPTION_PID_FILE,
    OPTION_CHECK
};

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"socket-group", required_argument, NULL, OPTION_GROUP},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"pid-file", required_argument, NULL, OPTION_PID_FILE},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char HELP[] =
    "speke.fcgi answers SPEKE key requests as a FastCGI or CGI program of a web server.\n"
    "\n"
    "It finds out by itself how it was started: by a web server or spawn-fcgi with a\n"
    "listening socket on standard input, by systemd with a socket, as a plain CGI program\n"
    "(which reads no arguments), or standing alone with --listen.\n"
    "\n"
    "  -c, --config FILE       settings; else $SPEKE_CONFIG, else\n"
    "                          " SPEKE_SYSCONFDIR "/speke-fcgi/speke.conf\n"
    "  -l, --listen PATH       make a Unix socket of mode 0660 and serve it, in the\n"
    "                          foreground; 127.0.0.1:PORT and [::1]:PORT are TCP\n"
    "      --socket-group NAME group of that socket: the web server's\n"
    "  -w, --workers N         processes that answer requests, 1 to 1024; default 4 with\n"
    "                          --listen and systemd, else this process alone\n"
    "      --pid-file FILE     write the process ID there\n"
    "      --check-config      say what is wrong with the settings, the KEK file and the\n"
    "                          database, and end with 0 or 1\n"
    "  -V, --version           print the version\n"
    "  -h, --help              print this\n"
    "\n"
    "SIGTERM ends it after the request at hand, SIGHUP reads the settings again.\n"
    "\n"
    "Settings, \"name = value\" a line:\n";

static int usage_error(const char *what)
{
    (void)fprintf(stderr, "speke.fcgi: %s; see --help\n", what);
    return USAGE_ERROR;
}

static int print_help(void)
{
    (void)fputs(HELP, stdout); /* a fault shows when the stream is flushed */
    settings_print_help(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int parse_workers(const char *text, int *workers)
{
    char *end;
    const long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > PARENT_WORKERS_MAX)
        return -1;
    *workers = (int)n;
    return 0;
}

static int start(const struct options *options, bool check)
{
    if (check)
        return check_config(settings_path(options->config));
    if (options->socket_group != NULL &&
        (options->listen == NULL || strchr(options->listen, '/') == NULL))
        return usage_error("--socket-group goes with --listen PATH");
    return run(options);
}

static int parse(int argc, char **argv)
{
    struct options options = {0};
    bool check = false;
    int code;
    while ((code = getopt_long(argc, argv, "c:l:w:Vh", OPTIONS, NULL)) != -1) {
        switch (code) {
        case OPTION_CONFIG:
            options.config = optarg;
            break;
        case OPTION_LISTEN:
            options.listen = optarg;
            break;
        case OPTION_GROUP:
            options.socket_group = optarg;
            break;
        case OPTION_WORKERS:
            if (parse_workers(optarg, &options.workers) != 0)
                return usage_error("--workers: a number from 1 to 1024");
            break;
        case OPTION_PID_FILE:
            options.pid_file = optarg;
            break;
        case OPTION_CHECK:
            check = true;
            break;
        case OPTION_VERSION:
            return puts("speke.fcgi " SPEKE_VERSION) == EOF ? 1 : 0;
        case OPTION_HELP:
            return print_help();
        default:
            return USAGE_ERROR; /* getopt_long() has said why */
        }
    }
    if (optind < argc)
        return usage_error("arguments that are no options");
    return start(&options, check);
}

/* A web server passes the words of a query without "=" to a CGI program as its arguments (RFC 3875
 * section 4.4), so there they are the client's and are not looked at. */
int main(int argc, char **argv)
{
    return run_is_cgi() ? run_cgi() : parse(argc, argv);
}
