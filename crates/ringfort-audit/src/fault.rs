// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a trail, by stable name.
//!
//! In: nothing. Out: [`FaultKind`], and the place where a fault was seen.
//!
//! **Invariant:** the names are part of the format (`docs/formats/trail.md`): a name is never reused for another fault.
//! A note is never a fault: it says something worth knowing about a trail that holds together.

use std::fmt;

use serde::Serialize;

macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum $type { $($(#[$doc])* #[serde(rename = $name)] $variant),+ }

        impl $type {
            /// Every one, in the order of the format page.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// The kinds of faults.
    FaultKind {
        /// The line does not have the hash that it names: it was edited.
        BadHash = "bad-hash",
        /// The line follows another line than the one before it: something was inserted or replaced.
        BrokenLink = "broken-link",
        /// An entry is not there.
        MissingEntry = "missing-entry",
        /// An entry stands later than it should.
        Reordered = "reordered",
        /// An entry has the number of an earlier one.
        DuplicateSeq = "duplicate-seq",
        /// The trail, or a sealed segment, ends before it should.
        Truncated = "truncated",
        /// The last line is incomplete; the next append repairs that.
        TornTail = "torn-tail",
        /// The line is not in the one form that the trail writes.
        NotCanonical = "not-canonical",
        /// A member stands twice in an object.
        DuplicateMember = "duplicate-member",
        /// The line is of a version that is not known here.
        UnknownVersion = "unknown-version",
        /// The line is not UTF-8.
        NotUtf8 = "not-utf8",
        /// The line is longer than a line may be.
        LineTooLong = "line-too-long",
        /// The first line of a segment is not the header that belongs there.
        BadHeader = "bad-header",
        /// A whole segment is not there.
        SegmentMissing = "segment-missing",
        /// A segment bears the name of another.
        SegmentOrder = "segment-order",
        /// A file or the folder is open to others, foreign, linked, or no regular file.
        WrongMode = "wrong-mode",
        /// The record of the newest entry is not there.
        HeadMissing = "head-missing",
        /// The record of the newest entry cannot be read.
        HeadDamaged = "head-damaged",
        /// An entry that was acknowledged has another hash now: the trail was rewritten or rolled back.
        HeadMismatch = "head-mismatch",
    }
}

named! {
    /// The kinds of notes.
    NoteKind {
        /// A time lies before the one of the entry before it.
        TimeBackwards = "time-backwards",
        /// Entries stand after the newest one that was acknowledged, as a killed writer leaves them.
        BeyondHead = "beyond-head",
        /// A file that does not belong here.
        StrayFile = "stray-file",
        /// A quarantined piece of an incomplete line.
        TornFile = "torn-file",
        /// The trail was verified while it could not be locked, or while others wrote.
        NotLocked = "not-locked",
    }
}

/// The first fault of a trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The file in which it was seen.
    pub segment: String,
    /// The line in that file, from 1; 0 where it is not about a line.
    pub line: u64,
    /// The number that the entry at this place has, or should have.
    pub seq: u64,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}: {} (`{}`", self.seq, self.kind, self.message, self.segment)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        f.write_str(")")
    }
}

/// Something worth knowing that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// How often it was seen.
    pub count: u64,
    /// The first entry that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// A sentence for people.
    pub message: String,
}
