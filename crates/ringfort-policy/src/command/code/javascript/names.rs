// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of JavaScript and of Node's modules.
//!
//! In: nothing. Out: tables. **Invariant:** a member that is not listed is not understood; a name that leads to the
//! inside of the language is forbidden wherever it stands.

use std::sync::LazyLock;

use super::super::table::Table;

/// What a name without a dot before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
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
pub(super) enum Member {
    Harmless,
    /// An object whose members are listed.
    Object,
    Call(Call),
}

/// What a call does with its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
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

pub(super) static GLOBALS: LazyLock<Table<Global>> = LazyLock::new(|| {
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

pub(super) static MEMBERS: LazyLock<Table<Member>> = LazyLock::new(|| {
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
        (
            Member::Call(Call::Delete),
            "fs.unlinkSync fs.unlink fs.promises.unlink fs.rmdirSync fs.rmdir fs.promises.rmdir",
        ),
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
pub(super) static METHODS: LazyLock<Table<()>> = LazyLock::new(|| {
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
pub(super) static FORBIDDEN: LazyLock<Table<()>> = LazyLock::new(|| {
    Table::new(&[(
        (),
        "constructor __proto__ prototype caller callee arguments eval Function Reflect Proxy global \
                         globalThis window self this super with debugger module exports mainModule binding dlopen \
                         _linkedBinding __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ \
                         getPrototypeOf setPrototypeOf defineProperty defineProperties getOwnPropertyDescriptor \
                         getOwnPropertyDescriptors call apply bind runInThisContext runInNewContext import \
                         prepareStackTrace stackTraceLimit getBuiltinModule reallyExit chdir connect open valueOf \
                         asyncIterator toPrimitive createRequire enableCompileCache loadEnvFile __dirname __filename",
    )])
});

/// Whether a name leads from a value to the inside of the language.
pub(super) fn is_forbidden(name: &[u8]) -> bool {
    name.starts_with(b"_") && name != b"_" || FORBIDDEN.find(name).is_some()
}
