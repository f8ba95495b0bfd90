"""The Chinese names on the screens, one per English name, as in the glossary.

`common.words_zh` has the names that explanations also use: fact kinds, items and ability levels.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Stage(NamedTuple):
    """One stage of processing: a service on the live page. `topics`: those that it writes. `group`: its consumer group,
    whose backlog is shown."""

    id: str
    name: str
    group: str
    topics: tuple[str, ...]


STAGES: Final = (
    Stage(
        "intake",
        "接入",
        "ingestion",
        ("ingestion.person", "ingestion.source", "ingestion.coverage", "ingestion.case", "ingestion.access"),
    ),
    Stage(
        "decide",
        "识别",
        "identification",
        ("identification.entitlement", "identification.edge", "policy.release", "policy.review"),
    ),
    Stage("assess", "评估", "assessment", ("assessment.ability", "assessment.case")),
    Stage("dispatch", "派单", "dispatch", ("dispatch.visit",)),
    Stage("pay", "补贴", "subsidy", ("subsidy.payment",)),
    Stage("supervise", "监督", "supervision", ("supervision.finding",)),
)
BY_TOPIC: Final[Mapping[str, Stage]] = {topic: stage for stage in STAGES for topic in stage.topics}
BY_GROUP: Final[Mapping[str, Stage]] = {stage.group: stage for stage in STAGES}

OF_NO_PERSON: Final = frozenset(
    {"ingestion.source", "ingestion.coverage", "ingestion.access", "policy.release", "policy.review"}
)

EVENTS: Final[Mapping[str, str]] = {
    "PersonFactsRecorded": "事实更新",
    "SourceGapFound": "来源数据缺口",
    "SourceGapClosed": "缺口补齐",
    "SourceSilent": "来源静默",
    "SourceHeard": "来源恢复",
    "CorrectionRequested": "请来源更正",
    "CorrectionAnswered": "更正办结",
    "CoverageDeclared": "逐项报送范围",
    "ReadBudgetUsed": "查阅超限",
    "ForeignEventsGrouped": "辖区外信息并案",
    "PlaceClaimed": "迁入地址待确认",
    "PlaceSettled": "迁入地址办结",
    "AccountChanged": "收款账户变更",
    "EntitlementsDecided": "资格认定",
    "EntitlementStarted": "待遇生效",
    "EntitlementEnded": "待遇到期",
    "AbilitiesDetermined": "能力等级确定",
    "AssessmentRequested": "发起能力评估",
    "AssessmentSigned": "评估签署",
    "AssessmentCancelled": "评估取消",
    "VisitPlanned": "安排探访",
    "VisitUnplaced": "无机构可派",
    "VisitOffered": "派单给服务机构",
    "VisitAccepted": "机构接单",
    "VisitDeclined": "机构拒单",
    "VisitOfferExpired": "派单超时",
    "VisitCheckedIn": "上门签到",
    "VisitCheckedOut": "探访完成",
    "VisitFailed": "探访未成",
    "VisitMissed": "逾期未访",
    "VisitExcused": "免访",
    "VisitCancelled": "任务取消",
    "DuesDetermined": "补贴应发",
    "PaymentReserved": "资金预留",
    "PaymentOrdered": "审批通过",
    "PaymentSettled": "补贴到账",
    "RecoveryOpened": "立案追回",
    "RecoveryClosed": "追回了结",
    "VisitVerified": "核验通过",
    "VisitDisputed": "核验存疑",
    "AlertRaised": "预警",
    "AlertClosed": "预警办结",
    "PolicyVersionProposed": "清单拟定",
    "PolicyVersionSimulated": "清单测算",
    "PolicyVersionApproved": "清单签批",
    "PolicyVersionPublished": "清单发布",
    "PolicyVersionHalted": "清单停用",
    "RecordParked": "消息搁置",
    "AuditSealed": "审计封存",
}
ACTIONS: Final[Mapping[str, str]] = {"created": "", "corrected": "更正", "annulled": "撤销", "ended": "终止"}
REASONS: Final[Mapping[str, str]] = {
    "plan": "定期",
    "first": "首次",
    "incident": "突发情况",
    "discharge": "出院",
    "redispatch": "改派",
    "suspicion": "疑似身故核实",
    "reverify": "复核",
    "stay": "住院核实",
    "order": "预约",
    "regular": "定期",
    "dispute": "异议",
    "other": "其他",
    "died": "身故",
    "not_entitled": "资格终止",
    "moved": "迁移",
    "merged": "并号",
    "superseded": "已有新安排",
    "in_hospital": "住院",
    "resolved": "已有结论",
}
CHECKS: Final[Mapping[str, str]] = {
    "V01": "身故后服务",
    "V03": "同一人员时间重叠",
    "V05": "同一老年人时间重叠",
    "V06": "时长异常",
    "V09": "事后补录",
    "V12": "当日无资格",
    "visit_missed": "逾期未访",
    "visit_unplaced": "无机构可派",
    "hold_overdue": "疑似身故逾期未核实",
    "stay_open_long": "住院久未登记出院",
    "stay_contradicted": "住院登记与上门不符",
    "recovery_opened": "待追回资金",
    "move_gap": "迁移空档",
    "record_parked": "消息搁置",
    "policy_halted": "清单停用",
    "read_budget": "查阅超限",
    "account_changed": "收款账户变更",
    "foreign_events": "辖区外信息并案",
}
PLACES: Final[Mapping[str, str]] = {
    "confirmed": "迁出地已确认",
    "objected": "迁出地有异议",
    "silent": "逾期无异议",
    "vouched": "已有其他信息印证",
    "withdrawn": "来源已撤回",
}
HOLDERS: Final[Mapping[str, str]] = {
    "self": "户名与本人一致",
    "other": "户名不是本人",
    "not_said": "户名未能核对",
}
STATES: Final[Mapping[str, str]] = {
    "granted": "享受中",
    "suppressed": "被抑制",
    "choice_required": "待选择",
    "suspended": "暂停",
    "unknown": "待补事实",
}
POLICY_STATES: Final[Mapping[str, str]] = {
    "proposed": "拟议",
    "approved": "已签批",
    "published": "已公布",
    "halted": "已停用",
}
SIMULATION_STATES: Final[Mapping[str, str]] = {
    "waiting": "等待开始",
    "running": "正在模拟",
    "complete": "模拟完成",
    "failed": "模拟失败",
}
UNPAID: Final[Mapping[str, str]] = {
    "example_amount": "对象或标准为示例，不发放",
    "example_pay_rule": "发放规则为示例，不发放",
}
SEEDER: Final = "清单文件（contracts/policy）"
DEVIATION_COUNTS: Final = "允许它的偏离"
DEVIATION_UNSIGNED: Final = "所写的偏离只是示例，没有人签批，不算数"
BLOCKED: Final[Mapping[str, str]] = {
    "simulation_missing": "还没有覆盖生效后第一年的模拟，不能签批",
    "simulation_stale": "模拟之后生效的清单有变，或者模拟已经过期，须重新模拟、重新签批",
}
ROLES: Final[Mapping[str, str]] = {
    "officer": "经办人员",
    "approver": "审批人员",
    "auditor": "审计人员",
    "admin": "管理员",
}


def event(name: str) -> str:
    return EVENTS.get(name, name)
