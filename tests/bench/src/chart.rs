//! The chart: for each file and way, the latency relative to the minimum cost of FUSE.

use std::fmt::Write as _;

use crate::figures::decimal;
use crate::measure::Results;
use crate::report::Ratio;

const LEFT: u64 = 210;
const WIDTH: u64 = 480;
const BAR: u64 = 13;
const ROW: u64 = 34;
const TOP: u64 = 66;
/// Maximum ratio of a bar, in hundredths: a longer bar is cut, and only its number is exact.
const LONGEST: u64 = 1000;

/// Returns an SVG of the ratios.
pub(crate) fn svg(results: &Results) -> String {
    let ratios = results.ratios();
    let rows = ratios.len() as u64;
    let (width, height) = (LEFT + WIDTH + 70, TOP + rows * ROW + 12);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\">Times what FUSE takes at least (1.00): less is better</text>\n"
    );
    legend(&mut out);
    for (number, ratio) in ratios.iter().enumerate() {
        row(&mut out, TOP + number as u64 * ROW, ratio);
    }
    let at = LEFT + length(100);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<line x1=\"{at}\" x2=\"{at}\" y1=\"{}\" y2=\"{}\" stroke=\"#333\" stroke-dasharray=\"3 3\"/>",
        TOP - 6,
        height - 10
    );
    out + "</svg>\n"
}

const COLOURS: [(&str, &str); 2] = [("vistafs", "#2a7f62"), ("lxcfs", "#b0b7c3")];

fn legend(out: &mut String) {
    for (at, (name, colour)) in [12, 110].iter().zip(COLOURS) {
        let _ = writeln!(
            out,
            "<rect x=\"{at}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"45\">{name}</text>",
            at + 18
        );
    }
}

fn row(out: &mut String, top: u64, ratio: &Ratio) {
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}, {}</text>",
        LEFT - 8,
        top + 17,
        ratio.file.name,
        ratio.way.name()
    );
    let bars = [Some(ratio.own_ratio), ratio.lxcfs_ratio];
    for ((hundredths, (_, colour)), line) in bars.iter().zip(COLOURS).zip(0..) {
        let Some(hundredths) = *hundredths else {
            continue;
        };
        let (y, long) = (top + line * BAR, length(hundredths));
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{long}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\" font-size=\"11\">{}</text>",
            BAR - 1,
            LEFT + long + 5,
            y + 10,
            decimal(hundredths)
        );
    }
}

fn length(hundredths: u64) -> u64 {
    hundredths.min(LONGEST) * WIDTH / LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FILES, Way};

    #[test]
    fn bars_are_as_long_as_ratios() {
        assert_eq!(length(0), 0);
        assert_eq!(length(LONGEST / 2), WIDTH / 2);
        assert_eq!(length(u64::MAX), WIDTH);
        let ratio = Ratio {
            file: FILES[0],
            way: Way::Kept,
            own: 5000,
            own_ratio: 123,
            before_ratio: None,
            lxcfs_ratio: None,
            kernel_ratio: None,
        };
        let mut out = String::new();
        row(&mut out, 0, &ratio);
        assert!(out.contains("uptime, pread") && out.contains(">1.23<"));
        assert_eq!(out.matches("<rect").count(), 1);
    }
}
