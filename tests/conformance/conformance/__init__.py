# SPDX-License-Identifier: Apache-2.0
"""Measures a SPEKE key provider against the rules R1 to R75. Readers of documents and of DRM
signalling are those of the system tests: written in Python from the standards, without the C code."""
