# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/drm/libdrm.a
src_drm_libdrm_a_SOURCES = \
	src/drm/clearkey.c \
	src/drm/common.c \
	src/drm/drm.h \
	src/drm/eme.c \
	src/drm/fairplay.c \
	src/drm/hls.c src/drm/hls.h \
	src/drm/playready.c \
	src/drm/pssh.c src/drm/pssh.h \
	src/drm/system.h \
	src/drm/systems.c \
	src/drm/template.c src/drm/template.h \
	src/drm/templates.c \
	src/drm/text.c src/drm/text.h \
	src/drm/widevine.c
