// SPDX-License-Identifier: MIT OR Apache-2.0
//! JavaScript given inline, as Node runs it.
//!
//! In: the text. Out: what it calls. **Invariant:** every value in an understood text comes from listed objects and
//! from the text itself, every method that is called is listed or defined in the text, and no name leads to a
//! constructor of functions: neither by a dot, nor by text, nor by a key that is computed.

mod calls;
mod tokens;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use super::fold::Constants;
use super::table::Table;
use super::token::{Kind, Tokens, is_word};
use super::{Finder, Touch};

/// What a name without a dot before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    /// Part of the language.
    Keyword,
    /// A value, function or class that only computes.
    Value,
    /// An object whose members are listed.
    Object,
    /// Never the text's own, whatever it binds.
    Closed,
    Require,
    Fetch,
    Deno,
}

/// What a listed member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Harmless,
    /// An object whose members are listed.
    Object,
    Call(Call),
}

/// What a call does with its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Shell,
    /// A program and a list of words.
    Program,
    Read,
    List,
    Write,
    Copy,
    Move,
    Delete,
    /// Removes a tree.
    DeleteTree,
    /// A URL, or an object that holds a host.
    Url,
    Network,
    Listen,
    Environment,
    Kill,
    Privilege,
}

static GLOBALS: LazyLock<Table<Global>> = LazyLock::new(|| {
    Table::new(&[
        (
            Global::Keyword,
            "const let var if else for while do switch case default break continue return function new typeof instanceof in \
             of void delete throw try catch finally async await yield class extends static get set true false null undefined",
        ),
        (
            Global::Value,
            "NaN Infinity parseInt parseFloat isNaN isFinite encodeURIComponent decodeURIComponent encodeURI decodeURI \
             escape unescape Error TypeError RangeError SyntaxError Map Set WeakMap WeakSet URL URLSearchParams \
             TextDecoder TextEncoder setTimeout clearTimeout setInterval clearInterval setImmediate queueMicrotask \
             structuredClone atob btoa Boolean BigInt Uint8Array Uint16Array Uint32Array Int8Array Int16Array Int32Array \
             Float32Array Float64Array ArrayBuffer DataView",
        ),
        (
            Global::Object,
            "console JSON Math Object Array String Number Date RegExp Promise Buffer process Symbol Intl performance crypto",
        ),
        (
            Global::Closed,
            "http https http2 net tls dgram dns fs child_process vm cluster worker_threads inspector v8 repl sqlite test \
             wasi trace_events async_hooks diagnostics_channel domain WebSocket Worker EventSource XMLHttpRequest \
             WebAssembly navigator SharedArrayBuffer Atomics FinalizationRegistry WeakRef MessageChannel BroadcastChannel \
             localStorage sessionStorage caches indexedDB ShadowRealm AsyncFunction importScripts Iterator",
        ),
        (Global::Require, "require"),
        (Global::Fetch, "fetch"),
        (Global::Deno, "Deno Bun"),
    ])
});

static MEMBERS: LazyLock<Table<Member>> = LazyLock::new(|| {
    Table::new(&[
        (
            Member::Harmless,
            "console.log console.error console.warn console.info console.debug console.table console.dir console.time \
             console.timeEnd console.assert console.group console.groupEnd console.count console.trace \
             JSON.parse JSON.stringify \
             Math.PI Math.E Math.abs Math.max Math.min Math.floor Math.ceil Math.round Math.trunc Math.sqrt Math.cbrt Math.pow Math.random \
             Math.sin Math.cos Math.tan Math.asin Math.acos Math.atan Math.atan2 Math.log Math.log2 Math.log10 Math.exp \
             Math.sign Math.hypot Math.imul Math.fround Math.clz32 Math.SQRT2 Math.LN2 Math.LN10 \
             Object.keys Object.values Object.entries Object.fromEntries Object.freeze Object.is Object.groupBy \
             Array.from Array.isArray Array.of String.fromCharCode String.fromCodePoint String.raw \
             Number.isInteger Number.isNaN Number.isFinite Number.parseInt Number.parseFloat Number.MAX_SAFE_INTEGER \
             Number.MIN_SAFE_INTEGER Number.EPSILON Number.MAX_VALUE Number.MIN_VALUE Number.isSafeInteger \
             Date.now Date.UTC Date.parse Promise.all Promise.resolve Promise.allSettled Promise.race Promise.reject Promise.any \
             Buffer.from Buffer.alloc Buffer.byteLength Buffer.concat Buffer.isBuffer Buffer.compare \
             Intl.NumberFormat Intl.DateTimeFormat Intl.Collator Intl.PluralRules Intl.RelativeTimeFormat \
             performance.now crypto.randomUUID crypto.randomBytes crypto.createHash crypto.createHmac crypto.randomInt \
             crypto.getHashes crypto.timingSafeEqual \
             process.argv process.exit process.exitCode process.version process.versions process.platform process.arch \
             process.pid process.ppid process.cwd process.uptime process.hrtime process.memoryUsage process.cpuUsage \
             process.execPath process.title process.stdin.on process.stdin.once process.stdin.setEncoding \
             process.stdin.resume process.stdin.read process.stdin.isTTY process.stdin.toArray process.stdin.fd \
             process.stdout.write process.stdout.columns process.stdout.isTTY process.stderr.write process.nextTick \
             process.getuid process.getgid process.geteuid process.release process.config process.features process.execArgv \
             path.join path.basename path.dirname path.extname path.resolve path.relative path.normalize path.parse path.sep \
             path.isAbsolute path.format path.delimiter \
             os.EOL os.platform os.type os.arch os.release os.hostname os.cpus os.totalmem os.freemem os.homedir os.tmpdir os.uptime \
             os.loadavg os.endianness os.version os.machine os.availableParallelism os.userInfo os.networkInterfaces \
             util.inspect util.format util.isDeepStrictEqual util.styleText util.stripVTControlCharacters \
             url.parse url.format url.URL url.URLSearchParams url.fileURLToPath url.pathToFileURL url.resolve \
             querystring.parse querystring.stringify querystring.escape querystring.unescape \
             assert.strictEqual assert.deepStrictEqual assert.equal assert.ok assert.deepEqual assert.notEqual \
             readline.createInterface string_decoder.StringDecoder \
             zlib.gzipSync zlib.gunzipSync zlib.inflateSync zlib.deflateSync zlib.brotliCompressSync zlib.brotliDecompressSync \
             zlib.unzipSync zlib.inflateRawSync zlib.deflateRawSync \
             timers.setTimeout fs.constants",
        ),
        (
            Member::Object,
            "process.stdin process.stdout process.stderr fs fs.promises path os util url querystring assert events readline \
             child_process http https net dgram dns tls http2 zlib string_decoder timers buffer perf_hooks crypto Deno",
        ),
        (Member::Call(Call::Environment), "process.env"),
        (Member::Call(Call::Kill), "process.kill process.abort"),
        (
            Member::Call(Call::Privilege),
            "process.setuid process.setgid process.seteuid process.setegid process.setgroups process.initgroups",
        ),
        (Member::Call(Call::Shell), "child_process.exec child_process.execSync"),
        (
            Member::Call(Call::Program),
            "child_process.spawn child_process.spawnSync child_process.execFile child_process.execFileSync",
        ),
        (
            Member::Call(Call::Read),
            "fs.readFileSync fs.readFile fs.createReadStream fs.promises.readFile fs.readlinkSync fs.readlink \
             fs.promises.readlink Deno.readTextFileSync Deno.readTextFile Deno.readFile Deno.readFileSync",
        ),
        (
            Member::Call(Call::List),
            "fs.existsSync fs.statSync fs.lstatSync fs.readdirSync fs.accessSync fs.realpathSync fs.stat fs.lstat fs.readdir \
             fs.access fs.realpath fs.promises.stat fs.promises.lstat fs.promises.readdir fs.promises.access \
             fs.promises.realpath Deno.statSync Deno.stat Deno.readDirSync Deno.readDir",
        ),
        (
            Member::Call(Call::Write),
            "fs.writeFileSync fs.writeFile fs.appendFileSync fs.appendFile fs.createWriteStream fs.mkdirSync fs.mkdir \
             fs.promises.writeFile fs.promises.appendFile fs.promises.mkdir fs.chmodSync fs.chmod fs.promises.chmod \
             fs.chownSync fs.chown fs.promises.chown fs.utimesSync fs.truncateSync fs.truncate Deno.writeTextFileSync \
             Deno.writeTextFile Deno.writeFile Deno.writeFileSync Deno.mkdirSync Deno.mkdir",
        ),
        (
            Member::Call(Call::Copy),
            "fs.copyFileSync fs.copyFile fs.promises.copyFile fs.cpSync fs.cp fs.promises.cp fs.linkSync fs.link \
             fs.symlinkSync fs.symlink fs.promises.symlink fs.promises.link Deno.copyFileSync Deno.copyFile",
        ),
        (Member::Call(Call::Move), "fs.renameSync fs.rename fs.promises.rename Deno.renameSync Deno.rename"),
        (Member::Call(Call::Delete), "fs.unlinkSync fs.unlink fs.promises.unlink fs.rmdirSync fs.rmdir fs.promises.rmdir"),
        (Member::Call(Call::DeleteTree), "fs.rmSync fs.rm fs.promises.rm Deno.removeSync Deno.remove"),
        (
            Member::Call(Call::Url),
            "http.get http.request https.get https.request http2.connect dns.lookup dns.resolve dns.resolve4 dns.resolveTxt",
        ),
        (Member::Call(Call::Network), "net.connect net.createConnection tls.connect dgram.createSocket"),
        (Member::Call(Call::Listen), "http.createServer https.createServer net.createServer"),
    ])
});

/// Methods of values that only compute, or write to what is open already.
static METHODS: LazyLock<Table<()>> = LazyLock::new(|| {
    Table::new(&[(
        (),
        "map filter forEach reduce reduceRight some every find findIndex findLast findLastIndex flat flatMap includes indexOf lastIndexOf join \
         concat slice splice push pop shift unshift sort toSorted reverse toReversed fill keys values entries at \
         split replace replaceAll match matchAll test exec search trim trimStart trimEnd padStart padEnd repeat \
         startsWith endsWith charAt charCodeAt codePointAt substring substr toLowerCase toUpperCase toString normalize \
         localeCompare toLocaleLowerCase toLocaleUpperCase toFixed toPrecision toExponential toLocaleString \
         getTime getFullYear getMonth getDate getDay getHours getMinutes getSeconds getMilliseconds toISOString \
         toJSON toDateString toTimeString toUTCString toLocaleDateString toLocaleTimeString getTimezoneOffset \
         getUTCFullYear getUTCMonth getUTCDate getUTCHours getUTCMinutes getUTCSeconds setDate setMonth setFullYear \
         setHours setMinutes setSeconds get set has add delete clear size append getAll then catch finally \
         on once end setEncoding write digest update format resolvedOptions isFile isDirectory isSymbolicLink \
         readUInt8 readUInt16LE readUInt32LE readUInt16BE readUInt32BE readInt32LE equals subarray decode encode \
         text json arrayBuffer hasOwnProperty next isSubsetOf union intersection difference close resume",
    )])
});

/// Names that lead from a value to the inside of the language, wherever they stand.
const FORBIDDEN: &str = "constructor __proto__ prototype caller callee arguments eval Function Reflect Proxy global \
                         globalThis window self this super with debugger module exports mainModule binding dlopen \
                         _linkedBinding __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ \
                         getPrototypeOf setPrototypeOf defineProperty defineProperties getOwnPropertyDescriptor \
                         getOwnPropertyDescriptors call apply bind runInThisContext runInNewContext import \
                         prepareStackTrace stackTraceLimit getBuiltinModule reallyExit chdir connect open valueOf \
                         asyncIterator toPrimitive createRequire enableCompileCache loadEnvFile __dirname __filename";

fn is_forbidden(name: &[u8]) -> bool {
    name.starts_with(b"_") && name != b"_"
        || FORBIDDEN.split_ascii_whitespace().any(|forbidden| forbidden.as_bytes() == name)
}

/// Calls that return what they are given.
fn wraps(name: &[u8]) -> bool {
    matches!(name, b"String" | b"resolve" | b"normalize")
}

/// Most names that are looked at as counters.
const COUNTERS_MAX: usize = 16;
/// Most names that a text may give to modules.
const NAMES_MAX: usize = 128;

/// Reads a program.
pub(super) fn read(code: &[u8], finder: &mut Finder) -> Option<()> {
    let Some(tokens) = tokens::tokens(code) else {
        finder.unknown(0..code.len());
        return None;
    };
    let constants = Constants::new(&tokens, wraps);
    let mut reader = Reader { tokens, constants, finder, modules: HashMap::new(), bound: HashSet::new(), counters: Vec::new() };
    reader.names();
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.token(at);
    }
    Some(())
}

struct Reader<'a, 'f> {
    tokens: Tokens<'a>,
    constants: Constants,
    finder: &'f mut Finder,
    /// Names that modules and their members have here.
    modules: HashMap<Vec<u8>, Vec<u8>>,
    /// Names that the text binds somewhere.
    bound: HashSet<Vec<u8>>,
    /// Names that only ever hold numbers.
    counters: Vec<Vec<u8>>,
}

impl Reader<'_, '_> {
    /// Finds names for modules, and names that only hold numbers.
    fn names(&mut self) {
        let mut tried = 0;
        let mut patterns: Vec<bool> = Vec::new();
        for at in 0..self.tokens.len() {
            self.binding(at, &mut patterns);
            if self.tokens.is_name(at, b"require") && self.tokens.is_op(at + 1, b"(") {
                self.module_name(at);
            }
            let number = self.tokens.get(at + 2).is_some_and(|t| t.kind == Kind::Number)
                && self.tokens.get(at + 3).is_some_and(|t| t.kind == Kind::Op && matches!(t.text.as_ref(), b";" | b","));
            let declared = at.checked_sub(1).and_then(|at| self.tokens.name(at)).is_some_and(|n| matches!(n, b"let" | b"var"));
            if number
                && declared
                && tried < COUNTERS_MAX
                && self.tokens.is_op(at + 1, b"=")
                && let Some(name) = self.tokens.name(at).map(<[u8]>::to_vec)
            {
                tried += 1;
                if self.only_counts(&name, at) {
                    self.counters.push(name);
                }
            }
        }
    }

    /// Notes a name that is bound at `at`, or may be.
    fn binding(&mut self, at: usize, patterns: &mut Vec<bool>) {
        let Some(token) = self.tokens.get(at) else { return };
        match (token.kind, token.text.as_ref()) {
            (Kind::Op, b"(" | b"[" | b"{") => {
                let after = self.tokens.partner(at) + 1;
                let binds = [&b"=>"[..], b"{", b"="].iter().any(|op| self.tokens.is_op(after, op))
                    || self.tokens.is_name(after, b"of");
                patterns.push(binds || patterns.last() == Some(&true) && token.text != b"{" as &[u8]);
            }
            (Kind::Op, b")" | b"]" | b"}") => {
                patterns.pop();
            }
            (Kind::Name, name) => {
                let declared = at.checked_sub(1).and_then(|at| self.tokens.name(at)).is_some_and(|before| {
                    matches!(before, b"const" | b"let" | b"var" | b"function" | b"class" | b"async")
                });
                let listed = self.tokens.is_op_before(at, b",") || self.tokens.is_op_before(at, b"*");
                let given = self.tokens.is_op(at + 1, b"=") || self.tokens.is_op(at + 1, b"=>");
                let member = self.tokens.is_op_before(at, b".");
                if !member && (declared || given || patterns.last() == Some(&true) || listed && self.tokens.is_op(at + 1, b";")) {
                    let name = name.to_vec();
                    self.bound.insert(name);
                }
            }
            _ => {}
        }
    }

    /// Whether every other place that could bind `name` adds or takes a number.
    fn only_counts(&self, name: &[u8], declared: usize) -> bool {
        if self.counters.iter().any(|known| known == name) {
            return true;
        }
        (0..self.tokens.len()).filter(|at| *at != declared && self.tokens.is_name(*at, name)).all(|at| {
            let before = self.tokens.before(at);
            let binds = before.is_some_and(|t| match t.kind {
                Kind::Name => matches!(t.text.as_ref(), b"let" | b"var" | b"const" | b"function" | b"class"),
                Kind::Op => matches!(t.text.as_ref(), b"{" | b"..." | b":" | b"."),
                _ => false,
            });
            let Some(next) = self.tokens.get(at + 1).filter(|t| t.kind == Kind::Op) else { return !binds };
            let op = next.text.as_ref();
            let steps = matches!(op, b"++" | b"--")
                || matches!(op, b"+=" | b"-=") && self.tokens.get(at + 2).is_some_and(|t| t.kind == Kind::Number);
            let tests = matches!(op, b"<" | b">" | b"<=" | b">=" | b"===" | b"!==" | b"==" | b"!=" | b"+" | b"-" | b"*" | b"/" | b"%" | b"]");
            let read = matches!(op, b")" | b";" | b"," | b"}") && before.is_some_and(|t| {
                t.kind == Kind::Op && matches!(t.text.as_ref(), b"+" | b"-" | b"*" | b"/" | b"%" | b"<" | b">" | b"<=" | b"++" | b"--" | b"=")
            });
            !binds && (steps || tests || read)
        })
    }

    /// `NAME = require('x')` and `{ a, b } = require('x')`.
    fn module_name(&mut self, at: usize) {
        let Some(module) = self.required(at) else { return };
        let close = self.tokens.partner(at + 1);
        if self.tokens.is_op(close + 1, b".") && self.tokens.name(close + 2).is_none() {
            return;
        }
        // `require('fs').promises` as a value keeps its name.
        let mut full = module;
        let mut end = close;
        while self.tokens.is_op(end + 1, b".") {
            let Some(part) = self.tokens.name(end + 2) else { return };
            full.push(b'.');
            full.extend_from_slice(part);
            end += 2;
        }
        if !self.tokens.is_op_before(at, b"=") || self.tokens.is_op(end + 1, b"(") {
            return;
        }
        let Some(target) = at.checked_sub(2) else { return };
        if let Some(name) = self.tokens.name(target).map(<[u8]>::to_vec) {
            if !self.tokens.is_op_before(target, b".") {
                self.name_module(name, full, target);
            }
            return;
        }
        if self.tokens.is_op(target, b"}") {
            let open = self.tokens.partner(target);
            for part in self.tokens.parts(open) {
                let Some(member) = self.tokens.name(part.start).map(<[u8]>::to_vec) else {
                    self.unknown(part.start, part.end.saturating_sub(1));
                    continue;
                };
                let alias = match part.len() {
                    1 => Some(member.clone()),
                    3 if self.tokens.is_op(part.start + 1, b":") => self.tokens.name(part.start + 2).map(<[u8]>::to_vec),
                    _ => None,
                };
                let mut name = full.clone();
                name.push(b'.');
                name.extend_from_slice(&member);
                match alias {
                    Some(alias) => self.name_module(alias, name, part.start),
                    None => self.unknown(part.start, part.end.saturating_sub(1)),
                }
            }
        }
    }

    fn name_module(&mut self, alias: Vec<u8>, full: Vec<u8>, at: usize) {
        if self.modules.len() >= NAMES_MAX {
            return self.unknown(at, at);
        }
        if self.modules.insert(alias, full.clone()).is_some_and(|old| old != full) {
            self.unknown(at, at);
        }
    }

    /// The module of a `require` at `at`, by a known text.
    fn required(&self, at: usize) -> Option<Vec<u8>> {
        let close = self.tokens.partner(at + 1);
        let text = self.tokens.get(at + 2).filter(|t| t.kind == Kind::Text && close == at + 3)?;
        let name = text.text.strip_prefix(b"node:").unwrap_or(&text.text);
        let name: Vec<u8> = name.iter().map(|b| if *b == b'/' { b'.' } else { *b }).collect();
        matches!(MEMBERS.find(&name), Some(Member::Object)).then_some(name)
    }

    fn unknown(&mut self, from: usize, to: usize) {
        let range = self.tokens.range(from, to.max(from));
        self.finder.unknown(range);
    }

    fn found(&mut self, touch: Touch, from: usize, to: usize) {
        let range = self.tokens.range(from, to);
        self.finder.add(touch, range);
    }

    fn value(&self, range: Range<usize>) -> Option<Vec<u8>> {
        self.constants.value(&self.tokens, range, wraps)
    }

    /// Looks at the token at `at`; returns the position after what was looked at.
    fn token(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return at + 1 };
        match token.kind {
            Kind::Text if is_forbidden(&token.text) && token.text.iter().all(|b| is_word(*b) || *b == b'$') => {
                self.unknown(at, at);
                at + 1
            }
            Kind::Op if token.text == b"[" as &[u8] => {
                self.bracket(at);
                at + 1
            }
            Kind::Name => self.word(at),
            _ => at + 1,
        }
    }

    fn word(&mut self, at: usize) -> usize {
        let Some(name) = self.tokens.name(at) else { return at + 1 };
        if is_forbidden(name) {
            self.unknown(at, at);
            return at + 1;
        }
        if self.tokens.is_op_before(at, b".") || self.tokens.is_op_before(at, b"?.") {
            self.member(at);
            return at + 1;
        }
        // A key of an object, or a label.
        let key = self.tokens.is_op(at + 1, b":")
            && (self.tokens.is_op_before(at, b"{") || self.tokens.is_op_before(at, b","));
        if key {
            return at + 1;
        }
        if let Some(full) = self.modules.get(name).cloned() {
            // Where it is bound.
            if self.tokens.is_op(at + 1, b"=") || self.is_pattern(at) {
                return at + 1;
            }
            return self.chain(at, at, full);
        }
        match GLOBALS.find(name) {
            Some(Global::Keyword | Global::Value) => at + 1,
            Some(Global::Closed) => {
                // Node gives every module a name of its own.
                if MEMBERS.find(name) == Some(Member::Object) {
                    return self.chain(at, at, name.to_vec());
                }
                self.unknown(at, at);
                at + 1
            }
            Some(Global::Object) => {
                let full = name.to_vec();
                if self.tokens.is_op(at + 1, b".") || self.tokens.is_op(at + 1, b"?.") {
                    return self.chain(at, at, full);
                }
                // The classes among them are called, made, or passed as functions.
                if !matches!(full.as_slice(), b"Object" | b"Array" | b"String" | b"Number" | b"Date" | b"RegExp" | b"Promise")
                    || self.tokens.is_op(at + 1, b"[")
                {
                    self.unknown(at, at);
                }
                at + 1
            }
            Some(Global::Require) => self.require(at),
            Some(Global::Fetch) => {
                self.call(Call::Url, at, at + 1);
                at + 1
            }
            Some(Global::Deno) => self.chain(at, at, name.to_vec()),
            None if self.bound.contains(name) => at + 1,
            None if MEMBERS.find(name) == Some(Member::Object) => self.chain(at, at, name.to_vec()),
            None => {
                self.unknown(at, at);
                at + 1
            }
        }
    }

    /// Whether the name at `at` stands in the pattern of a `require`.
    fn is_pattern(&self, at: usize) -> bool {
        let mut end = at + 1;
        let mut left = 32;
        while left > 0 && self.tokens.get(end).is_some_and(|t| {
            t.kind == Kind::Name || t.kind == Kind::Op && matches!(t.text.as_ref(), b"," | b":")
        }) {
            end += 1;
            left -= 1;
        }
        self.tokens.is_op(end, b"}") && self.tokens.is_op(end + 1, b"=") && self.tokens.is_name(end + 2, b"require")
    }

    fn require(&mut self, at: usize) -> usize {
        let close = self.tokens.partner(at + 1);
        if !self.tokens.is_op(at + 1, b"(") {
            self.unknown(at, at);
            return at + 1;
        }
        match self.required(at) {
            // A name for it was noted; elsewhere a member has to follow.
            Some(full) if self.tokens.is_op(close + 1, b".") => self.chain(at, close, full),
            Some(_) if self.tokens.is_op_before(at, b"=") => close + 1,
            Some(_) => {
                self.unknown(at, close);
                close + 1
            }
            None => {
                let text = self.tokens.get(at + 2).filter(|t| t.kind == Kind::Text && close == at + 3);
                // What is not one of these may be a folder with code, or a file with a longer name.
                let file = text.map(|t| t.text.to_vec()).filter(|path| is_description(path));
                if file.is_some() {
                    self.found(Touch::Read(file), at, close);
                } else {
                    self.unknown(at, close);
                }
                close + 1
            }
        }
    }

    /// The members after a listed object that ends at `last`.
    fn chain(&mut self, from: usize, last: usize, full: Vec<u8>) -> usize {
        let (mut full, mut last) = (full, last);
        loop {
            match MEMBERS.find(&full) {
                Some(Member::Harmless) => return last + 1,
                Some(Member::Call(call)) => {
                    self.call(call, from, last + 1);
                    return last + 1;
                }
                None if GLOBALS.find(&full) == Some(Global::Object) => {}
                Some(Member::Object) => {}
                None => {
                    self.unknown(from, last);
                    return last + 1;
                }
            }
            let dotted = self.tokens.is_op(last + 1, b".") || self.tokens.is_op(last + 1, b"?.");
            let Some(part) = self.tokens.name(last + 2).filter(|_| dotted) else {
                let looped = full == b"process.stdin" && self.tokens.before(from).is_some_and(|t| t.text == b"of" as &[u8]);
                let made = full == b"process.stdin" && self.is_input(from);
                if !looped && !made {
                    // An object of the system as a value of its own.
                    self.unknown(from, last);
                }
                return last + 1;
            };
            full.push(b'.');
            full.extend_from_slice(part);
            last += 2;
        }
    }

    /// Whether `process.stdin` at `at` is what `readline.createInterface({input: process.stdin})` reads.
    fn is_input(&self, at: usize) -> bool {
        self.tokens.is_op_before(at, b":") && at.checked_sub(2).is_some_and(|at| self.tokens.is_name(at, b"input"))
    }
}

/// Files that describe a project, whose plain names nothing else is loaded for.
fn is_description(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    path.starts_with(b".")
        && matches!(
            name,
            b"package.json" | b"package-lock.json" | b"tsconfig.json" | b"composer.json" | b"manifest.json" | b"version.json"
        )
}
