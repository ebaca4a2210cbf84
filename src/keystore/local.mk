# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/keystore/libkeystore.a
src_keystore_libkeystore_a_SOURCES = \
	src/keystore/acquire.c \
	src/keystore/audit.c \
	src/keystore/child.c src/keystore/child.h \
	src/keystore/client.c \
	src/keystore/clock.c src/keystore/clock.h \
	src/keystore/connection.c src/keystore/connection.h \
	src/keystore/content.c \
	src/keystore/denied.c \
	src/keystore/health.c \
	src/keystore/kek_source.h \
	src/keystore/keyring.c src/keystore/keyring.h \
	src/keystore/keystore.c src/keystore/keystore.h src/keystore/store.h \
	src/keystore/player.c src/keystore/player.h \
	src/keystore/refuse.c \
	src/keystore/rewrap.c src/keystore/rewrap.h \
	src/keystore/seal.c src/keystore/seal.h \
	src/keystore/source_command.c \
	src/keystore/source_file.c \
	src/keystore/token.h \
	src/keystore/wire.c src/keystore/wire.h
# PKCS#11 by p11-kit, where configure found it.
if HAVE_P11_KIT
src_keystore_libkeystore_a_SOURCES += src/keystore/token.c \
	src/keystore/token_session.c src/keystore/token_session.h
else
src_keystore_libkeystore_a_SOURCES += src/keystore/token_none.c
endif
