# SPDX-License-Identifier: Apache-2.0
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_exchange_signal
TESTS += tests/unit/test_exchange_signal
endif
tests_unit_test_exchange_signal_SOURCES = tests/unit/test_exchange_signal.c
tests_unit_test_exchange_signal_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_exchange_signal_LDADD = src/exchange/libexchange.a src/drm/libdrm.a \
	src/base/libbase.a $(CMOCKA_LIBS) $(OPENSSL_LIBS)
