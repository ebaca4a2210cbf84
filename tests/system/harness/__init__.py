# SPDX-License-Identifier: Apache-2.0
"""What the system tests stand on: servers of their own, clients, and an independent reading of what
comes back. Nothing in here uses the project's C code to judge the project's answers."""
