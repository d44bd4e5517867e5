// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time of an entry: RFC 3339, UTC, milliseconds, always 24 bytes.
//!
//! In: the text of a line. Out: a [`Timestamp`], if the text is a real moment in exactly that form.
//!
//! **Invariant:** [`parse`] accepts exactly what `Timestamp`'s `Display` writes for the years 1970 to 9999, so the
//! order of the texts is the order of the moments.

use ringfort_core::clock::Timestamp;

/// Length of a time as text. Bytes.
pub(crate) const TIME_BYTES: usize = 24;

/// Whether `text` is a moment in the one form that the trail writes.
pub(crate) fn is_canonical(text: &[u8; TIME_BYTES]) -> bool {
    fields(text).is_some()
}

/// Reads a time.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let [year, month, day, hour, minute, second, millis] = fields(text.try_into().ok()?)?;
    let years = year - 1970;
    // Leap days before `year`, from 1970; 477 of them lie before 1970.
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let month_days: u64 = (1..month).map(|month| days_in(year, month)).sum();
    let days = years * 365 + leap_days + month_days + day - 1;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis))
}

fn fields(text: &[u8; TIME_BYTES]) -> Option<[u64; 7]> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0, f1, f2, b'Z'] =
        *text
    else {
        return None;
    };
    let year = number(&[y0, y1, y2, y3])?;
    let month = number(&[m0, m1])?;
    let day = number(&[d0, d1])?;
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    let millis = number(&[f0, f1, f2])?;
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then_some([year, month, day, hour, minute, second, millis])
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

fn days_in(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_core_writes(millis in 0_u64..253_402_300_800_000) {
            let time = Timestamp(millis);
            prop_assert_eq!(parse(time.to_string().as_bytes()), Some(time));
        }
    }

    #[test]
    fn deny_what_is_no_moment() {
        for text in [
            "2026-02-29T00:00:00.000Z",
            "2100-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T00:60:00.000Z",
            "2026-01-01T00:00:60.000Z",
            "2026-01-01t00:00:00.000Z",
            "2026-01-01T00:00:00.000z",
            "2026-01-01T00:00:00.00Z",
            "2026-01-01T00:00:00+00:0",
            "1969-12-31T23:59:59.999Z",
            " 026-01-01T00:00:00.000Z",
            "",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "`{text}`");
        }
        assert_eq!(parse(b"2024-02-29T12:00:00.000Z"), Some(Timestamp(1_709_208_000_000)));
    }
}
