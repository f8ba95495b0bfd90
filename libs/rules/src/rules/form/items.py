"""Chinese names of the items and of benefits of other offices, by their public codes."""

from common.words_zh import ITEMS

DECLINED = "declined"  # the value of `suppressed_by` if the person gave the item up

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
    """Return the Chinese name of an item or of a benefit elsewhere; None if the code is unknown."""
    return ITEMS.get(code or "") or BENEFIT_TITLES.get(code or "")
