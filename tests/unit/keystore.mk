# SPDX-License-Identifier: Apache-2.0
keystore_tests = \
	tests/unit/test_keystore_keyring \
	tests/unit/test_keystore_seal
if HAVE_CMOCKA
check_PROGRAMS += $(keystore_tests)
TESTS += $(keystore_tests)
endif
keystore_test_libraries = src/keystore/libkeystore.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS) $(LIBPQ_LIBS)

tests_unit_test_keystore_keyring_SOURCES = tests/unit/test_keystore_keyring.c
tests_unit_test_keystore_keyring_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_keyring_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_seal_SOURCES = tests/unit/test_keystore_seal.c
tests_unit_test_keystore_seal_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_seal_LDADD = $(keystore_test_libraries)
