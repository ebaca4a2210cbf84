# SPDX-License-Identifier: Apache-2.0
base_tests = \
	tests/unit/test_base_base64 \
	tests/unit/test_base_buf \
	tests/unit/test_base_log \
	tests/unit/test_base_settings \
	tests/unit/test_base_text
if HAVE_CMOCKA
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)
endif

tests_unit_test_base_base64_SOURCES = tests/unit/test_base_base64.c
tests_unit_test_base_base64_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_base_base64_LDADD = src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)

tests_unit_test_base_buf_SOURCES = tests/unit/test_base_buf.c
tests_unit_test_base_buf_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_base_buf_LDADD = src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)

tests_unit_test_base_log_SOURCES = tests/unit/test_base_log.c
tests_unit_test_base_log_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_base_log_LDADD = src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)

tests_unit_test_base_settings_SOURCES = tests/unit/test_base_settings.c
tests_unit_test_base_settings_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_base_settings_LDADD = src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)

tests_unit_test_base_text_SOURCES = tests/unit/test_base_text.c
tests_unit_test_base_text_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_base_text_LDADD = src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)
