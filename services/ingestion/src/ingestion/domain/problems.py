"""The closed, published lists of codes that senders and officers see.

A problem gives an RFC 6901 pointer into the event and a rule. It never repeats the value, which may be an ID number.
"""

from dataclasses import dataclass
from typing import Final

from ingestion.domain.file_problems import FEEDS, FILES

# Why an event or a row is rejected. code: (English, Chinese)
PROBLEMS: Final[dict[str, tuple[str, str]]] = {
    "not_an_object": ("an event must be a JSON object", "事件必须是 JSON 对象"),
    "too_deep": ("nested more than 64 levels deep", "嵌套超过 64 层"),
    "not_utf8": ("not valid UTF-8", "不是有效的 UTF-8 编码"),
    "not_json": ("not valid JSON", "不是有效的 JSON"),
    "required": ("this field is required", "缺少必填字段"),
    "unknown_field": ("this field does not exist here", "此处没有该字段"),
    "wrong_type": ("the value has the wrong type", "值的类型不正确"),
    "not_in_list": ("the value is not one of the allowed codes", "值不在允许的代码范围内"),
    "pattern": ("the value does not have the required form", "值的格式不符合要求"),
    "length": ("the value is too short or too long", "值的长度超出允许范围"),
    "range": ("the value is too small or too large", "值的大小超出允许范围"),
    "items": ("too few or too many entries", "条目数量超出允许范围"),
    "date": ("this date does not exist or is not written YYYY-MM-DD", "日期不存在或未按 YYYY-MM-DD 书写"),
    "date_range": ("the date lies outside 1860 to 2200", "日期不在 1860 年至 2200 年之间"),
    "instant": ("not an RFC 3339 instant with its offset from UTC", "不是带时区的 RFC 3339 时刻"),
    "schema": ("the value does not fit its schema", "值不符合模式定义"),
    "type_unknown": ("this event type is not known", "未知的事件类型"),
    "source_unknown": ("this source is not registered", "来源未登记"),
    "source_not_yours": ("your token or signature speaks for another source", "令牌或签名不属于该来源"),
    "source_not_of_topic": ("this topic belongs to another source", "该主题属于其他来源"),
    "topic_not_registered": ("this source is not registered to send on Kafka", "该来源未登记通过 Kafka 主题报送"),
    "kind_not_registered": ("this source is not registered for this kind", "该来源未登记此类事件"),
    "source_suspended": ("this source may not send at present", "该来源已停用"),
    "source_internal": ("only the platform itself writes under this source", "该来源仅供平台内部使用"),
    "time_in_future": ("recorded more than five minutes in the future", "记录时间晚于当前时间五分钟以上"),
    "time_impossible": ("recorded before 1949", "记录时间早于 1949 年"),
    "id_number_in_attribute": ("an attribute must not contain an ID number", "属性中不得出现身份证号码"),
    "id_length": (
        "an ID number has 18 characters, a legacy one or an older card for foreigners 15",
        "身份证号码应为 18 位（旧号及 2023 年 12 月前的外国人永久居留证 15 位）",
    ),
    "id_characters": (
        "only digits and a final X are allowed, or three letters before twelve digits",
        "号码只能包含数字和末位 X，或三位字母加十二位数字",
    ),
    "id_birth_date": ("characters 7 to 14 are not a possible birth date", "身份证号码第 7 至 14 位不是有效的出生日期"),
    "id_birth_in_future": ("the birth date in the number lies in the future", "身份证号码中的出生日期晚于今天"),
    "id_checksum": ("the check character does not fit the other 17", "身份证号码校验码错误"),
    "id_nationality": (
        "the three letters are not a code of a country or region",
        "外国人永久居留证号码的前三位不是国家或地区代码",
    ),
    "period": ("valid_from must lie before valid_to", "valid_from 必须早于 valid_to"),
    "one_day": (
        "this kind covers one day: valid_to is absent or the next day",
        "该类事件只占一天，valid_to 应为空或次日",
    ),
    "in_future": ("this day lies in the future", "日期晚于今天"),
    "previous_required": ("this action must name previous_event_id", "该操作必须填写 previous_event_id"),
    "previous_not_allowed": ("created has no previous event", "created 不得填写 previous_event_id"),
    "previous_is_itself": ("an event cannot precede itself", "事件不能以自身为前一事件"),
    "value_required": ("this action needs a value", "该操作必须填写 value"),
    "value_not_allowed": ("this action has no value (no longer a fault)", "该操作不得填写 value（现已允许，不再退回）"),
    "valid_from_required": ("this kind needs its day", "该类事件必须填写日期 valid_from"),
    "valid_to_required": ("ended must name its day in valid_to", "ended 必须填写 valid_to"),
    "division_unknown": ("this division code was never in force", "行政区划代码不存在"),
    "division_not_in_force": ("this division code was not in force then", "行政区划代码在该日期无效"),
    "hukou_required": (
        "a citizen has a hukou; only a holder of a residence permit is registered without a hukou",
        "居民身份证号码的持有人必须填写户籍地和户口性质，只有持居住证件的人没有户籍",
    ),
    "certificate_id_mismatch": (
        "the part before class and level is not a possible ID number",
        "残疾人证号类别、等级之前的部分不是有效的身份证号码",
    ),
    "certificate_class_mismatch": (
        "the two digits after the ID number are not this class and level",
        "残疾人证号中身份证号码之后的两位与类别、等级不一致",
    ),
    "one_of_two": ("exactly one of the two fields is required", "两个字段必须且只能填写一个"),
    "same_number": ("this is the person's own number", "与本人号码相同"),
    "support_without_tekun": ("support is allowed with tekun only", "供养方式只适用于特困人员"),
    "contact_empty": ("neither a phone of the person nor a contact", "没有本人电话，也没有联系人"),
    "item_unknown": ("this is not an item code", "不是清单项目代码"),
    "duplicate_entry": ("this entry occurs twice", "条目重复"),
    "id_reused": ("this id was sent before with other content", "该 id 已用于内容不同的事件"),
    "digits_lost": (
        "a spreadsheet kept only the first 15 digits of this number: format the column as text and enter it again",
        "号码被表格软件存为数值，15 位以后的数字已丢失；请将该列设为文本格式后重新填写",
    ),
    "cell_formula": (
        "a formula that was never calculated: save the file again, or paste values",
        "公式单元格没有计算结果，请重新保存或粘贴为数值",
    ),
    "cell_error": ("the cell holds an error such as #N/A", "单元格内容为错误值（如 #N/A）"),
    "number": ("this is not a number", "不是有效的数字"),
    "division_name": (
        "no division in force, or more than one, has this name: give the code",
        "地名不存在或不唯一，请填写行政区划代码",
    ),
    "cell_nested": (
        "a list or a record in a Parquet column cannot be read: write it as text, separated by commas",
        "无法读取 Parquet 中的列表或嵌套列，请改为文本并用顿号分隔",
    ),
    "cell_cut": (
        "this cell was shortened in the file of rejects: take it from the original file",
        "该单元格在退回文件中已截断，请填写原文件中的完整内容",
    ),
    "row_too_long": ("a row holds at most 65,536 characters", "一行超过 65,536 个字符"),
    "row_quote": ("a quotation mark is not closed, or is inside a cell", "引号未成对或位于单元格中间"),
    "row_columns": ("a row has at most 256 columns", "一行超过 256 列"),
    "row_encoding": ("some bytes are not characters in the file's encoding", "含有无法按文件编码识别的字节"),
    "columns_not_found": ("no field of this row is known to be an ID number", "该行没有可识别的身份证号字段"),
    "column_ambiguous": (
        "several fields of this row could hold the same value: name the right one in the mapping",
        "该行有多个字段可对应同一项，请在列对应关系中指定",
    ),
    "kind_needed": (
        "rows that are not CloudEvents need the kind of the import",
        "非 CloudEvents 数据须在导入时指定类别",
    ),
    "operation_unknown": ("the feed does not define this operation", "操作标志不在该库表约定的取值范围内"),
    "key_repeated": ("several rows of the table have this key", "表中有多行使用同一主键"),
    "internal": ("an error of the platform; it is logged, send it again later", "系统内部错误，已记录，请稍后重发"),
}

# Codes that are no longer sent. Stored rejections still contain them.
RETIRED: Final = frozenset({"value_not_allowed"})

# The notes in the receipt of an event that is not rejected.
NOTES: Final[dict[str, tuple[str, str]]] = {
    "place_claimed": (
        "accepted as a claimed place: the county that the person leaves is asked to confirm it",
        "已按待确认的地址接收，已通知迁出地核实",
    ),
    "taken_as_hint": (
        "accepted as a hint: this source does not belong to the person",
        "该来源与此人无户籍或居住关系，仅作为线索接收",
    ),
    "value_ignored": (
        "annulled and ended use no value: this value was ignored and not stored",
        "撤销和终止不使用 value，已忽略且未保存",
    ),
}

# Why an accepted event waits for an officer or another event.
QUARANTINE: Final[dict[str, tuple[str, str]]] = {
    "predecessor_missing": ("the event that it follows has not arrived", "所接续的前一事件尚未到达"),
    "predecessor_waits": ("the event that it follows waits, too", "所接续的前一事件也在等待处理"),
    "predecessor_discarded": ("the event that it follows was discarded", "所接续的前一事件已被弃用"),
    "chain_mismatch": (
        "the event that it follows is about another person or kind",
        "所接续的前一事件属于其他人员或其他类别",
    ),
    "registered_elsewhere": (
        "a place outside the areas of this source, which does not belong to the person",
        "户籍地或居住地不在该来源辖区内，且该来源与此人无户籍或居住关系",
    ),
    "source_not_of_person": (
        "no confirmed hukou or residence of this person lies in the areas of this source",
        "此人已确认的户籍地和居住地均不在该来源辖区内",
    ),
    "standing_by_silence": (
        "the source belongs to the person only by a place to which nobody objected: two officers decide",
        "该来源辖区内的地址仅因无人提出异议而确认，须两名经办人员核实",
    ),
    "place_objected": ("the county that the person leaves has objected", "迁出地对该地址提出异议"),
    "withdrawn": ("the source took it back before it counted", "来源在该信息生效前已撤回"),
    "certificate_of_another": (
        "the certificate names an ID number that is not known as an older number of this person",
        "证号所含身份证号码与本人不一致，且没有该号码是本人旧号码的记录",
    ),
    "too_many_identities": (
        "so many numbers cannot belong to one human",
        "并入同一人的号码过多，须人工核实",
    ),
}
_POINTERS: Final = {
    "certificate_of_another": "/data/value/certificate_no",
    "source_not_of_person": "/source",
    "standing_by_silence": "/source",
    "registered_elsewhere": "/data/value",
    "place_objected": "/data/value",
}

# Why a request as a whole is rejected (HTTP has its own codes).
DOORS: Final[dict[str, tuple[str, str]]] = {
    "quota_exceeded": (
        "this source has sent more than agreed: nothing of the request is stored, send it again after Retry-After",
        "超过约定的数据量，本次请求未保存，请在 Retry-After 之后重发",
    ),
    "signature_required": ("this source must sign its requests", "该来源的请求必须签名"),
    "signature_wrong": (
        "the signature is not valid, or belongs to another request or body",
        "签名无效，或与本次请求的地址、内容不符",
    ),
    "signature_old": ("the signature is older than five minutes", "签名已超过五分钟"),
    "signature_used": ("this signature was used before", "该签名已使用过"),
    "too_many_events": ("a batch holds at most 5,000 events", "一批最多 5,000 个事件"),
    "changed_meanwhile": (
        "it was changed since you read it: read it again",
        "内容已被他人修改，请重新读取后再提交",
    ),
}

# Why the sender of a record on Kafka cannot be verified. Such a record counts for no source.
UNVERIFIED: Final[dict[str, tuple[str, str]]] = {
    "signature_missing": ("the record has no header shouwang-signature", "记录缺少 shouwang-signature 签名头"),
    "signature_wrong": (
        "the signature is not valid, or belongs to another topic or value",
        "签名无效，或与该主题、该条记录的内容不符",
    ),
    "signature_old": (
        "the record was appended more than five minutes after it was signed",
        "记录写入时间晚于签名时间五分钟以上",
    ),
    "structured_mode_needed": (
        "on the shared topic an event is sent in structured mode: a signature does not cover headers",
        "共用主题只接收结构化模式的事件，签名不覆盖消息头",
    ),
    "source_unknown": ("the topic belongs to no registered source", "该主题不属于任何已登记的来源"),
}

# How the recorded events of a day compare with the count that the source reported.
DAYS: Final[dict[str, tuple[str, str]]] = {
    "complete": ("the reported number, and the same events", "数量和摘要一致"),
    "short": ("fewer events than reported", "已收数量少于来源报数"),
    "over": ("more events than reported", "已收数量多于来源报数"),
    "differs": ("the reported number, but not the same events", "数量一致但摘要不一致"),
    "not_reported": ("the source has not reported its count", "来源尚未报数"),
}

# Why a source is asked to correct a recorded event (a waiting or rejected event has its own code).
CORRECTIONS: Final[dict[str, tuple[str, str]]] = {
    "doubted": ("an officer has reason to doubt it", "经办人员对该信息存疑"),
    "contradicted": ("another source states something else", "与其他来源的信息矛盾"),
    "outdated": ("it is no longer true", "该信息已不符合现状"),
}

# All lists as they are published: name → titles and codes.
PUBLISHED: Final[dict[str, tuple[str, str, dict[str, tuple[str, str]]]]] = {
    "problems": ("Why an event or a row is rejected", "事件或数据行被退回的原因", PROBLEMS),
    "notes": ("What a receipt notes on an event", "回执中的提示", NOTES),
    "quarantine": ("Why an accepted event waits", "已接收事件待处理的原因", QUARANTINE),
    "files": ("Why a file fails", "文件无法导入的原因", FILES),
    "doors": ("Why a request is rejected", "请求被拒绝的原因", DOORS),
    "unverified": (
        "Why the sender of a record on Kafka cannot be verified",
        "无法确认 Kafka 记录来源的原因",
        UNVERIFIED,
    ),
    "days": ("How a day compares", "按日核对结果", DAYS),
    "corrections": ("Why a correction is asked for", "请求来源更正的原因", CORRECTIONS),
    "feeds": (
        "Why a front-end table is not read, or why its missing rows are ignored",
        "库表无法读取或不判定缺失的原因",
        FEEDS,
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem. `pointer`: RFC 6901 JSON pointer into the event."""

    pointer: str
    code: str
    detail: str
    detail_zh: str


def fault(pointer: str, code: str) -> Fault:
    """Build the fault of a code of PROBLEMS, QUARANTINE or NOTES. Raises KeyError for any other code."""
    found = PROBLEMS.get(code) or QUARANTINE.get(code) or NOTES[code]
    return Fault(pointer, code, *found)


def pointer_of(reason: str) -> str:
    """The JSON pointer to the field of an event because of which it waits. `reason`: a code of QUARANTINE."""
    return _POINTERS.get(reason, "/data/previous_event_id")
