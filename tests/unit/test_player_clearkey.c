/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of W3C Clear Key: the published examples, and what is no licence request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/failure.h"
#include "keystore/player.h"
#include "player/clearkey.h"

#include <cmocka.h> /* after base/failure.h, as it makes a macro of "fail" */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Encrypted Media Extensions, sections 9.1.3 and 9.1.4. */
static const char KID[] = "LwVHf8JLtPrv2GUXFW2v_A", KEY[] = "tQ0bJVWb6b0KPL6KtZIy_A";
static const char REQUEST[] =
    "{ \"kids\": [ \"LwVHf8JLtPrv2GUXFW2v_A\" ], \"type\": \"temporary\" }";
static const char LICENCE[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"LwVHf8JLtPrv2GUXFW2v_A\","
                              "\"k\":\"tQ0bJVWb6b0KPL6KtZIy_A\"}],\"type\":\"temporary\"}";

static int read_text(struct clearkey_request *r, const char *text, struct failure *f)
{
    return clearkey_read(r, text, strlen(text), f);
}

static void the_published_example(void **state)
{
    (void)state;
    struct clearkey_request r;
    struct failure f = {0};
    struct uuid kid;
    unsigned char key[KEYSTORE_KEY_BYTES];
    struct buf out;
    size_t n;
    assert_int_equal(base64url_decode(KID, strlen(KID), kid.bytes, UUID_BYTES, &n), 0);
    assert_int_equal(base64url_decode(KEY, strlen(KEY), key, sizeof key, &n), 0);
    assert_int_equal(read_text(&r, REQUEST, &f), 0);
    assert_int_equal(r.count, 1);
    assert_true(uuid_equal(&r.kids[0], &kid));
    assert_string_equal(r.type, "temporary");
    struct keystore_delivery_slot slots[3] = {{.found = false}, {kid, key, true}, {.found = false}};
    buf_init(&out, 1024);
    clearkey_write(slots, COUNT(slots), r.type, &out);
    assert_int_equal(out.len, strlen(LICENCE));
    assert_memory_equal(out.data, LICENCE, out.len);
    buf_free(&out);
}

static void what_is_left_to_the_request(void **state)
{
    (void)state;
    struct clearkey_request r;
    struct failure f = {0};
    assert_int_equal(read_text(&r,
                               "{\"x\":{\"y\":[[]]},\"type\":\"persistent-license\",\"kids\":["
                               "\"LwVHf8JLtPrv2GUXFW2v_A\",\"AAAAAAAAAAAAAAAAAAAAAA\","
                               "\"LwVHf8JLtPrv2GUXFW2v_A\"]}",
                               &f),
                     0);
    assert_int_equal(r.count, 2); /* each KID once */
    assert_string_equal(r.type, "persistent-license");
    assert_int_equal(read_text(&r, "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"]}", &f), 0);
    assert_string_equal(r.type, "temporary");
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        " ",
        "null",
        "[]",
        "{}",
        "{\"kids\":[]}",
        "{\"kids\":null}",
        "{\"kids\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kids\":{\"0\":\"AAAAAAAAAAAAAAAAAAAAAA\"}}",
        "{\"kids\":[\"\"]}",
        "{\"kids\":[null]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA==\"]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAB\"]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAAAA\"]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAA+/\"]}",
        "{\"kids\":[\"00000000-0000-0000-0000-000000000000\"]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"],\"type\":\"\"}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"],\"type\":null}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"],\"type\":\"Temporary\"}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"],\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"]}",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"]} x",
        "{\"kids\":[\"AAAAAAAAAAAAAAAAAAAAAA\"],\"x\":[[[[]]]]}",
        "{\"kids\":[\"\xff\"]}",
    };
    struct clearkey_request r;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct failure f = {0};
        if (read_text(&r, BAD[i], &f) == 0)
            fail_msg("taken: %s", BAD[i]);
        assert_int_equal(f.status, 400);
        assert_non_null(strstr(f.text, "Malformed licence request: "));
    }
}

static void there_is_an_end(void **state)
{
    (void)state;
    static char text[CLEARKEY_REQUEST_MAX + 2];
    static struct clearkey_request r;
    struct buf b;
    struct failure f = {0};
    for (int count = CLEARKEY_KIDS_MAX; count <= CLEARKEY_KIDS_MAX + 1; count++) {
        buf_init(&b, CLEARKEY_REQUEST_MAX);
        buf_puts(&b, "{\"kids\":[");
        for (int i = 0; i < count; i++)
            buf_printf(&b, "%s\"%03dAAAAAAAAAAAAAAAAAAA\"", i > 0 ? "," : "", i);
        buf_puts(&b, "]}");
        assert_true(buf_ok(&b));
        failure_clear(&f);
        assert_int_equal(clearkey_read(&r, b.data, b.len, &f), count == CLEARKEY_KIDS_MAX ? 0 : -1);
        buf_free(&b);
    }
    assert_int_equal(f.status, 413);
    /* As long as may be, with blanks; and a byte longer. */
    memset(text, ' ', sizeof text);
    memcpy(text, REQUEST, strlen(REQUEST));
    failure_clear(&f);
    assert_int_equal(clearkey_read(&r, text, CLEARKEY_REQUEST_MAX, &f), 0);
    assert_int_equal(clearkey_read(&r, text, CLEARKEY_REQUEST_MAX + 1, &f), -1);
    assert_int_equal(f.status, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_example),
        cmocka_unit_test(what_is_left_to_the_request),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(there_is_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
