"""Batches as the broker stores them, read with and without names of headers that are not UTF-8."""

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from shell.kafka.lenient_records import LenientRecords

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
RECORDS = 40


class InGbk(str):
    """A name whose bytes in GBK are not UTF-8."""

    def encode(self, *_: object) -> bytes:
        return super().encode("gbk")


def batch(codec: str, first_offset: int, odd: frozenset[int]) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, -1, 2**20)
    for n in range(RECORDS):
        headers = [("ce_id", b"1"), (InGbk("来源") if n in odd else "来源", "民政局".encode()), ("无值", None)]
        assert builder.append(n, 1_000 + n, b"k", f"value {n}".encode(), headers) is not None
    content = bytearray(builder.build())
    content[:8] = first_offset.to_bytes(8, "big")  # the broker assigns the offset
    return bytes(content)


def three_batches(codec: str, odd: frozenset[int]) -> bytes:
    return batch(codec, 100, odd) + batch("none", 140, frozenset()) + batch(codec, 180, odd)


def read(records: LenientRecords | MemoryRecords) -> list[tuple[object, ...]]:
    found = []
    while records.has_next():
        each = records.next_batch()
        assert each is not None
        assert each.validate_crc()
        found += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in each]
        assert each.next_offset == found[-1][0] + 1
    return found


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("odd", [{0}, {17, 18}, {RECORDS - 1}, set(range(RECORDS))], ids=str)
def test_only_the_wrong_bytes_of_a_name_are_replaced(codec: str, odd: set[int]) -> None:
    right = read(MemoryRecords(three_batches(codec, frozenset())))
    found = read(LenientRecords(three_batches(codec, frozenset(odd)) + b"cut off"))
    assert [record[:4] for record in found] == [record[:4] for record in right]
    for position, (one, other) in enumerate(zip(found, right, strict=True)):
        if position % RECORDS in odd and not RECORDS <= position < 2 * RECORDS:
            names = [name for name, _ in one[4]]
            assert names == ["ce_id", InGbk("来源").encode().decode("utf-8", "replace"), "无值"]
            assert [value for _, value in one[4]] == [value for _, value in other[4]]
        else:
            assert one == other


def test_a_record_that_is_cut_off_is_no_batch() -> None:
    whole = batch("none", 0, frozenset())
    assert not LenientRecords(whole[:-1]).has_next()
    assert LenientRecords(whole[:-1]).size_in_bytes() == len(whole) - 1
