# SPDX-License-Identifier: Apache-2.0
# What quickstart and runtests need beside the rooms, so that a release can run them as a checkout can.
EXTRA_DIST += packages tools tests/aws tests/docs tests/lib tests/lint tests/conformance tests/playback \
	tests/system

dist-hook:
	find $(distdir) -depth '(' -name __pycache__ -o -name .pytest_cache ')' -exec rm -rf {} +
