// SPDX-License-Identifier: MIT OR Apache-2.0
//! D-Bus messages as bytes.
//!
//! In: values; bytes of a peer that may be hostile. Out: bytes; values, or why they are none.
//!
//! **Invariant:** reading neither panics nor takes more memory than a fixed multiple of the message, which is at most
//! [`MESSAGE_MAX`] long; what it read again gives the same bytes' meaning.

/// Longest message that is read. Bytes.
pub(crate) const MESSAGE_MAX: usize = 256 * 1024;
/// Longest signature, as the protocol says. Bytes.
const SIGNATURE_MAX: usize = 255;
/// How deep values may be nested.
const DEPTH_MAX: usize = 16;
/// Length of the part of a header that is always there. Bytes.
pub(crate) const FIXED: usize = 16;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WireError(&'static str);

type Wire<T> = Result<T, WireError>;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    /// The bits of a floating-point number.
    F64(u64),
    Text(String),
    Path(String),
    Signature(String),
    Descriptor(u32),
    Variant(Box<Value>),
    /// An array of bytes.
    Bytes(Vec<u8>),
    Array {
        of: String,
        items: Vec<Value>,
    },
    Struct(Vec<Value>),
    Pair(Box<(Value, Value)>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn path(text: &str) -> Self {
        Self::Path(text.to_owned())
    }

    pub(crate) fn variant(value: Self) -> Self {
        Self::Variant(Box::new(value))
    }

    /// A dictionary; `of` is the signature of its values.
    pub(crate) fn dict(of: &str, entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let items = entries.into_iter().map(|(key, value)| Self::Pair(Box::new((Self::Text(key), value))));
        Self::Array { of: format!("{{s{of}}}"), items: items.collect() }
    }

    pub(crate) fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".to_owned(),
            Self::Bool(_) => "b".to_owned(),
            Self::I16(_) => "n".to_owned(),
            Self::U16(_) => "q".to_owned(),
            Self::I32(_) => "i".to_owned(),
            Self::U32(_) => "u".to_owned(),
            Self::I64(_) => "x".to_owned(),
            Self::U64(_) => "t".to_owned(),
            Self::F64(_) => "d".to_owned(),
            Self::Text(_) => "s".to_owned(),
            Self::Path(_) => "o".to_owned(),
            Self::Signature(_) => "g".to_owned(),
            Self::Descriptor(_) => "h".to_owned(),
            Self::Variant(_) => "v".to_owned(),
            Self::Bytes(_) => "ay".to_owned(),
            Self::Array { of, .. } => format!("a{of}"),
            Self::Struct(items) => format!("({})", items.iter().map(Self::signature).collect::<String>()),
            Self::Pair(pair) => format!("{{{}{}}}", pair.0.signature(), pair.1.signature()),
        }
    }
}

/// Alignment of the type that starts with `code`. Bytes.
const fn alignment(code: u8) -> usize {
    match code {
        b'n' | b'q' => 2,
        b'b' | b'i' | b'u' | b's' | b'o' | b'a' | b'h' => 4,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 1,
    }
}

/// Length of the first complete type of a signature. Bytes.
fn first_type(signature: &[u8], depth: usize) -> Wire<usize> {
    if depth > DEPTH_MAX {
        return Err(WireError("a type is nested too deeply"));
    }
    let code = *signature.first().ok_or(WireError("a signature ends early"))?;
    let rest = signature.get(1..).unwrap_or_default();
    match code {
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'h' | b'v' => Ok(1),
        b'a' => Ok(1 + first_element(rest, depth + 1)?),
        b'(' => {
            let mut at = 0;
            while rest.get(at) != Some(&b')') {
                at += first_type(rest.get(at..).unwrap_or_default(), depth + 1)?;
            }
            if at == 0 { Err(WireError("a structure is empty")) } else { Ok(at + 2) }
        }
        _ => Err(WireError("a signature has an unknown type")),
    }
}

/// As [`first_type`], for what may be in an array: also an entry of a dictionary.
fn first_element(signature: &[u8], depth: usize) -> Wire<usize> {
    if signature.first() != Some(&b'{') {
        return first_type(signature, depth);
    }
    let rest = signature.get(1..).unwrap_or_default();
    let key = first_type(rest, depth + 1)?;
    if key != 1 || rest.first() == Some(&b'v') {
        return Err(WireError("the key of a dictionary is no plain type"));
    }
    let value = first_type(rest.get(key..).unwrap_or_default(), depth + 1)?;
    match rest.get(key + value) {
        Some(b'}') => Ok(key + value + 2),
        _ => Err(WireError("an entry of a dictionary has no end")),
    }
}

/// Writes values, little-endian.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes.extend_from_slice(&bytes);
    }

    fn length(&mut self, length: usize) {
        // What we send is a few hundred bytes; a length beyond the limit would be refused by the peer.
        self.number(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    fn short(&mut self, text: &str) {
        self.bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    fn array(&mut self, element: u8, fill: impl FnOnce(&mut Self)) {
        self.length(0);
        let length_at = self.bytes.len() - 4;
        self.align(alignment(element));
        let start = self.bytes.len();
        fill(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    pub(crate) fn put(&mut self, value: &Value) {
        match value {
            Value::Byte(byte) => self.bytes.push(*byte),
            Value::Bool(bool) => self.number(u32::from(*bool).to_le_bytes()),
            Value::I16(number) => self.number(number.to_le_bytes()),
            Value::U16(number) => self.number(number.to_le_bytes()),
            Value::I32(number) => self.number(number.to_le_bytes()),
            Value::U32(number) | Value::Descriptor(number) => self.number(number.to_le_bytes()),
            Value::I64(number) => self.number(number.to_le_bytes()),
            Value::U64(number) | Value::F64(number) => self.number(number.to_le_bytes()),
            Value::Text(text) | Value::Path(text) => self.string(text),
            Value::Signature(text) => self.short(text),
            Value::Variant(value) => {
                self.short(&value.signature());
                self.put(value);
            }
            Value::Bytes(bytes) => self.array(b'y', |writer| writer.bytes.extend_from_slice(bytes)),
            Value::Array { of, items } => {
                let element = of.as_bytes().first().copied().unwrap_or_default();
                self.array(element, |writer| items.iter().for_each(|item| writer.put(item)));
            }
            Value::Struct(items) => {
                self.align(8);
                items.iter().for_each(|item| self.put(item));
            }
            Value::Pair(pair) => {
                self.align(8);
                self.put(&pair.0);
                self.put(&pair.1);
            }
        }
    }
}

/// Reads values.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Wire<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(WireError("a length is too large"))?;
        let taken = self.bytes.get(self.at..end).ok_or(WireError("it ends early"))?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Wire<()> {
        let padding = self.at.next_multiple_of(to) - self.at;
        match self.take(padding)?.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(WireError("padding is not zero")),
        }
    }

    fn number<const N: usize>(&mut self) -> Wire<[u8; N]> {
        self.align(N)?;
        let mut bytes: [u8; N] = self.take(N)?.try_into().map_err(|_| WireError("it ends early"))?;
        if self.big {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn u32(&mut self) -> Wire<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Wire<usize> {
        let length = self.u32()? as usize;
        if length > MESSAGE_MAX { Err(WireError("a length is too large")) } else { Ok(length) }
    }

    fn text(&mut self, length: usize) -> Wire<String> {
        let bytes = self.take(length)?;
        if self.take(1)? != [0] || bytes.contains(&0) {
            return Err(WireError("a text does not end where it should"));
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| WireError("a text is not UTF-8"))
    }

    fn signature(&mut self) -> Wire<String> {
        let length = self.take(1)?.first().copied().unwrap_or_default();
        self.text(length.into())
    }

    /// Reads a value of the one type that `signature` is.
    fn value(&mut self, signature: &[u8], depth: usize) -> Wire<Value> {
        if depth > DEPTH_MAX {
            return Err(WireError("a value is nested too deeply"));
        }
        let code = *signature.first().ok_or(WireError("a signature ends early"))?;
        Ok(match code {
            b'y' => Value::Byte(self.take(1)?.first().copied().unwrap_or_default()),
            b'b' => match self.u32()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(WireError("a truth value is neither")),
            },
            b'n' => Value::I16(self.number().map(i16::from_le_bytes)?),
            b'q' => Value::U16(self.number().map(u16::from_le_bytes)?),
            b'i' => Value::I32(self.number().map(i32::from_le_bytes)?),
            b'u' => Value::U32(self.u32()?),
            b'h' => Value::Descriptor(self.u32()?),
            b'x' => Value::I64(self.number().map(i64::from_le_bytes)?),
            b't' => Value::U64(self.number().map(u64::from_le_bytes)?),
            b'd' => Value::F64(self.number().map(u64::from_le_bytes)?),
            b's' | b'o' => {
                let length = self.length()?;
                let text = self.text(length)?;
                if code == b's' { Value::Text(text) } else { Value::Path(object_path(text)?) }
            }
            b'g' => Value::Signature(self.signature()?),
            b'v' => {
                let inner = self.signature()?;
                if first_type(inner.as_bytes(), 0)? != inner.len() {
                    return Err(WireError("a variant has not one type"));
                }
                Value::variant(self.value(inner.as_bytes(), depth + 1)?)
            }
            b'a' => self.array(signature.get(1..).unwrap_or_default(), depth)?,
            b'(' => Value::Struct(self.members(signature, depth)?),
            b'{' => {
                let [key, value]: [Value; 2] = self
                    .members(signature, depth)?
                    .try_into()
                    .map_err(|_| WireError("an entry of a dictionary is no pair"))?;
                Value::Pair(Box::new((key, value)))
            }
            _ => return Err(WireError("a signature has an unknown type")),
        })
    }

    /// The values between the brackets of `signature`.
    fn members(&mut self, signature: &[u8], depth: usize) -> Wire<Vec<Value>> {
        self.align(8)?;
        let inner = signature.get(1..signature.len().saturating_sub(1)).unwrap_or_default();
        self.values(inner, depth + 1)
    }

    fn array(&mut self, element: &[u8], depth: usize) -> Wire<Value> {
        let length = self.length()?;
        self.align(alignment(element.first().copied().unwrap_or_default()))?;
        if element == b"y" {
            return Ok(Value::Bytes(self.take(length)?.to_vec()));
        }
        let end = self.at + length;
        if end > self.bytes.len() {
            return Err(WireError("it ends early"));
        }
        let mut items = Vec::new();
        while self.at < end {
            items.push(self.value(element, depth + 1)?);
        }
        if self.at != end {
            return Err(WireError("an array does not end where it should"));
        }
        Ok(Value::Array { of: String::from_utf8_lossy(element).into_owned(), items })
    }

    /// The values of all types of `signature`, which has been checked.
    fn values(&mut self, signature: &[u8], depth: usize) -> Wire<Vec<Value>> {
        let mut values = Vec::new();
        let mut rest = signature;
        while !rest.is_empty() {
            let length = first_type(rest, depth)?;
            values.push(self.value(rest.get(..length).unwrap_or_default(), depth)?);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(values)
    }
}

fn object_path(path: String) -> Wire<String> {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(word)) {
        true => Ok(path),
        false => Err(WireError("an object path is none")),
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Call,
    Reply,
    Error,
    Signal,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) sort: Sort,
    pub(crate) serial: u32,
    pub(crate) reply_to: Option<u32>,
    pub(crate) path: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) member: Option<String>,
    pub(crate) sender: Option<String>,
    pub(crate) body: Vec<Value>,
}

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// A message with these header fields.
fn message(sort: u8, serial: u32, mut fields: Vec<(u8, Value)>, body: &[Value]) -> Vec<u8> {
    let mut written = Writer::default();
    body.iter().for_each(|value| written.put(value));
    if !body.is_empty() {
        fields.push((SIGNATURE, Value::Signature(body.iter().map(Value::signature).collect())));
    }
    let items = fields.into_iter().map(|(code, value)| Value::Struct(vec![Value::Byte(code), Value::variant(value)]));
    let mut header = Writer { bytes: vec![b'l', sort, 0, 1] };
    header.length(written.bytes.len());
    header.number(serial.to_le_bytes());
    header.put(&Value::Array { of: "(yv)".to_owned(), items: items.collect() });
    header.align(8);
    header.bytes.extend_from_slice(&written.bytes);
    header.bytes
}

/// A call.
pub(crate) fn call(serial: u32, method: Method<'_>, body: &[Value]) -> Vec<u8> {
    let fields = vec![
        (PATH, Value::path(method.path)),
        (INTERFACE, Value::text(method.interface)),
        (MEMBER, Value::text(method.member)),
        (DESTINATION, Value::text(method.destination)),
    ];
    message(1, serial, fields, body)
}

/// A reply: what a service in a test answers.
#[cfg(test)]
pub(crate) fn reply(serial: u32, to: &Message, body: &[Value]) -> Vec<u8> {
    let mut fields = vec![(REPLY_TO, Value::U32(to.serial))];
    fields.extend(to.sender.iter().map(|sender| (DESTINATION, Value::text(sender))));
    message(2, serial, fields, body)
}

/// A refusal: what a service in a test answers.
#[cfg(test)]
pub(crate) fn error_reply(serial: u32, to: &Message, name: &str, said: &str) -> Vec<u8> {
    let fields = vec![(REPLY_TO, Value::U32(to.serial)), (ERROR, Value::text(name))];
    message(3, serial, fields, &[Value::text(said)])
}

/// The bytes of a message that was read, without what is not kept of it.
#[cfg(feature = "fuzz")]
pub(crate) fn again(read: &Message) -> Vec<u8> {
    let sort = match read.sort {
        Sort::Call => 1,
        Sort::Reply => 2,
        Sort::Error => 3,
        Sort::Signal => 4,
    };
    let texts = [(ERROR, &read.error), (MEMBER, &read.member), (SENDER, &read.sender)];
    let texts = texts.into_iter().filter_map(|(code, text)| Some((code, Value::text(text.as_deref()?))));
    let path = read.path.as_deref().map(|path| (PATH, Value::path(path)));
    let reply_to = read.reply_to.map(|serial| (REPLY_TO, Value::U32(serial)));
    message(sort, read.serial, path.into_iter().chain(reply_to).chain(texts).collect(), &read.body)
}

/// The bytes of an answer to the call `serial`, whose body has the types `types`, as it says.
#[cfg(feature = "fuzz")]
pub(crate) fn reply_of(serial: u32, is_error: bool, types: &str, body: &[u8]) -> Vec<u8> {
    let types: String = types.chars().filter(char::is_ascii).take(SIGNATURE_MAX).collect();
    let mut fields = vec![(REPLY_TO, Value::U32(serial)), (SIGNATURE, Value::Signature(types))];
    fields.extend(is_error.then(|| (ERROR, Value::text("org.freedesktop.Secret.Error.IsLocked"))));
    let mut bytes = message(if is_error { 3 } else { 2 }, serial, fields, &[]);
    if let Some(length) = bytes.get_mut(4..8) {
        length.copy_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Length of the message whose first [`FIXED`] bytes are given. Bytes.
pub(crate) fn length(fixed: &[u8]) -> Wire<usize> {
    let mut reader = Reader { bytes: fixed, at: 4, big: fixed.first() == Some(&b'B') };
    let body = reader.length()?;
    reader.u32()?;
    let fields = reader.length()?;
    let length = FIXED + fields.next_multiple_of(8) + body;
    if length > MESSAGE_MAX { Err(WireError("a message is too long")) } else { Ok(length) }
}

/// Reads a whole message.
pub(crate) fn parse(bytes: &[u8]) -> Wire<Message> {
    let big = match bytes.first() {
        Some(b'l') => false,
        Some(b'B') => true,
        _ => return Err(WireError("a message has no byte order")),
    };
    if length(bytes)? != bytes.len() || bytes.get(3) != Some(&1) {
        return Err(WireError("a message has another length or version"));
    }
    let sort = match bytes.get(1) {
        Some(1) => Sort::Call,
        Some(2) => Sort::Reply,
        Some(3) => Sort::Error,
        Some(4) => Sort::Signal,
        _ => return Err(WireError("a message is of no known sort")),
    };
    let mut reader = Reader { bytes, at: 8, big };
    let serial = reader.u32()?;
    let fields = reader.array(b"(yv)", 0)?;
    reader.align(8)?;
    let mut message =
        Message { sort, serial, reply_to: None, path: None, error: None, member: None, sender: None, body: Vec::new() };
    let mut signature = String::new();
    let Value::Array { items, .. } = fields else {
        return Err(WireError("a header has no fields"));
    };
    for item in items {
        let Value::Struct(members) = item else { continue };
        let [Value::Byte(code), Value::Variant(value)] = members.as_slice() else { continue };
        match (*code, value.as_ref()) {
            (REPLY_TO, Value::U32(serial)) => message.reply_to = Some(*serial),
            (PATH, Value::Path(path)) => message.path = Some(path.clone()),
            (ERROR, Value::Text(name)) => message.error = Some(name.clone()),
            (MEMBER, Value::Text(name)) => message.member = Some(name.clone()),
            (SENDER, Value::Text(name)) => message.sender = Some(name.clone()),
            (SIGNATURE, Value::Signature(text)) => signature.clone_from(text),
            (PATH | REPLY_TO | ERROR | MEMBER | SENDER | SIGNATURE, _) => {
                return Err(WireError("a header field has another type"));
            }
            _ => {}
        }
    }
    if signature.len() > SIGNATURE_MAX {
        return Err(WireError("a signature is too long"));
    }
    // The body starts at a multiple of eight, so that alignments in it may be counted from its own start.
    let mut body = Reader { bytes: reader.bytes.get(reader.at..).unwrap_or_default(), at: 0, big };
    message.body = body.values(signature.as_bytes(), 0)?;
    if body.at == body.bytes.len() { Ok(message) } else { Err(WireError("a body is longer than its values")) }
}

#[cfg(test)]
mod tests;
