/* SPDX-License-Identifier: Apache-2.0 */
#include "responder/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAST_STANDARD_FD = 2, LARGEST_PORT = 65535 };

union address {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

bool listener_is(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on != 0;
}

static int complain(char *why, size_t size, const char *what)
{
    (void)snprintf(why, size, "%s: %s", what, strerror(errno)); /* a text that is cut will do */
    return -1;
}

/* --- Unix ----------------------------------------------------------------------------------- */

static int find_group(const char *group, gid_t *gid, char *why, size_t size)
{
    const struct group *entry = getgrnam(group);
    if (entry != NULL) {
        *gid = entry->gr_gid;
        return 0;
    }
    char *end;
    errno = 0;
    const unsigned long n = strtoul(group, &end, 10);
    if (errno != 0 || group[0] < '0' || group[0] > '9' || *end != '\0' || n >= (gid_t)-1) {
        (void)snprintf(why, size, "no group \"%s\"", group);
        return -1;
    }
    *gid = (gid_t)n;
    return 0;
}

/* A socket's file outlives a process that was killed. Only a connection tells whether somebody is
 * behind it still. */
static int remove_stale(const union address *a, char *why, size_t size)
{
    struct stat file;
    const char *path = a->un.sun_path;
    if (lstat(path, &file) != 0)
        return errno == ENOENT ? 0 : complain(why, size, path);
    if (!S_ISSOCK(file.st_mode)) {
        (void)snprintf(why, size, "%s is there and is no socket", path);
        return -1;
    }
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return complain(why, size, "socket");
    const bool stale = connect(probe, &a->any, sizeof a->un) != 0 && errno == ECONNREFUSED;
    (void)close(probe); /* nothing was sent */
    if (!stale) {
        (void)snprintf(why, size, "%s is in use", path);
        return -1;
    }
    return unlink(path) == 0 || errno == ENOENT ? 0 : complain(why, size, path);
}

/* The file appears with mode 0600 and is opened to the group once it has the right one. */
static int bind_unix(int fd, const union address *a, const gid_t *gid)
{
    const mode_t before = umask(0177);
    const int bound = bind(fd, &a->any, sizeof a->un);
    (void)umask(before); /* returns the mask that was set above */
    if (bound != 0)
        return -1;
    if (gid != NULL && lchown(a->un.sun_path, (uid_t)-1, *gid) != 0)
        return -1;
    return chmod(a->un.sun_path, 0660);
}

static int open_unix(struct listener *l, const char *path, const char *group, char *why,
                     size_t size)
{
    union address a = {.un = {.sun_family = AF_UNIX}};
    struct stat file;
    gid_t gid = 0;
    if (strlen(path) >= sizeof a.un.sun_path) {
        (void)snprintf(why, size, "%s: longer than %zu bytes", path, sizeof a.un.sun_path - 1);
        return -1;
    }
    memcpy(a.un.sun_path, path, strlen(path) + 1);
    if (group != NULL && find_group(group, &gid, why, size) != 0)
        return -1;
    if (remove_stale(&a, why, size) != 0)
        return -1;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return complain(why, size, "socket");
    if (bind_unix(l->fd, &a, group != NULL ? &gid : NULL) != 0 || lstat(path, &file) != 0)
        return complain(why, size, path);
    memcpy(l->path, path, strlen(path) + 1);
    l->device = file.st_dev;
    l->inode = file.st_ino;
    return listen(l->fd, SOMAXCONN) == 0 ? 0 : complain(why, size, path);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static bool parse_port(const char *text, in_port_t *port)
{
    const size_t n = strlen(text);
    if (n == 0 || n > 5 || text[strspn(text, "0123456789")] != '\0')
        return false;
    const long value = strtol(text, NULL, 10);
    *port = htons((in_port_t)value);
    return value > 0 && value <= LARGEST_PORT;
}

static bool parse_loopback(const char *text, union address *a, socklen_t *n)
{
    static const char V4[] = "127.0.0.1:";
    static const char V6[] = "[::1]:";
    if (strncmp(text, V4, sizeof V4 - 1) == 0) {
        a->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        *n = sizeof a->in;
        return parse_port(text + sizeof V4 - 1, &a->in.sin_port);
    }
    if (strncmp(text, V6, sizeof V6 - 1) == 0) {
        a->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        *n = sizeof a->in6;
        return parse_port(text + sizeof V6 - 1, &a->in6.sin6_port);
    }
    return false;
}

static int open_tcp(struct listener *l, const char *address, char *why, size_t size)
{
    const int on = 1;
    union address a;
    socklen_t n = 0;
    if (!parse_loopback(address, &a, &n)) {
        (void)snprintf(why, size, "%s: a path with a slash, 127.0.0.1:PORT or [::1]:PORT", address);
        return -1;
    }
    l->fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return complain(why, size, "socket");
    if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(l->fd, &a.any, n) != 0 || listen(l->fd, SOMAXCONN) != 0)
        return complain(why, size, address);
    return 0;
}

/* -------------------------------------------------------------------------------------------- */

int listener_open(struct listener *l, const char *address, const char *group, char *why,
                  size_t size)
{
    *l = (struct listener){.fd = -1};
    const int result = strchr(address, '/') != NULL ? open_unix(l, address, group, why, size)
                                                    : open_tcp(l, address, why, size);
    if (result != 0)
        listener_close(l);
    return result;
}

static bool is_local(int fd)
{
    union address a;
    socklen_t n = sizeof a;
    if (getsockname(fd, &a.any, &n) != 0)
        return false;
    switch (a.any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(a.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
    default:
        return false;
    }
}

int listener_inherit(struct listener *l, int fd, char *why, size_t size)
{
    *l = (struct listener){.fd = -1};
    if (!listener_is(fd)) {
        (void)snprintf(why, size, "descriptor %d is no listening socket", fd);
        return -1;
    }
    if (!is_local(fd)) {
        (void)snprintf(why, size,
                       "descriptor %d listens beyond this machine: whoever reaches it "
                       "could name any user; use a Unix socket",
                       fd);
        return -1;
    }
    l->fd = fcntl(fd, F_DUPFD_CLOEXEC, LAST_STANDARD_FD + 1);
    if (l->fd < 0)
        return complain(why, size, "dup");
    (void)close(fd); /* its copy goes on */
    if (fd == STDIN_FILENO && open("/dev/null", O_RDONLY) != STDIN_FILENO)
        return complain(why, size, "/dev/null");
    const int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return complain(why, size, "fcntl");
    return 0;
}

void listener_close(struct listener *l)
{
    struct stat file;
    if (l->path[0] != '\0' && lstat(l->path, &file) == 0 && file.st_dev == l->device &&
        file.st_ino == l->inode)
        (void)unlink(l->path); /* one that stays is taken for stale at the next start */
    if (l->fd >= 0)
        (void)close(l->fd);
    *l = (struct listener){.fd = -1};
}
