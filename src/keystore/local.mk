# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/keystore/libkeystore.a
src_keystore_libkeystore_a_SOURCES = \
	src/keystore/clock.c src/keystore/clock.h \
	src/keystore/keyring.c src/keystore/keyring.h \
	src/keystore/seal.c src/keystore/seal.h
