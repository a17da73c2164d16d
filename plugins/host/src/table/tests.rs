use std::ptr;

use super::*;

#[repr(C)]
struct Longer {
    size: usize,
    number: u64,
    later: u64,
}

// SAFETY: numbers.
unsafe impl Table for Longer {
    const WHAT: &'static str = "a table";
    const SIZE_AT: usize = 0;
    const LEAST: usize = 16;
}

#[test]
fn as_much_is_read_as_there_is() {
    let mut made = Longer {
        size: 16,
        number: 7,
        later: 8,
    };
    // SAFETY: it is as large as it says.
    let read = unsafe { copy(&raw const made) }.unwrap();
    assert_eq!((read.number, read.later), (7, 0));
    made.size = 4000;
    let longer = [
        made,
        Longer {
            size: 0,
            number: 0,
            later: 0,
        },
    ];
    // SAFETY: no more than the table that is known here is read.
    let read = unsafe { copy(longer.as_ptr()) }.unwrap();
    assert_eq!((read.number, read.later), (7, 8));
}

#[test]
fn what_is_no_table_is_told() {
    let short = Longer {
        size: 8,
        number: 0,
        later: 0,
    };
    // SAFETY: not read beyond its size.
    let why = unsafe { copy(&raw const short) }.err().unwrap();
    assert_eq!(
        why.to_string(),
        "a table is 8 bytes long, 16 at least are needed"
    );
    // SAFETY: null and misaligned pointers are not followed.
    let none = unsafe { copy(ptr::null::<Longer>()) };
    assert_eq!(none.err(), Some(Problem::Null("a table")));
    let odd = (&raw const short).wrapping_byte_add(1);
    // SAFETY: as above.
    let odd = unsafe { copy(odd) };
    assert_eq!(odd.err(), Some(Problem::Misaligned("a table")));
}

#[test]
fn texts_and_lists_are_bounded() {
    let of = |ptr: *const u8, len| abi::Str {
        ptr: ptr.cast(),
        len,
    };
    let texts = [
        (of(ptr::null(), 0), Ok(String::new())),
        (of(ptr::null(), 1), Err(Problem::Null("x"))),
        (of(b"ab".as_ptr(), 2), Ok("ab".to_owned())),
        (
            of(b"ab".as_ptr(), usize::MAX),
            Err(Problem::Long {
                what: "x",
                size: usize::MAX,
                most: LONGEST,
            }),
        ),
        (of(b"\xff".as_ptr(), 1), Err(Problem::NotText("x"))),
    ];
    for (given, expected) in texts {
        // SAFETY: those of a length that is taken are there.
        assert_eq!(unsafe { text(given, "x") }, expected);
    }
    let odd = ptr::dangling::<u16>().wrapping_byte_add(1);
    for (given, count, fine) in [
        (ptr::null(), 0, true),
        (ptr::null(), 1, false),
        (ptr::dangling(), MOST + 1, false),
        (odd, 1, false),
    ] {
        // SAFETY: none of these is followed.
        assert_eq!(unsafe { list(given, count, "x") }.is_ok(), fine);
    }
}
