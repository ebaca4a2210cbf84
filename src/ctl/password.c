/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/password.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"
#include "ctl/ctl.h"

enum { GENERATED_LENGTH = 32 };

static char *allocate(void)
{
    char *password = secret_alloc(PASSWORD_SIZE);
    if (password == NULL)
        (void)ctl_fail(CTL_FAILED, "no room in the secure heap");
    return password;
}

void password_free(char *password)
{
    secret_free(password, PASSWORD_SIZE);
}

/* Gives back the password when it is a usable one. Control characters would break a line of an
 * htdigest file, and nobody types them on purpose. */
static char *accept(char *password)
{
    const char *why = NULL;
    if (password[0] == '\0')
        why = "an empty password";
    for (const char *p = password; *p != '\0' && why == NULL; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            why = "a control character in the password";
    }
    if (why == NULL)
        return password;
    (void)ctl_fail(CTL_FAILED, "%s is not taken", why);
    password_free(password);
    return NULL;
}

/* The signal that came while the terminal was silent, 0 for none. */
static volatile sig_atomic_t caught;

/* Waits until fd can be read, with mask in place of the signal mask while it waits. Returns whether
 * it can; a signal that came meanwhile is in caught. */
static bool wait_for(int fd, const sigset_t *mask)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = ppoll(&p, 1, NULL, mask);
    while (ready < 0 && errno == EINTR && caught == 0);
    return ready > 0;
}

/* Reads byte by byte, so that nothing of what follows the line is taken and no buffer outside the
 * secure heap holds a copy. mask is for wait_for(), NULL when fd is no terminal. */
static char *read_line(int fd, const char *source, const sigset_t *mask)
{
    char *password = allocate();
    if (password == NULL)
        return NULL;
    size_t n = 0;
    while (n < PASSWORD_SIZE) {
        ssize_t got = mask == NULL || wait_for(fd, mask) ? read(fd, password + n, 1) : -1;
        if (got < 0 && errno == EINTR && caught == 0)
            continue;
        if (got < 0) {
            if (caught == 0)
                (void)ctl_fail(CTL_FAILED, "%s: %s", source, strerror(errno));
            password_free(password);
            return NULL;
        }
        if (got == 0 || password[n] == '\n') {
            password[n] = '\0';
            if (n > 0 && password[n - 1] == '\r')
                password[n - 1] = '\0';
            return password;
        }
        n++;
    }
    (void)ctl_fail(CTL_FAILED, "%s: a password of more than %d bytes", source, PASSWORD_SIZE - 1);
    password_free(password);
    return NULL;
}

static void catch_signal(int number)
{
    caught = number;
}

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { SIGNAL_COUNT = sizeof SIGNALS / sizeof SIGNALS[0] };

/* Blocks the signals and catches them: they are let through only while the terminal is waited for,
 * so that none comes just before and is missed. These calls fail for numbers that are no signals
 * alone. */
static void catch_signals(struct sigaction *before, sigset_t *mask)
{
    const struct sigaction action = {.sa_handler = catch_signal};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaddset(&set, SIGNALS[i]);
    (void)sigprocmask(SIG_BLOCK, &set, mask);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaction(SIGNALS[i], &action, &before[i]);
}

static void release_signals(const struct sigaction *before, const sigset_t *mask)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaction(SIGNALS[i], &before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
}

/* One line from the terminal without echo. Echo is off before the prompt is there, and on again
 * whatever signal comes, which is obeyed only then. */
static char *ask_once(int tty, const char *prompt, const char *more)
{
    struct termios loud, silent;
    struct sigaction before[SIGNAL_COUNT];
    sigset_t mask;
    char *password = NULL;
    if (tcgetattr(tty, &loud) != 0) {
        (void)ctl_fail(CTL_FAILED, "/dev/tty: %s", strerror(errno));
        return NULL;
    }
    silent = loud;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    caught = 0;
    catch_signals(before, &mask);
    if (tcsetattr(tty, TCSAFLUSH, &silent) == 0 && dprintf(tty, "%s%s: ", prompt, more) > 0)
        password = read_line(tty, "terminal", &mask);
    /* A terminal that is gone needs neither. */
    (void)tcsetattr(tty, TCSAFLUSH, &loud);
    (void)dprintf(tty, "\n");
    release_signals(before, &mask);
    if (caught != 0) {
        password_free(password);
        (void)raise(caught);
        return NULL;
    }
    return password;
}

static char *ask_terminal(int tty, const char *prompt, bool confirm)
{
    char *password = ask_once(tty, prompt, "");
    if (password == NULL)
        return NULL;
    if (!confirm)
        return accept(password);
    char *again = ask_once(tty, prompt, ", again");
    const bool same = again != NULL && strcmp(password, again) == 0;
    password_free(again);
    if (same)
        return accept(password);
    (void)ctl_fail(CTL_FAILED, "not the same password twice");
    password_free(password);
    return NULL;
}

char *password_ask(const char *prompt, bool confirm)
{
    if (!isatty(STDIN_FILENO)) {
        char *password = read_line(STDIN_FILENO, "standard input", NULL);
        return password != NULL ? accept(password) : NULL;
    }
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        (void)ctl_fail(CTL_FAILED, "/dev/tty: %s", strerror(errno));
        return NULL;
    }
    char *password = ask_terminal(tty, prompt, confirm);
    (void)close(tty); /* nothing that could be lost */
    return password;
}

char *password_from_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *password = read_line(fd, path, NULL);
    (void)close(fd); /* read only: nothing can be lost */
    return password != NULL ? accept(password) : NULL;
}

char *password_copy(const char *text)
{
    const size_t n = strlen(text);
    if (n >= PASSWORD_SIZE) {
        (void)ctl_fail(CTL_FAILED, "a password of more than %d bytes", PASSWORD_SIZE - 1);
        return NULL;
    }
    char *password = allocate();
    if (password == NULL)
        return NULL;
    memcpy(password, text, n + 1);
    return accept(password);
}

char *password_generate(void)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { COUNT = sizeof DIGITS - 1, FAIR = 256 / COUNT * COUNT };
    char *password = allocate();
    if (password == NULL)
        return NULL;
    for (size_t n = 0; n < GENERATED_LENGTH;) {
        unsigned char byte;
        if (RAND_priv_bytes(&byte, 1) != 1) {
            (void)ctl_fail(CTL_FAILED, "no random bytes to be had");
            password_free(password);
            return NULL;
        }
        if (byte < FAIR) /* every character equally likely */
            password[n++] = DIGITS[byte % COUNT];
    }
    return password;
}
