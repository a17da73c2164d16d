//! Medians and quantiles in whole numbers.

/// Returns the quantile at `thousandths`. Sorts `values`.
pub(crate) fn quantile(values: &mut [u64], thousandths: usize) -> u64 {
    values.sort_unstable();
    let at = values.len().saturating_sub(1) * thousandths.min(1000) / 1000;
    values.get(at).copied().unwrap_or(0)
}

pub(crate) fn median(values: &mut [u64]) -> u64 {
    quantile(values, 500)
}

/// Returns a ratio in hundredths.
pub(crate) fn hundredths(of: u64, to: u64) -> u64 {
    of.saturating_mul(100) / to.max(1)
}

/// Formats hundredths as a decimal number.
pub(crate) fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Formats nanoseconds as µs with one decimal.
pub(crate) fn micros(ns: u64) -> String {
    let tenths = (ns + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values: Vec<u64> = (1..=1001).rev().collect();
        assert_eq!(median(&mut values), 501);
        assert_eq!(quantile(&mut values, 990), 991);
        assert_eq!(quantile(&mut values, 1000), 1001);
        assert_eq!(quantile(&mut values, 5000), 1001);
        assert_eq!(median(&mut []), 0);
        assert_eq!(median(&mut [7, 3]), 3);
    }

    #[test]
    fn numbers_are_cut_and_rounded() {
        assert_eq!(decimal(hundredths(3, 2)), "1.50");
        assert_eq!(decimal(hundredths(1, 3)), "0.33");
        assert_eq!(decimal(hundredths(1, 0)), "1.00");
        assert_eq!(micros(15_749), "15.7");
        assert_eq!(micros(15_750), "15.8");
    }
}
