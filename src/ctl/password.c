/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/password.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <openssl/ui.h>
#include <string.h>
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

/* Reads byte by byte, so that nothing of what follows the line is taken and no buffer outside the
 * secure heap holds a copy. */
static char *read_line(int fd, const char *source)
{
    char *password = allocate();
    if (password == NULL)
        return NULL;
    size_t n = 0;
    while (n < PASSWORD_SIZE) {
        ssize_t got = read(fd, password + n, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            (void)ctl_fail(CTL_FAILED, "%s: %s", source, strerror(errno));
            password_free(password);
            return NULL;
        }
        if (got == 0 || password[n] == '\n') {
            password[n] = '\0';
            if (n > 0 && password[n - 1] == '\r')
                password[n - 1] = '\0';
            return accept(password);
        }
        n++;
    }
    (void)ctl_fail(CTL_FAILED, "%s: a password of more than %d bytes", source, PASSWORD_SIZE - 1);
    password_free(password);
    return NULL;
}

char *password_ask(const char *prompt, bool confirm)
{
    if (!isatty(STDIN_FILENO))
        return read_line(STDIN_FILENO, "standard input");
    char *password = allocate();
    if (password == NULL)
        return NULL;
    /* OpenSSL's own dialogue: no echo, the terminal put right again after a signal. */
    if (UI_UTIL_read_pw_string(password, PASSWORD_SIZE, prompt, confirm) != 0) {
        (void)ctl_fail(CTL_FAILED, "no password was given, or not the same one twice");
        password_free(password);
        return NULL;
    }
    return accept(password);
}

char *password_from_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *password = read_line(fd, path);
    (void)close(fd); /* read only: nothing can be lost */
    return password;
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
