# SPDX-License-Identifier: Apache-2.0
# The demonstration, which quickstart serves from a checkout or a release.
EXTRA_DIST += doc/demo.md \
	demo/audit.sql \
	demo/demo.css \
	demo/demo.js \
	demo/feed \
	demo/index.html \
	demo/make-media \
	demo/package.json \
	demo/package-lock.json \
	demo/players.js \
	demo/watch.js
