//! Parses amounts: `256M`, `1.5G`, `0.5` CPUs.
//!
//! Decimals are computed with integers, so the value written to the kernel is exact, to the byte and the
//! microsecond.

/// Significant digits after the point.
const DECIMALS: u32 = 9;
const SCALE: u128 = 10_u128.pow(DECIMALS);

/// The period of a CPU quota in microseconds: the kernel's default, on v1 and v2.
pub(super) const CPU_PERIOD: u64 = 100_000;

/// Minimum memory to start a command, including the container's init.
const LEAST_MEMORY: u64 = 4 << 20;

/// Parses a size in bytes: `1048576`, `256M`, `256MiB`, `1.5g`. Suffixes are powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let malformed = || "a size is a number with an optional k, M, G or T, such as 256M".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let power = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 1,
        "m" | "mb" | "mi" | "mib" => 2,
        "g" | "gb" | "gi" | "gib" => 3,
        "t" | "tb" | "ti" | "tib" => 4,
        _ => return Err(malformed()),
    };
    let scaled = decimal(number).ok_or_else(malformed)?;
    let bytes = scaled
        .checked_mul(1024_u128.pow(power))
        .map(|bytes| bytes / SCALE)
        // Half of the range: the kernel's limits are signed.
        .and_then(|bytes| i64::try_from(bytes).ok())
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or("no machine has that much")?;
    if bytes < LEAST_MEMORY {
        return Err("less than 4M is too little for any command to start".to_owned());
    }
    Ok(bytes)
}

/// Parses a number of CPUs, such as `1.5`; returns microseconds per [`CPU_PERIOD`].
pub(super) fn cpu_quota(text: &str) -> Result<u64, String> {
    let malformed = || "a number of CPUs is a decimal number above 0, such as 1.5".to_owned();
    let scaled = decimal(text).filter(|n| *n > 0).ok_or_else(malformed)?;
    let most = u128::from(vistafs_text::cpu_set::MAX_CPUS) * SCALE;
    if scaled > most {
        return Err("no machine has that many".to_owned());
    }
    let quota = u64::try_from(scaled * u128::from(CPU_PERIOD) / SCALE).unwrap_or(u64::MAX);
    // The kernel's minimum quota is one millisecond.
    if quota < 1000 {
        return Err("less than 0.01 is too little for the kernel to schedule".to_owned());
    }
    Ok(quota)
}

/// Parses digits with at most one point, times [`SCALE`]. Further digits are dropped.
fn decimal(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    // 20 digits and nine more fit into 128 bits, with room for the suffix.
    if whole.len() > 20 {
        return None;
    }
    let digits = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(DECIMALS as usize);
    let number = whole.bytes().chain(digits).fold(0_u128, |number, digit| {
        number * 10 + u128::from(digit - b'0')
    });
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("4194304", Some(4 << 20)),
            ("4194304B", Some(4 << 20)),
            ("8192k", Some(8 << 20)),
            ("256M", Some(256 << 20)),
            ("256m", Some(256 << 20)),
            ("256MB", Some(256 << 20)),
            ("256Mi", Some(256 << 20)),
            ("256MiB", Some(256 << 20)),
            ("1.5G", Some(3 << 29)),
            (".5G", Some(1 << 29)),
            ("2T", Some(2 << 40)),
            ("8388608T", None),
            ("99999999999999999999999999999999999999999T", None),
            ("0", None),
            ("4095k", None),
            ("", None),
            (".", None),
            ("M", None),
            ("1.2.3M", None),
            ("-256M", None),
            ("256 M", None),
            ("256X", None),
            ("256Mx", None),
            ("0x10M", None),
            ("max", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn cpu_quotas() {
        for (text, quota) in [
            ("1", Some(100_000)),
            ("1.5", Some(150_000)),
            ("1.", Some(100_000)),
            (".5", Some(50_000)),
            ("0.29", Some(29_000)),
            ("0.01", Some(1000)),
            ("64", Some(6_400_000)),
            ("0.009", None),
            ("0", None),
            ("0.0", None),
            ("-1", None),
            ("1,5", None),
            ("one", None),
            ("", None),
            ("100000", None),
            ("1e3", None),
        ] {
            assert_eq!(cpu_quota(text).ok(), quota, "{text:?}");
        }
    }
}
