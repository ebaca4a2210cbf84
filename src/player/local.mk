# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/player/libplayer.a
src_player_libplayer_a_SOURCES = \
	src/player/clearkey.c src/player/clearkey.h \
	src/player/cors.c src/player/cors.h \
	src/player/entitle.c src/player/entitle.h \
	src/player/free.c src/player/free.h \
	src/player/player.c src/player/player.h \
	src/player/rate.c src/player/rate.h \
	src/player/refusals.c src/player/refusals.h \
	src/player/token.c src/player/token.h
