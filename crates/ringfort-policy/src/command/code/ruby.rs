// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ruby given inline.
//!
//! In: the text. Out: what it calls. **Invariant:** every name is listed or bound in the text, every method that is
//! called is listed, constants are listed one by one; a method that calls by name, evaluates or opens by text is not
//! understood.

mod tokens;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use super::python::calls::is_plain_variable;
use super::table::Table;
use super::token::{Kind, Tokens};
use super::{Finder, Touch};

/// What a name without a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Harmless,
    Require,
    System,
    Open,
    /// A method that is dangerous whatever the text binds.
    Opaque,
}

/// What a constant, or a method of one, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constant {
    /// A class or module of which only listed methods of values are called.
    Harmless,
    /// Its methods are listed.
    Object,
    Read,
    List,
    /// Mode in the second argument.
    Open,
    Write,
    Copy,
    Move,
    Delete,
    DeleteTree,
    Url,
    Environment,
}

static WORDS: LazyLock<Table<Word>> = LazyLock::new(|| {
    Table::new(&[
        (
            Word::Harmless,
            "puts print p pp printf sprintf format rand srand gets readlines readline loop raise exit abort sleep catch throw \
             Integer Float String Array Rational Complex Hash lambda proc block_given? warn putc \
             if elsif else unless while until for in do end def return next break redo case when then begin rescue ensure \
             yield and or not nil true false BEGIN END attr_reader attr_accessor attr_writer freeze \
             __method__ chomp chop gsub sub initialize to_s include? then",
        ),
        (Word::Require, "require"),
        (Word::System, "system exec spawn"),
        (Word::Open, "open"),
        (
            Word::Opaque,
            "eval instance_eval instance_exec class_eval class_exec module_eval send public_send __send__ method \
             define_method binding load require_relative autoload test trap syscall select fork const_get const_set \
             instance_variable_get instance_variable_set method_missing public_method instance_method set_trace_func \
             remove_method undef_method undef alias alias_method singleton_class extend include prepend using refine \
             global_variables local_variables caller_locations ObjectSpace defined self class module retry super \
             __FILE__ __dir__ __END__ DATA Class Module",
        ),
    ])
});

static CONSTANTS: LazyLock<Table<Constant>> = LazyLock::new(|| {
    Table::new(&[
        (
            Constant::Harmless,
            "STDIN STDOUT STDERR ARGV Math Time Integer Float String Array Hash Set Date DateTime Random Struct Rational \
             Complex Regexp Range Base64 SecureRandom RUBY_VERSION RUBY_PLATFORM RUBY_ENGINE RUBY_PATCHLEVEL Comparable Enumerable \
             StandardError ArgumentError RuntimeError TypeError KeyError ZeroDivisionError StringIO BigDecimal Shellwords \
             Math::PI Math::E Float::INFINITY Float::EPSILON Float::NAN Float::MAX Digest::MD5 Digest::SHA1 Digest::SHA256 Digest::SHA512 \
             JSON::ParserError Integer::MAX",
        ),
        (Constant::Object, "File Dir FileUtils JSON YAML CSV Net Net::HTTP URI Digest Process Pathname IO Kernel ERB"),
        (
            Constant::Harmless,
            "File.join File.basename File.dirname File.extname File.split File::SEPARATOR Dir.pwd JSON.parse \
             JSON.generate JSON.pretty_generate JSON.dump YAML.safe_load YAML.dump CSV.parse CSV.parse_line CSV.generate_line \
             URI.parse URI.encode_www_form URI.encode_www_form_component URI.decode_www_form_component URI.join URI.extract \
             Process.pid Process.clock_gettime Process::CLOCK_MONOTONIC",
        ),
        (
            Constant::Read,
            "File.read File.readlines File.foreach File.binread CSV.read CSV.foreach YAML.safe_load_file JSON.load_file JSON.parse_file",
        ),
        (
            Constant::List,
            "File.exist? File.file? File.directory? File.size File.mtime File.stat File.symlink? File.readable? File.writable? \
             File.executable? File.zero? File.ctime File.atime File.realpath Dir.glob Dir.entries Dir.children Dir.exist? Dir.each_child",
        ),
        (Constant::Open, "File.open File.new"),
        (
            Constant::Write,
            "File.write File.binwrite File.truncate File.mkfifo Dir.mkdir FileUtils.mkdir FileUtils.mkdir_p FileUtils.touch",
        ),
        (
            Constant::Copy,
            "FileUtils.cp FileUtils.cp_r FileUtils.copy FileUtils.ln FileUtils.ln_s FileUtils.ln_sf FileUtils.install File.symlink File.link",
        ),
        (Constant::Move, "File.rename FileUtils.mv FileUtils.move"),
        (
            Constant::Delete,
            "File.delete File.unlink Dir.delete Dir.rmdir Dir.unlink FileUtils.rm FileUtils.rm_f FileUtils.rmdir",
        ),
        (
            Constant::DeleteTree,
            "FileUtils.rm_r FileUtils.rm_rf FileUtils.remove_dir FileUtils.remove_entry FileUtils.rmtree FileUtils.remove_entry_secure",
        ),
        (
            Constant::Url,
            "Net::HTTP.get Net::HTTP.get_response Net::HTTP.post Net::HTTP.post_form Net::HTTP.start Net::HTTP.new Net::HTTP.get_print URI.open",
        ),
        (Constant::Environment, "ENV"),
    ])
});

/// Methods of values that only compute, or read and write what is open already.
static METHODS: LazyLock<Table<()>> = LazyLock::new(|| {
    Table::new(&[(
        (),
        "each each_with_index each_with_object each_slice each_cons each_char each_line each_byte each_pair each_key each_value \
         map flat_map collect select filter filter_map reject find detect find_index index rindex any? all? none? one? count \
         sum min max minmax min_by max_by sort sort_by sort! reverse reverse! reverse_each uniq uniq! compact compact! flatten zip \
         first last take take_while drop drop_while partition group_by chunk_while slice_when tally each_entry lazy force \
         include? member? key? has_key? value? keys values values_at dig fetch store delete delete_if merge merge! update \
         transform_values transform_keys invert to_a to_h to_s to_i to_f to_r to_c to_set push append pop shift unshift insert \
         concat join split lines chars bytes length size empty? nil? zero? positive? negative? even? odd? integer? \
         strip lstrip rstrip chomp chomp! chop chop! squeeze upcase downcase capitalize swapcase upcase! downcase! tr tr_s delete_prefix delete_suffix \
         gsub gsub! sub sub! scan match match? start_with? end_with? ljust rjust center hex oct ord chr succ next pred times upto downto step \
         round floor ceil truncate abs divmod div modulo fdiv gcd lcm digits bit_length clamp between? \
         year month day hour min sec usec nsec wday yday strftime iso8601 to_date to_time utc localtime now today at parse strptime new \
         read gets readlines readline each_char write puts print printf flush close eof? sync= rewind rstrip! strip! \
         encode64 decode64 strict_encode64 strict_decode64 urlsafe_encode64 urlsafe_decode64 hexdigest digest hexencode base64digest \
         random_number uuid alphanumeric random_bytes sqrt sin cos tan log log2 log10 exp pow hypot cbrt rand shuffle sample \
         encode force_encoding unpack unpack1 pack valid_encoding? scrub unicode_normalize b inspect to_json \
         freeze dup clone is_a? kind_of? respond_to? instance_of? equal? eql? hash object_id frozen? then itself \
         product combination permutation transpose rotate cycle each_index fill slice slice! body code message captures named_captures \
         pre_match post_match begin end offset names source add add? subset? superset? intersection union difference escape \
         quo numerator denominator real imaginary nonzero? finite? nan? infinite? casecmp casecmp? prepend replace \
         exclude_end? cover? entries backtrace full_message tap set_encoding binmode fileno isatty tty? host path port scheme query",
    )])
});

const MODULES: &str = "json set date time yaml csv securerandom digest base64 bigdecimal uri net/http fileutils pathname stringio \
                       shellwords pp prime English open-uri digest/md5 digest/sha1 digest/sha2";

/// Whether a library only defines classes that are on the list.
pub(super) fn is_harmless_module(name: &[u8]) -> bool {
    name != b"English" && MODULES.split_ascii_whitespace().any(|known| known.as_bytes() == name)
}

/// Reads a program.
pub(super) fn read(code: &[u8], finder: &mut Finder) -> Option<()> {
    let Some(tokens) = tokens::tokens(code) else {
        finder.unknown(0..code.len());
        return None;
    };
    // What `gets` reads is what the words of the command line name.
    let has = |names: &[&[u8]]| (0..tokens.len()).find(|at| tokens.name(*at).is_some_and(|name| names.contains(&name)));
    if let Some(at) = has(&[b"ARGV"]).filter(|_| has(&[b"gets", b"readline", b"readlines"]).is_some()) {
        finder.unknown(tokens.range(at, at));
    }
    let bound = bindings(&tokens);
    let mut reader = Reader { tokens, finder, bound };
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.token(at);
    }
    Some(())
}

/// The names that a text binds.
fn bindings(tokens: &Tokens<'_>) -> HashSet<Vec<u8>> {
    let mut bound = HashSet::new();
    let mut bars = false;
    let mut head = false;
    for at in 0..tokens.len() {
        let Some(token) = tokens.get(at) else { break };
        match (token.kind, token.text.as_ref()) {
            (Kind::Op, b"|") => {
                let opens =
                    tokens.is_op_before(at, b"{") || at.checked_sub(1).is_some_and(|at| tokens.is_name(at, b"do"));
                bars = opens && !bars;
            }
            (Kind::Name, b"def" | b"for" | b"rescue") => head = true,
            (Kind::Line, _) | (Kind::Op, b";") | (Kind::Name, b"in") => head = false,
            (Kind::Name, name) => {
                let assigned = tokens.get(at + 1).is_some_and(|t| {
                    t.kind == Kind::Op
                        && t.text.ends_with(b"=")
                        && !matches!(t.text.as_ref(), b"==" | b"!=" | b"<=" | b">=" | b"===")
                });
                let listed = tokens.is_op(at + 1, b",")
                    && (at == 0
                        || tokens.before(at).is_some_and(|t| t.kind == Kind::Line || t.text == b";" as &[u8]))
                    || tokens.is_op_before(at, b",") && assigned;
                let lambda =
                    tokens.is_op_before(at, b"(") && at.checked_sub(2).is_some_and(|at| tokens.is_op(at, b"->"));
                if (bars || head || assigned || listed || lambda) && !tokens.is_op_before(at, b".") {
                    bound.insert(name.to_vec());
                }
            }
            _ => {}
        }
    }
    bound
}

struct Reader<'a, 'f> {
    tokens: Tokens<'a>,
    finder: &'f mut Finder,
    bound: HashSet<Vec<u8>>,
}

impl Reader<'_, '_> {
    fn unknown(&mut self, from: usize, to: usize) {
        let range = self.tokens.range(from, to.max(from));
        self.finder.unknown(range);
    }

    fn found(&mut self, touch: Touch, from: usize, to: usize) {
        let range = self.tokens.range(from, to);
        self.finder.add(touch, range);
    }

    fn token(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return at + 1 };
        match token.kind {
            // A text that a shell runs; the tokenizer marks it so.
            Kind::Variable => {
                let text = token.text.to_vec();
                self.found(Touch::Shell((!text.is_empty()).then_some(text)), at, at);
            }
            Kind::Symbol => {
                let plain =
                    token.text.first().is_none_or(|b| !b.is_ascii_alphabetic()) || METHODS.find(&token.text).is_some();
                let named = self.tokens.is_op_before(at, b"&");
                if WORDS.find(&token.text).is_some_and(|word| word != Word::Harmless) || named && !plain {
                    self.unknown(at, at);
                }
            }
            Kind::Op if token.text == b"&" as &[u8] && self.passes_block(at) => self.unknown(at, at),
            Kind::Name => return self.name(at),
            _ => {}
        }
        at + 1
    }

    /// Whether `&` hands over a method that is only known at run time.
    fn passes_block(&self, at: usize) -> bool {
        let starts = self.tokens.is_op_before(at, b"(") || self.tokens.is_op_before(at, b",");
        starts && self.tokens.get(at + 1).is_none_or(|t| t.kind != Kind::Symbol)
    }

    fn name(&mut self, at: usize) -> usize {
        let Some(name) = self.tokens.name(at).map(<[u8]>::to_vec) else { return at + 1 };
        if self.tokens.is_op_before(at, b".") || self.tokens.is_op_before(at, b"&.") {
            self.method(at, &name);
            return at + 1;
        }
        if self.tokens.is_op(at + 1, b":")
            && (self.tokens.is_op_before(at, b"{")
                || self.tokens.is_op_before(at, b",")
                || self.tokens.is_op_before(at, b"("))
        {
            if matches!(name.as_slice(), b"create_additions" | b"object_class" | b"array_class" | b"decimal_class") {
                self.unknown(at, at);
            }
            return at + 1;
        }
        if name.first().is_some_and(u8::is_ascii_uppercase) && WORDS.find(&name).is_none() {
            return self.constant(at, name);
        }
        match WORDS.find(&name) {
            Some(Word::Harmless) => {}
            Some(Word::Opaque) => self.unknown(at, at),
            Some(Word::Require) => {
                let text = self.text(at + 1).or_else(|| self.text(at + 2).filter(|_| self.tokens.is_op(at + 1, b"(")));
                if !text.is_some_and(|text| is_harmless_module(&text)) {
                    self.unknown(at, at + 1);
                }
            }
            Some(Word::System) => self.system(at),
            Some(Word::Open) => {
                let end = self.end_of_arguments(at);
                match self.arguments(at, end).first().and_then(|part| self.only(part)) {
                    Some(text) if text.first() == Some(&b'|') => {
                        self.found(Touch::Shell(text.get(1..).map(<[u8]>::to_vec)), at, at);
                    }
                    Some(text) if text.windows(3).any(|part| part == b"://") => {
                        self.found(Touch::Network(Some(text)), at, at);
                    }
                    Some(_) => self.open(at, end),
                    None => self.unknown(at, at),
                }
            }
            None if self.bound.contains(&name) => {}
            None => self.unknown(at, at),
        }
        at + 1
    }

    fn method(&mut self, at: usize, name: &[u8]) {
        if matches!(name, b"inject" | b"reduce") {
            let close = self.tokens.partner(at + 1);
            let plain = !self.tokens.is_op(at + 1, b"(")
                || (at + 2..close).all(|at| {
                    self.tokens.get(at).is_some_and(|t| match t.kind {
                        Kind::Number => true,
                        Kind::Symbol => {
                            METHODS.find(&t.text).is_some() || t.text.iter().all(|b| !b.is_ascii_alphanumeric())
                        }
                        Kind::Op => matches!(t.text.as_ref(), b"," | b"&" | b"[" | b"]" | b"{" | b"}"),
                        _ => false,
                    })
                });
            let bare = self
                .tokens
                .get(at + 1)
                .is_some_and(|t| matches!(t.kind, Kind::Symbol | Kind::Name | Kind::Text | Kind::Built))
                && !self.tokens.is_name(at + 1, b"do");
            if !plain || bare {
                self.unknown(at, at);
            }
            return;
        }
        if METHODS.find(name).is_none() {
            self.unknown(at, at);
        }
    }

    /// A constant with what follows it.
    fn constant(&mut self, at: usize, name: Vec<u8>) -> usize {
        let (mut full, mut last) = (name, at);
        loop {
            match CONSTANTS.find(&full) {
                Some(Constant::Object) => {}
                Some(Constant::Harmless) => {
                    let nested = self.tokens.is_op(last + 1, b"::") && self.tokens.name(last + 2).is_some();
                    if !nested {
                        return last + 1;
                    }
                }
                Some(kind) => {
                    self.call(kind, at, last);
                    return last + 1;
                }
                None => {
                    self.unknown(at, last);
                    return last + 1;
                }
            }
            let op: &[u8] = if self.tokens.is_op(last + 1, b"::") {
                b"::"
            } else if self.tokens.is_op(last + 1, b".") {
                b"."
            } else {
                // A module as a value of its own.
                self.unknown(at, last);
                return last + 1;
            };
            let Some(part) = self.tokens.name(last + 2) else {
                self.unknown(at, last);
                return last + 1;
            };
            full.extend_from_slice(op);
            full.extend_from_slice(part);
            last += 2;
        }
    }

    fn call(&mut self, kind: Constant, at: usize, last: usize) {
        let end = self.end_of_arguments(last);
        let parts = self.arguments(last, end);
        let first = parts.first().and_then(|part| self.only(part));
        let second = parts.get(1).and_then(|part| self.only(part));
        match kind {
            Constant::Harmless | Constant::Object => {}
            Constant::Read => {
                if !self.is_operand(parts.first()) {
                    self.found(Touch::Read(first), at, last);
                }
            }
            Constant::List => self.found(Touch::List(first), at, last),
            Constant::Open => self.open(last, end),
            Constant::Write => self.found(Touch::Write(first), at, last),
            Constant::Copy => {
                self.found(Touch::Read(first), at, last);
                self.found(Touch::Write(second), at, last);
            }
            Constant::Move => {
                self.found(Touch::Read(first.clone()), at, last);
                self.found(Touch::Delete(first), at, last);
                self.found(Touch::Write(second), at, last);
            }
            Constant::Delete => {
                for part in parts.iter().take(16) {
                    let value = self.only(part);
                    self.found(Touch::Delete(value), at, last);
                }
                if parts.is_empty() {
                    self.found(Touch::Delete(None), at, last);
                }
            }
            Constant::DeleteTree => self.found(Touch::DeleteTree(first), at, last),
            Constant::Url => {
                // `URI("…")` around the text.
                let inner = parts.first().and_then(|part| self.text(part.start + 2).filter(|_| part.len() == 4));
                self.found(Touch::Network(first.or(inner)), at, last);
            }
            Constant::Environment => {
                let plain = self.tokens.is_op(last + 1, b"[")
                    && self.text(last + 2).is_some_and(|name| is_plain_variable(&name))
                    && !self.tokens.is_op(last + 4, b"=");
                if self.tokens.is_op(last + 4, b"=") || self.tokens.is_op(last + 1, b".") && !plain {
                    self.unknown(at, last);
                }
                if !plain {
                    self.found(Touch::Environment, at, last);
                }
            }
        }
    }

    fn is_operand(&self, part: Option<&Range<usize>>) -> bool {
        part.is_some_and(|part| {
            part.len() == 4
                && self.tokens.is_name(part.start, b"ARGV")
                && self.tokens.is_op(part.start + 1, b"[")
                && self.tokens.get(part.start + 2).is_some_and(|t| t.kind == Kind::Number)
        })
    }

    /// `File.open(file, mode)`; the name ends at `last`.
    fn open(&mut self, last: usize, end: usize) {
        let parts = self.arguments(last, end);
        let file = parts.first().and_then(|part| self.only(part));
        match parts.get(1).map(|part| self.only(part)) {
            None => self.found(Touch::Read(file), last, last),
            Some(Some(mode)) if mode.first() == Some(&b'r') && !mode.contains(&b'+') => {
                self.found(Touch::Read(file), last, last);
            }
            Some(_) => {
                self.found(Touch::Read(file.clone()), last, last);
                self.found(Touch::Write(file), last, last);
            }
        }
    }

    fn system(&mut self, at: usize) {
        let end = self.end_of_arguments(at);
        let parts = self.arguments(at, end);
        match parts.as_slice() {
            [only] => {
                let text = self.only(only);
                self.found(Touch::Shell(text), at, at);
            }
            [] => self.found(Touch::Shell(None), at, at),
            _ => {
                if parts.iter().any(|part| self.only(part).is_none()) {
                    self.unknown(at, at);
                }
                let words = parts.iter().map(|part| self.only(part)).collect();
                self.found(Touch::Words(words), at, at);
            }
        }
    }

    fn end_of_arguments(&self, at: usize) -> usize {
        if self.tokens.is_op(at + 1, b"(") {
            return self.tokens.partner(at + 1);
        }
        let mut end = at + 1;
        while let Some(token) = self.tokens.get(end) {
            let ends = match token.kind {
                Kind::Op => {
                    matches!(token.text.as_ref(), b";" | b")" | b"]" | b"}" | b"||" | b"&&" | b"?" | b"{" | b".")
                }
                Kind::Name => matches!(
                    token.text.as_ref(),
                    b"or" | b"and" | b"if" | b"unless" | b"while" | b"until" | b"do" | b"rescue"
                ),
                Kind::Line => true,
                _ => false,
            };
            if ends || end > at + 64 {
                break;
            }
            end = self.tokens.partner(end).max(end) + 1;
        }
        end
    }

    fn arguments(&self, at: usize, end: usize) -> Vec<Range<usize>> {
        let start = if self.tokens.is_op(at + 1, b"(") { at + 2 } else { at + 1 };
        self.tokens.split(start..end.max(start))
    }

    fn only(&self, part: &Range<usize>) -> Option<Vec<u8>> {
        if part.len() == 1 { self.text(part.start) } else { None }
    }

    fn text(&self, at: usize) -> Option<Vec<u8>> {
        self.tokens.get(at).filter(|t| t.kind == Kind::Text).map(|t| t.text.to_vec())
    }
}
