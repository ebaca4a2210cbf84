# SPDX-License-Identifier: Apache-2.0
base_tests = \
	tests/unit/test_base_base64 \
	tests/unit/test_base_buf
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
