# SPDX-License-Identifier: Apache-2.0
pkglibexec_PROGRAMS += src/responder/speke.fcgi
src_responder_speke_fcgi_SOURCES = \
	src/responder/answer.c src/responder/answer.h \
	src/responder/cgi.c src/responder/cgi.h \
	src/responder/channel.h \
	src/responder/check.c src/responder/check.h \
	src/responder/fcgi.c src/responder/fcgi.h \
	src/responder/io.c src/responder/io.h \
	src/responder/listener.c src/responder/listener.h \
	src/responder/location.c src/responder/location.h \
	src/responder/main.c \
	src/responder/player_routes.c \
	src/responder/parent.c src/responder/parent.h \
	src/responder/request.c src/responder/request.h \
	src/responder/responder.c src/responder/responder.h \
	src/responder/routes.c src/responder/routes.h \
	src/responder/run.c src/responder/run.h \
	src/responder/sealer.c src/responder/sealer.h \
	src/responder/signals.c src/responder/signals.h \
	src/responder/worker.c src/responder/worker.h
src_responder_speke_fcgi_LDADD = \
	src/player/libplayer.a src/exchange/libexchange.a src/keystore/libkeystore.a src/drm/libdrm.a \
	src/cpix/libcpix.a src/base/libbase.a \
	$(FCGI_LIBS) $(LIBXML2_LIBS) $(LIBPQ_LIBS) $(CJOSE_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS)
