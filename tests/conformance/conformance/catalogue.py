# SPDX-License-Identifier: Apache-2.0
"""All rules: importing their modules enters them into RULES."""
from . import rules_contract, rules_delivery, rules_http, rules_keys, rules_periods
from . import rules_suite, rules_systems, rules_v1
from .rules import RULES

MODULES = (
    rules_http, rules_keys, rules_systems, rules_contract, rules_periods, rules_delivery, rules_v1,
    rules_suite,
)  # fmt: skip
__all__ = ["RULES", "MODULES"]
