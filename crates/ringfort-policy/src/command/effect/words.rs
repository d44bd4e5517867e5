// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words: what the bytes of an option or operand are, before any role.
//!
//! In: bytes and an entry of the catalogue. Out: the option that they name, its value, or what they look like.
//!
//! **Invariant:** nothing here decides what a word does.

use super::super::analysis::Argument;
use super::super::catalogue::{Entry, Opt, Role, Special, Style, Takes, lists};

/// Whether the first operand of this program is a program text.
pub(in crate::command) fn is_program(entry: &Entry) -> bool {
    matches!(entry.operands.first(), Some(Role::Code(_) | Role::Value | Role::Execute)) && entry.operands.len() > 1
}

/// Whether an option of this program could run, load, write or delete something.
pub(in crate::command) fn may_run(entry: &Entry) -> bool {
    entry.special == Some(Special::Find) || entry.options_run
}

pub(in crate::command) fn named(entry: &Entry, name: &[u8]) -> Option<&'static Opt> {
    entry.options.iter().find(|opt| lists(opt.names, name))
}

/// GNU programs accept the beginning of a long name.
pub(in crate::command) fn abbreviated(entry: &Entry, name: &[u8]) -> Option<&'static Opt> {
    if name.len() < 4 || entry.style == Style::Long {
        return None;
    }
    entry.options.iter().find(|opt| opt.names.split(' ').any(|listed| listed.as_bytes().starts_with(name)))
}

/// An option of a program with long names whose value is glued to it.
pub(in crate::command) fn glued<'b>(entry: &Entry, bytes: &'b [u8]) -> Option<(&'static Opt, &'b [u8])> {
    entry.options.iter().filter(|opt| opt.takes != Takes::Nothing).find_map(|opt| {
        let rest = opt
            .names
            .split(' ')
            .find_map(|name| bytes.strip_prefix(name.as_bytes()).filter(|rest| !rest.is_empty()))?;
        Some((opt, rest.strip_prefix(b":").unwrap_or(rest)))
    })
}

/// `name=value` as name and value.
pub(in crate::command) fn split_value(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|b| *b == b'=') {
        Some(at) => (bytes.get(..at).unwrap_or(bytes), bytes.get(at + 1..)),
        None => (bytes, None),
    }
}

pub(in crate::command) fn known_text(arg: &Argument, bytes: &[u8]) -> Option<String> {
    if arg.source.is_none() { Some(String::from_utf8_lossy(bytes).into_owned()) } else { None }
}

/// Whether the path is standard input.
pub(in crate::command) fn is_stdin(bytes: &[u8]) -> bool {
    matches!(bytes, b"-" | b"/dev/stdin" | b"/dev/fd/0" | b"/proc/self/fd/0")
}

/// Whether the path is one of bash's network pseudo-files.
pub(in crate::command) fn is_socket(bytes: &[u8]) -> bool {
    bytes.starts_with(b"/dev/tcp/") || bytes.starts_with(b"/dev/udp/")
}

/// Whether the text of an argument looks like it makes a program start a shell.
pub(in crate::command) fn starts_shell(bytes: &[u8]) -> bool {
    const SHELLS: [&[u8]; 12] = [
        b"/bin/sh",
        b"/bin/bash",
        b"/bin/dash",
        b"/bin/zsh",
        b"/bin/ksh",
        b"exec \"sh\"",
        b"exec 'sh'",
        b"!sh",
        b"!/bin",
        b"system(",
        b"os.execute",
        b"exec=",
    ];
    bytes.len() >= 3
        && bytes.len() <= 64 << 10
        && bytes.iter().any(|b| matches!(b, b'/' | b'!' | b'(' | b' ' | b'='))
        && SHELLS.iter().any(|shell| contains(bytes, shell))
}

/// Whether `needle` occurs in `bytes`.
pub(in crate::command) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| b == first) {
        rest = rest.get(at..).unwrap_or(&[]);
        if rest.starts_with(needle) {
            return true;
        }
        rest = rest.get(1..).unwrap_or(&[]);
    }
    false
}
