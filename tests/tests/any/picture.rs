//! contrib/doc/host-and-containers.svg: files of a host and two of its containers, read from one mount.
//!
//! The numbers are rendered by the views, so the picture cannot be wrong. After a change of either, run
//! `VISTAFS_ACCEPT=1 cargo test -p vistafs-tests --test any picture`.

use std::fmt::Write as _;

use crate::captured::{Captured, meminfo_field, workspace};
use crate::made_up::{Layout, MadeUp};

const PICTURE: &str = "contrib/doc/host-and-containers.svg";

/// The contents of one box.
struct Column {
    title: &'static str,
    limits: &'static str,
    lines: Vec<String>,
}

/// A container on the default host with 16 GiB and four CPUs, which has been up for 20 days.
fn container(memory: u64, used: u64, quota: &str, age_seconds: u64) -> MadeUp {
    const UP: u64 = 20 * 86_400;
    let mut host = MadeUp::new("/box/app");
    host.facts.boottime_ns = UP * 1_000_000_000;
    host.facts.start_ticks = (UP - age_seconds) * 100;
    host.write("proc/uptime", format!("{UP}.00 {}.00\n", 3 * UP));
    let files = [
        ("memory.max", format!("{memory}\n")),
        ("memory.current", format!("{used}\n")),
        ("memory.stat", "anon 0\nfile 0\n".to_owned()),
        ("cpu.max", format!("{quota}\n")),
        (
            "cpu.stat",
            "usage_usec 0\nuser_usec 0\nsystem_usec 0\n".to_owned(),
        ),
    ];
    for (file, text) in files {
        host.set(Layout::V2, "box/app", file, &text);
    }
    host
}

/// The lines of a box, formatted like `free -m`, `grep -c ^processor` and `uptime`.
fn lines(meminfo: &str, cpuinfo: &str, uptime: &str) -> Vec<String> {
    let mib = |field| meminfo_field(meminfo, field).unwrap() / 1024;
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor"));
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let age = match seconds / 3600.0 {
        hours if hours >= 48.0 => format!("{:.0} days", hours / 24.0),
        hours => format!("{hours:.0} hours"),
    };
    vec![
        format!("MemTotal   {:>6} MiB", mib("MemTotal")),
        format!("MemFree    {:>6} MiB", mib("MemFree")),
        format!("processors {:>6}", cpus.count()),
        format!("up         {age:>10}"),
    ]
}

fn columns() -> [Column; 3] {
    let shown = |host: &MadeUp| {
        let host: Captured = host.open();
        let text = |view| host.show(view);
        lines(
            &text("proc/meminfo"),
            &text("proc/cpuinfo"),
            &text("proc/uptime"),
        )
    };
    let web = container(512 << 20, 200 << 20, "100000 100000", 3 * 3600);
    let batch = container(4 << 30, 3 << 30, "200000 100000", 12 * 3600);
    let host = web.open();
    let file = |path| host.host_file(path);
    [
        Column {
            title: "host",
            limits: "no container: the kernel's own files",
            lines: lines(
                &file("proc/meminfo"),
                &file("proc/cpuinfo"),
                &file("proc/uptime"),
            ),
        },
        Column {
            title: "container web",
            limits: "memory.max 512M, cpu.max 1 CPU",
            lines: shown(&web),
        },
        Column {
            title: "container batch",
            limits: "memory.max 4G, cpu.max 2 CPUs",
            lines: shown(&batch),
        },
    ]
}

fn svg() -> String {
    const WIDTH: usize = 260;
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 840 250\" role=\"img\" \
         font-family=\"ui-monospace, monospace\" font-size=\"13\">\n\
         <title>One mount; a host and two containers each read their own truth from it</title>\n\
         <rect width=\"840\" height=\"250\" rx=\"8\" fill=\"#f6f8fa\"/>\n\
         <text x=\"420\" y=\"28\" text-anchor=\"middle\" fill=\"#57606a\">\
         /proc/meminfo, /proc/cpuinfo, /proc/uptime of one vistafs mount, read at three places</text>\n",
    );
    for (at, column) in columns().into_iter().enumerate() {
        let x = 15 + at * (WIDTH + 15);
        let (fill, stroke) = [
            ("#ffffff", "#57606a"),
            ("#ddf4ff", "#0969da"),
            ("#dafbe1", "#1a7f37"),
        ][at];
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<g transform=\"translate({x} 45)\">\n\
             <rect width=\"{WIDTH}\" height=\"190\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"/>\n\
             <text x=\"14\" y=\"28\" font-weight=\"bold\" fill=\"{stroke}\">{}</text>\n\
             <text x=\"14\" y=\"50\" font-size=\"11\" fill=\"#57606a\">{}</text>\n",
            column.title, column.limits
        );
        for (line, y) in column.lines.iter().zip((85..).step_by(26)) {
            let _ = writeln!(
                out,
                "<text x=\"14\" y=\"{y}\" xml:space=\"preserve\" fill=\"#1f2328\">{line}</text>"
            );
        }
        out += "</g>\n";
    }
    out + "</svg>\n"
}

#[test]
fn the_picture_shows_what_the_views_show() {
    let path = workspace().join(PICTURE);
    let made = svg();
    assert!(
        made.contains("512 MiB") && made.contains("16384 MiB"),
        "{made}"
    );
    if std::env::var_os("VISTAFS_ACCEPT").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == made,
        "{PICTURE} is old: VISTAFS_ACCEPT=1 cargo test -p vistafs-tests --test any picture"
    );
}
