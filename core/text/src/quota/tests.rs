use super::*;

#[test]
fn quota_and_period() {
    let some = |quota, period| Some(CpuMax { quota, period });
    let rows: [(&[u8], Option<CpuMax>); 14] = [
        (b"max 100000\n", some(Limit::Max, 100_000)),
        (b"50000 100000\n", some(Limit::Value(50_000), 100_000)),
        (b"50000 20000", some(Limit::Value(50_000), 20_000)),
        (b"50000 100000\r\n", some(Limit::Value(50_000), 100_000)),
        (b"50000\n", some(Limit::Value(50_000), 100_000)),
        (b"max", some(Limit::Max, 100_000)),
        (b"50000 0\n", None),
        (b"50000 100000 1\n", None),
        (b"50000 max\n", None),
        (b"-1 100000\n", None),
        (b"", None),
        (b"\n", None),
        (b"99999999999999999999 100000\n", None),
        (b"50000\x00100000\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text).ok(), expected, "{}", text.escape_ascii());
    }
}
