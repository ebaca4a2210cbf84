/* SPDX-License-Identifier: Apache-2.0 */
/* The socket on which FastCGI connections arrive: made here, or inherited from the web server, a
 * spawner or systemd. Whoever can write to it is taken for the web server, whose word on who the
 * user is counts; so it is a Unix socket, or TCP on loopback when that is asked for. */
#ifndef RESPONDER_LISTENER_H
#define RESPONDER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct listener {
    int fd;                                               /* non-blocking; -1 when there is none */
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* of a socket made here; else "" */
    dev_t device;                                         /* the socket's file, to know it again */
    ino_t inode;
};

/* Whether fd is a socket on which somebody listens. */
bool listener_is(int fd);
/* Makes a listening socket. An address with a slash is the path of a Unix socket, which gets mode
 * 0660 and, unless group is NULL, that group (name or number); one that is there already is
 * replaced when nobody answers on it. 127.0.0.1:PORT and [::1]:PORT are TCP; anything else is
 * refused. Returns 0, or -1 with what is wrong in why. */
int listener_open(struct listener *l, const char *address, const char *group, char *why,
                  size_t size);
/* Takes over a listening socket that was inherited as descriptor fd; refuses TCP beyond loopback.
 * When fd is 0, /dev/null takes its place. Returns 0, or -1 with what is wrong in why. */
int listener_inherit(struct listener *l, int fd, char *why, size_t size);
/* Closes the socket and removes its file when it is still the one that was made. */
void listener_close(struct listener *l);

#endif
