# SPDX-License-Identifier: Apache-2.0
exchange_tests = \
	tests/unit/test_exchange_override \
	tests/unit/test_exchange_policy \
	tests/unit/test_exchange_signal \
	tests/unit/test_exchange_tenant
if HAVE_CMOCKA
check_PROGRAMS += $(exchange_tests)
TESTS += $(exchange_tests)
endif
exchange_test_libs = src/exchange/libexchange.a src/keystore/libkeystore.a src/cpix/libcpix.a \
	src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) $(LIBXML2_LIBS) $(OPENSSL_LIBS) \
	$(LIBPQ_LIBS)

tests_unit_test_exchange_override_SOURCES = tests/unit/test_exchange_override.c $(cpix_fixture)
tests_unit_test_exchange_override_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_exchange_override_LDADD = $(exchange_test_libs)

tests_unit_test_exchange_policy_SOURCES = tests/unit/test_exchange_policy.c $(cpix_fixture)
tests_unit_test_exchange_policy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_exchange_policy_LDADD = $(exchange_test_libs)

tests_unit_test_exchange_signal_SOURCES = tests/unit/test_exchange_signal.c
tests_unit_test_exchange_signal_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_exchange_signal_LDADD = $(exchange_test_libs)

tests_unit_test_exchange_tenant_SOURCES = tests/unit/test_exchange_tenant.c
tests_unit_test_exchange_tenant_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_exchange_tenant_LDADD = $(exchange_test_libs)
