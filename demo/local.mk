# SPDX-License-Identifier: Apache-2.0
# The demonstration, which quickstart serves from a checkout or a release.
EXTRA_DIST += demo/make-media demo/package.json demo/package-lock.json
