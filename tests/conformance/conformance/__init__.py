# SPDX-License-Identifier: Apache-2.0
"""Measures a SPEKE key provider against the rules R1 to R75. Documents and DRM signalling are read
by the system tests' readers, which are written in Python from the standards, without the C code."""
