//! The budgets of containers, compared with the unit's limits and the documents.

use vistafs_container::budgets as b;

use crate::captured::workspace;

fn text(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

/// The value of a setting of the unit; `1G` is returned in bytes.
fn setting(unit: &str, name: &str) -> usize {
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = line.unwrap();
    let (digits, unit) = value.split_at(value.trim_end_matches(char::is_alphabetic).len());
    let factor = match unit {
        "" => 1,
        "M" => 1 << 20,
        "G" => 1 << 30,
        unit => panic!("{name}={value}: {unit}"),
    };
    digits.parse::<usize>().unwrap() * factor
}

#[test]
fn the_unit_grants_what_all_tenants_may_take() {
    let unit = text("contrib/systemd/vistafs.service");
    let memory =
        b::WAITING_BYTES_OF_ALL + b::HELD_BYTES_OF_ALL + b::OPEN_FILES_OF_ALL * b::OPEN_FILE;
    // The part of its stack that a thread touches.
    let memory = memory + b::OFFLOAD_THREADS * (64 << 10);
    // A quarter is left for the containers themselves, and for the minimum of each tenant.
    assert!(memory <= setting(&unit, "MemoryMax") / 4 * 3, "{memory}");
    let descriptors = b::NAMESPACES_OF_ALL * b::DESCRIPTORS_OF_NAMESPACES;
    assert!(
        descriptors <= setting(&unit, "LimitNOFILE") / 2,
        "{descriptors}"
    );
}

#[test]
fn the_document_has_the_numbers() {
    let document = text("contrib/doc/BUDGETS.md");
    let grouped = |number: usize| {
        let digits = number.to_string();
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        grouped
    };
    let bytes = |number: usize| match number >> 20 {
        0 => format!("{} KiB", number >> 10),
        mib => format!("{mib} MiB"),
    };
    let row = |what: &str| {
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| {what}")));
        row.unwrap_or_else(|| panic!("{what}")).to_owned()
    };
    let rows = [
        ("Offload threads", vec![grouped(b::OFFLOAD_THREADS)]),
        (
            "Processes looked at",
            vec![
                grouped(b::PROCESSES_LOOKED_AT),
                grouped(b::ANCESTORS_LOOKED_AT),
            ],
        ),
        (
            "Cgroups walked",
            vec![grouped(vistafs_cgroup::MOST_CGROUPS)],
        ),
        (
            "Waiting requests",
            vec![
                bytes(b::WAITING_BYTES),
                bytes(b::WAITING_BYTES_OF_ALL),
                bytes(b::WAITING_BYTES_ALWAYS),
            ],
        ),
        (
            "Texts and listings",
            vec![
                bytes(b::HELD_BYTES),
                bytes(b::HELD_BYTES_OF_ALL),
                bytes(b::HELD_BYTES_ALWAYS),
            ],
        ),
        (
            "Open files",
            vec![
                grouped(b::OPEN_FILES),
                grouped(b::OPEN_FILES_OF_ALL),
                grouped(b::OPEN_FILES_ALWAYS),
            ],
        ),
        (
            "Pairs of namespaces",
            vec![grouped(b::NAMESPACES), grouped(b::NAMESPACES_OF_ALL)],
        ),
    ];
    for (what, numbers) in rows {
        let row = row(what);
        for number in numbers {
            assert!(row.contains(&number), "{number} is not in {row}");
        }
    }
}
