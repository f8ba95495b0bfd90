"""Chinese names of the items and of benefits of other offices, by their public codes."""

DECLINED = "declined"  # the value of `suppressed_by` if the person gave the item up

ITEM_TITLES = {
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

BENEFIT_TITLES = {
    "work_injury_care": "工伤保险生活护理费",
    "retired_cadre_care": "离休干部护理费",
    "retired_cadre_living": "离休干部生活补贴",
    "duty_disability_care": "因公致残护理补贴",
    "duty_disability_living": "因公致残生活补贴",
    "brave_deed_care": "见义勇为致残人员护理补贴",
    "returned_youth_care": "因公致残返城知青护理费",
    "welfare_home_stay": "困境家庭服务对象入住社会福利机构补贴",
    "long_term_care_insurance": "长期护理保险待遇",
    "employee_pension": "职工基本养老保险待遇",
    "resident_pension": "城乡居民基本养老保险待遇",
}


def named(code: str | None) -> str | None:
    """The Chinese name of an item or of a benefit elsewhere."""
    return ITEM_TITLES.get(code or "") or BENEFIT_TITLES.get(code or "")
