"""The closed, published lists of reasons why a file or a front-end table cannot be read. Part of `problems`."""

from typing import Final

# Why a file as a whole could not be imported, or not to its end.
FILES: Final[dict[str, tuple[str, str]]] = {
    "file_empty": ("the file is empty", "文件为空"),
    "file_broken": ("the file is incomplete or damaged", "文件不完整或已损坏"),
    "file_encrypted": ("the file is protected by a password", "文件有密码保护"),
    "zip_bomb": ("unpacked, the file would be larger than allowed", "解压后超出允许的大小"),
    "format_unknown": ("not a CSV, XLSX, NDJSON or Parquet file", "不是 CSV、XLSX、NDJSON 或 Parquet 文件"),
    "format_xls": ("an old or protected workbook: save it as XLSX", "旧版或加密的 Excel 文件，请另存为 XLSX"),
    "encoding_unsupported": ("UTF-16: save it as UTF-8 or GB18030", "不支持 UTF-16，请另存为 UTF-8 或 GB18030"),
    "sheet_unknown": ("the workbook has no such visible sheet", "工作簿中没有该工作表"),
    "too_many_columns": ("a file has at most 256 columns", "文件超过 256 列"),
    "header_not_found": (
        "none of the first 20 rows is a header with a column of ID numbers",
        "前 20 行中没有找到含身份证号列的表头",
    ),
    "column_missing": ("a column that this kind needs is missing", "缺少该类别必需的列"),
    "column_ambiguous": (
        "several columns could hold the same field: rename them, or name the right one in the mapping",
        "多个列可对应同一字段，请修改列名，或在列对应关系中指定",
    ),
    "kind_needed": ("name the kind of the rows of a table", "表格文件须指定类别"),
    "pages_too_large": (
        "the pages of a Parquet file are too large when unpacked: write pages of at most 1 MiB",
        "Parquet 数据页解压后过大，请以不超过 1 MiB 的数据页重新导出",
    ),
    "too_many_tables": ("a workbook has at most 500 sheets with a header", "工作簿中有表头的工作表超过 500 个"),
    "too_many_rows": (
        "the file has more rows than allowed: send it in parts",
        "文件行数超过上限，请分成多个文件上传",
    ),
    "too_many_rejects": (
        "more than 10,000 rows were rejected and hardly one could be used: check the mapping",
        "已有一万行以上被退回，几乎没有可用的行，请检查列的对应关系",
    ),
    "job_died": (
        "the process ended three times in a row while it worked on this file: report it, or send the file in parts",
        "处理该文件时服务进程连续三次异常终止，已停止处理，请联系平台运维，或拆分后重新上传",
    ),
    "spool_lost": (
        "the platform's copy of the file is lost: send it again, the import continues where it stopped",
        "服务器上的文件副本已丢失，请重新上传，将从中断处继续",
    ),
    "internal": (
        "an error of the platform; it is logged, send the file again later",
        "系统内部错误，已记录，请稍后重新上传",
    ),
}

# Why a front-end table cannot be read now, or why its missing rows are ignored.
FEEDS: Final[dict[str, tuple[str, str]]] = {
    "source_away": (
        "the front-end database does not answer; the platform tries again",
        "前置库无法连接，系统将自动重试",
    ),
    "answer_late": ("the front-end database has not answered in time", "前置库未在规定时间内应答"),
    "not_registered": ("the source is not registered for this kind", "来源未登记该类别"),
    "source_suspended": ("this source is suspended", "该来源已停用"),
    "url_missing": ("the variable with the URL of the database is not set", "未设置前置库连接地址的环境变量"),
    "url_invalid": ("the URL of the database cannot be read", "前置库连接地址格式不正确"),
    "driver_missing": ("the driver that the URL names is not installed", "未安装该数据库的驱动程序"),
    "table_unreadable": (
        "the table does not exist, or the account may not read it, or the query is wrong",
        "表不存在、账号无读取权限或查询语句有误",
    ),
    "column_missing": ("a required column is missing: perhaps it was renamed", "缺少必需的列，可能已被改名"),
    "column_ambiguous": (
        "several columns could hold the same field: name the right one in the mapping",
        "多个列可对应同一字段，请在列对应关系中指定",
    ),
    "column_empty": (
        "rows without a key or watermark are not read",
        "部分行的主键或时间戳为空，无法读取",
    ),
    "order_unusable": ("a key or watermark has a type that cannot be compared", "主键或时间戳列的类型无法用于排序"),
    "order_not_unique": (
        "too many rows have the same watermark and key: name a column that distinguishes them",
        "时间戳与主键完全相同的行过多，请增加可区分的列",
    ),
    "watermark_unreadable": ("the watermark does not have the form that the feed defines", "时间戳列的写法与约定不符"),
    "table_moved": (
        "rows were added or removed while the table was read: missing rows are ignored this time",
        "读取期间表内行数发生变化，本次不据此判定缺失",
    ),
    "too_many_missing": (
        "too many rows are missing: an officer must confirm it before anything ends",
        "缺失行数超过上限，须经办人员确认后才会终止",
    ),
    "too_many_rejects": (
        "more than 10,000 rows were rejected and hardly one could be used: check the mapping",
        "已有一万行以上被退回，几乎没有可用的行，请检查列的对应关系",
    ),
    "job_died": (
        "the process ended three times in a row while it read this table; the platform tries again less often",
        "读取该库表时服务进程连续三次异常终止，系统将降低频率重试",
    ),
    "internal": (
        "an error of the platform; it is logged, and the platform tries again",
        "系统内部错误，已记录，将自动重试",
    ),
}
