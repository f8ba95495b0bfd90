"""Chinese names of fact kinds, items and ability levels: one word per code, for all screens and explanations."""

from collections.abc import Mapping
from typing import Final

from common.events.kinds import RULES

FACT_KINDS: Final[Mapping[str, str]] = {kind: rule.name_zh for kind, rule in RULES.items()}
ITEMS: Final[Mapping[str, str]] = {
    "employee_pension": "职工基本养老保险",
    "resident_pension": "城乡居民基本养老保险",
    "ability_assessment": "老年人能力综合评估",
    "health_management": "老年人健康管理",
    "longevity_allowance": "高龄津贴",
    "care_service_subsidy": "养老服务补贴",
    "home_adaptation": "家庭适老化改造",
    "nursing_subsidy": "护理补贴",
    "family_care_support": "家庭养老支持服务",
    "dibao": "最低生活保障",
    "scattered_support": "分散供养",
    "concentrated_support": "集中供养",
    "visiting_care": "探访服务",
    "merit_support": "特殊贡献集中供养",
    "priority_admission": "优先享受机构养老",
    "disability_living_subsidy": "困难残疾人生活补贴",
    "severe_disability_nursing_subsidy": "重度残疾人护理补贴",
    "vagrant_relief": "社会救助",
    "care_voucher": "养老服务消费补贴",
    "long_term_care_insurance": "长期护理保险",
}
ABILITY_LEVELS: Final = ("能力完好", "轻度失能", "中度失能", "重度失能", "完全失能")
