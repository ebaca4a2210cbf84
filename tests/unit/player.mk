# SPDX-License-Identifier: Apache-2.0
player_tests = \
	tests/unit/test_player_clearkey \
	tests/unit/test_player_parts \
	tests/unit/test_player_refusals \
	tests/unit/test_player_token
if HAVE_CMOCKA
check_PROGRAMS += $(player_tests)
TESTS += $(player_tests)
endif
player_test_libs = src/player/libplayer.a src/exchange/libexchange.a src/keystore/libkeystore.a \
	src/cpix/libcpix.a src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) $(LIBXML2_LIBS) \
	$(LIBPQ_LIBS) $(CJOSE_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS)

tests_unit_test_player_parts_SOURCES = tests/unit/test_player_parts.c
tests_unit_test_player_parts_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_player_parts_LDADD = $(player_test_libs)

tests_unit_test_player_token_SOURCES = tests/unit/test_player_token.c
tests_unit_test_player_token_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_player_token_LDADD = $(player_test_libs)

tests_unit_test_player_clearkey_SOURCES = tests/unit/test_player_clearkey.c
tests_unit_test_player_clearkey_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_player_clearkey_LDADD = $(player_test_libs)

# It brings a key store of its own.
tests_unit_test_player_refusals_SOURCES = tests/unit/test_player_refusals.c
tests_unit_test_player_refusals_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_player_refusals_LDADD = src/player/libplayer.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)
