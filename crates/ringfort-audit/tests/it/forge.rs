// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hand-written second implementation of the format, good enough to forge trails with.
//!
//! It shares no code with the crate, so that the vectors do not prove the crate right by the crate itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringfort_core::digest::Digest;

/// The files of a trail, as lines.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) files: BTreeMap<String, Vec<Vec<u8>>>,
    pub(crate) head: Vec<u8>,
}

impl Forge {
    pub(crate) fn read(path: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".jsonl") {
                let lines =
                    fs::read(&path).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                files.insert(name, lines);
            }
        }
        let mut forge = Self { files, head: fs::read(path.join("head")).unwrap() };
        forge.edit_head(|mark| {
            mark.insert("boot".to_owned(), "vector".into());
        });
        forge
    }

    pub(crate) fn write(&self, path: &Path) {
        fs::create_dir_all(path).unwrap();
        if !self.head.is_empty() {
            fs::write(path.join("head"), &self.head).unwrap();
        }
        for (name, lines) in &self.files {
            fs::write(path.join(name), lines.concat()).unwrap();
        }
    }

    /// The file and the place of entry `seq` in a trail that nobody has touched.
    fn place(&self, seq: u64) -> (String, usize) {
        let (name, _) = self.files.iter().rfind(|(name, _)| first(name) <= seq).unwrap();
        (name.clone(), usize::try_from(seq - first(name)).unwrap())
    }

    pub(crate) fn name(&self, index: usize) -> String {
        self.files.keys().nth(index).unwrap().clone()
    }

    /// The name of the newest segment.
    pub(crate) fn newest(&self) -> String {
        self.files.keys().next_back().unwrap().clone()
    }

    pub(crate) fn line(&mut self, seq: u64) -> &mut Vec<u8> {
        let (name, index) = self.place(seq);
        &mut self.files.get_mut(&name).unwrap()[index]
    }

    pub(crate) fn text(&mut self, seq: u64) -> String {
        String::from_utf8(self.line(seq).clone()).unwrap()
    }

    /// Replaces in one line, and leaves its hash as it is.
    pub(crate) fn edit(&mut self, seq: u64, from: &str, to: &str) {
        let text = self.text(seq);
        assert!(text.contains(from), "{text}");
        *self.line(seq) = text.replacen(from, to, 1).into_bytes();
    }

    /// Replaces in one line and gives it the hash that fits, as who knows the format would.
    pub(crate) fn forge(&mut self, seq: u64, from: &str, to: &str) {
        self.edit(seq, from, to);
        let line = self.line(seq);
        *line = rehashed(line);
    }

    pub(crate) fn remove(&mut self, seq: u64) -> Vec<u8> {
        let (name, index) = self.place(seq);
        self.files.get_mut(&name).unwrap().remove(index)
    }

    pub(crate) fn insert(&mut self, seq: u64, line: Vec<u8>) {
        let (name, index) = self.place(seq);
        self.files.get_mut(&name).unwrap().insert(index, line);
    }

    /// Recomputes every link and hash from `seq` to the end of its segment, and gives the last hash.
    pub(crate) fn relink(&mut self, seq: u64) -> String {
        let (name, index) = self.place(seq);
        let mut prev: Option<String> = None;
        for line in &mut self.files.get_mut(&name).unwrap()[index..] {
            let text = String::from_utf8(line.clone()).unwrap();
            let text = match prev {
                Some(prev) => text.replacen(&text[text.find("\"prev\":\"").unwrap() + 8..][..64], &prev, 1),
                None => text,
            };
            *line = rehashed(text.as_bytes());
            prev = Some(hash_of(line));
        }
        prev.unwrap()
    }

    /// Changes all four marks of the head, with checks that fit.
    pub(crate) fn edit_head(&mut self, change: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
        let names = ["v", "next", "hash", "segment", "previous", "segments", "bytes", "line", "boot", "turn"];
        let mut head = Vec::new();
        for slot in self.head.chunks(512) {
            let text = std::str::from_utf8(slot).unwrap();
            let end = text.rfind('}').unwrap() + 1;
            let mut mark = serde_json::from_str(&text[..end]).unwrap();
            change(&mut mark);
            let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{}", mark[*name])).collect();
            let json = format!("{{{}}}", members.join(","));
            let check = Digest::of(json.as_bytes()).to_string();
            head.extend(format!("{:<511}\n", format!("{json} {check}")).into_bytes());
        }
        self.head = head;
    }
}

/// The first entry of a segment.
pub(crate) fn first(name: &str) -> u64 {
    name.trim_end_matches(".jsonl").parse().unwrap()
}

fn hash_of(line: &[u8]) -> String {
    let text = std::str::from_utf8(line).unwrap();
    text[text.rfind("\"hash\":\"").unwrap() + 8..][..64].to_owned()
}

/// The line with the hash that its body has.
pub(crate) fn rehashed(line: &[u8]) -> Vec<u8> {
    try_rehashed(line).unwrap()
}

/// As [`rehashed`]; `None` if there is no place for a hash.
pub(crate) fn try_rehashed(line: &[u8]) -> Option<Vec<u8>> {
    let mark = b",\"hash\":\"";
    let cut = line.windows(mark.len()).rposition(|window| window == mark)?;
    let hash = Digest::of(&line[..cut]).to_string();
    let rest = line.get(cut + mark.len() + 64..)?;
    Some([&line[..cut], mark, hash.as_bytes(), rest].concat())
}
