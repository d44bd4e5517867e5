// SPDX-License-Identifier: MIT OR Apache-2.0
//! Python given inline.
//!
//! In: the text. Out: what it calls. **Invariant:** modules, their members, methods and built-ins are on lists; a
//! module is never a value of its own; a dunder, a name that holds a module or function of another module, and
//! everything that finds names by text are not understood.

pub(super) mod calls;
mod tokens;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::fold::Constants;
use super::table::Table;
use super::token::{Kind, Tokens};
use super::{Finder, Touch};

/// What a dotted name of a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// A module whose members are listed one by one.
    Module,
    /// A module that only computes: every plain member.
    Computes,
    /// A function, class or value that only computes, or reads what the program was given.
    Harmless,
    Call(Call),
}

/// What a call does with its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Shell,
    /// A list of words, or text for a shell.
    Command,
    /// The program and its words as further arguments or a list.
    Program,
    Open,
    Read,
    List,
    Write,
    /// Reads the first, writes the second.
    Copy,
    /// Changes the first and the second.
    Move,
    Delete,
    DeleteTree,
    Url,
    /// Method, then URL.
    SecondUrl,
    /// Reads the first as URL, writes the second.
    Retrieve,
    Listen,
    /// A pair of host and port.
    Address,
    Network,
    Environment,
    Kill,
    Privilege,
    /// A path object.
    Path,
}

static MEMBERS: LazyLock<Table<Member>> = LazyLock::new(|| {
    Table::new(&[
        (
            Member::Module,
            "os os.path sys json re subprocess shutil pathlib glob io urllib urllib.request urllib.parse http \
             http.client requests httpx socket tempfile platform xml xml.etree xml.etree.ElementTree pty asyncio ast \
             urllib.error http.server socketserver importlib importlib.metadata yaml tomllib \
             csv time pprint traceback hashlib base64 email email.utils sysconfig site",
        ),
        (
            Member::Computes,
            "math cmath itertools random string datetime decimal fractions statistics textwrap heapq bisect html \
             html.entities colorsys calendar uuid secrets binascii zlib struct array difflib ipaddress numbers copy \
             fnmatch collections collections.abc functools typing enum dataclasses abc unicodedata keyword errno stat \
             graphlib zoneinfo",
        ),
        (
            Member::Harmless,
            "os.getcwd os.getpid os.getppid os.getuid os.geteuid os.getgid os.cpu_count os.sep os.linesep os.name \
             os.pathsep os.uname os.getlogin os.get_terminal_size os.fspath os.fsencode os.fsdecode os.urandom \
             os.devnull os.isatty os.times os.getloadavg os.strerror os._exit os.PathLike os.sysconf os.umask \
             os.sched_getaffinity os.curdir os.pardir os.extsep os.altsep os.getpgid os.O_RDONLY os.R_OK os.W_OK os.X_OK os.F_OK \
             os.path.join os.path.basename os.path.dirname os.path.splitext os.path.abspath os.path.normpath os.path.split \
             os.path.expanduser os.path.relpath os.path.commonpath os.path.commonprefix os.path.sep os.path.isabs \
             os.path.normcase os.path.splitdrive \
             sys.argv sys.exit sys.stdin sys.stdout sys.stderr sys.version sys.version_info sys.platform sys.executable \
             sys.maxsize sys.byteorder sys.prefix sys.base_prefix sys.getsizeof sys.getrecursionlimit sys.setrecursionlimit \
             sys.getdefaultencoding sys.getfilesystemencoding sys.float_info sys.int_info sys.implementation \
             sys.hexversion sys.flags sys.maxunicode sys.exc_info sys.intern sys.builtin_module_names \
             sys.stdlib_module_names sys.set_int_max_str_digits sys.exec_prefix sys.api_version sys.thread_info \
             json.load json.loads json.dump json.dumps json.JSONDecodeError json.JSONDecoder json.JSONEncoder \
             re.match re.search re.findall re.finditer re.sub re.subn re.split re.compile re.fullmatch re.escape re.I re.M \
             re.S re.X re.A re.IGNORECASE re.MULTILINE re.DOTALL re.VERBOSE re.ASCII re.U re.UNICODE re.error re.Pattern re.Match \
             urllib.parse.quote urllib.parse.unquote urllib.parse.quote_plus urllib.parse.unquote_plus \
             urllib.parse.urlparse urllib.parse.urlsplit urllib.parse.urlunparse urllib.parse.urlunsplit \
             urllib.parse.urlencode urllib.parse.parse_qs urllib.parse.parse_qsl urllib.parse.urljoin \
             urllib.error.URLError urllib.error.HTTPError \
             platform.platform platform.system platform.machine platform.python_version platform.release platform.node \
             platform.processor platform.architecture platform.uname platform.version platform.python_implementation \
             platform.python_version_tuple platform.freedesktop_os_release \
             io.StringIO io.BytesIO io.TextIOWrapper io.SEEK_SET io.SEEK_END \
             time.time time.sleep time.strftime time.strptime time.localtime time.gmtime time.mktime time.perf_counter \
             time.monotonic time.process_time time.ctime time.asctime time.time_ns time.perf_counter_ns time.timezone \
             time.tzname time.monotonic_ns \
             ast.literal_eval ast.parse ast.dump ast.walk ast.unparse ast.NodeVisitor ast.FunctionDef ast.ClassDef ast.Import \
             ast.ImportFrom ast.Name ast.Call ast.Constant ast.Attribute ast.get_docstring ast.AsyncFunctionDef ast.iter_child_nodes \
             tomllib.loads tomllib.load tomllib.TOMLDecodeError \
             csv.reader csv.writer csv.DictReader csv.DictWriter csv.QUOTE_ALL csv.QUOTE_MINIMAL csv.QUOTE_NONE csv.Sniffer csv.Error \
             pprint.pprint pprint.pformat pprint.pp traceback.print_exc traceback.format_exc \
             hashlib.md5 hashlib.sha1 hashlib.sha224 hashlib.sha256 hashlib.sha384 hashlib.sha512 hashlib.sha3_256 \
             hashlib.sha3_512 hashlib.blake2b hashlib.blake2s hashlib.new hashlib.algorithms_available \
             hashlib.algorithms_guaranteed hashlib.pbkdf2_hmac \
             base64.b64encode base64.b64decode base64.urlsafe_b64encode base64.urlsafe_b64decode base64.b32encode \
             base64.b32decode base64.b16encode base64.b16decode base64.b85encode base64.b85decode base64.a85decode base64.a85encode \
             base64.standard_b64decode base64.standard_b64encode base64.encodebytes base64.decodebytes \
             pathlib.Path.cwd pathlib.Path.home pathlib.PurePath pathlib.PurePosixPath \
             xml.etree.ElementTree.fromstring xml.etree.ElementTree.tostring xml.etree.ElementTree.Element \
             xml.etree.ElementTree.SubElement xml.etree.ElementTree.dump xml.etree.ElementTree.indent \
             xml.etree.ElementTree.ParseError \
             importlib.metadata.version importlib.metadata.PackageNotFoundError \
             shutil.which shutil.get_terminal_size shutil.disk_usage tempfile.gettempdir \
             http.HTTPStatus email.utils.parsedate_to_datetime email.utils.formatdate email.utils.parseaddr \
             unicodedata.normalize unicodedata.name socket.gethostname socket.AF_INET socket.SOCK_STREAM socket.SOCK_DGRAM socket.AF_INET6 \
             socket.SOL_SOCKET socket.SO_REUSEADDR socket.timeout socket.error socket.setdefaulttimeout socket.inet_aton \
             socket.inet_ntoa socket.htons socket.ntohs subprocess.PIPE subprocess.DEVNULL subprocess.STDOUT \
             subprocess.CalledProcessError subprocess.TimeoutExpired subprocess.CompletedProcess \
             sysconfig.get_paths sysconfig.get_path sysconfig.get_platform sysconfig.get_python_version site.getsitepackages \
             site.getusersitepackages site.USER_SITE requests.exceptions requests.RequestException glob.escape \
             shutil.Error asyncio.run asyncio.sleep asyncio.gather yaml.safe_load yaml.safe_load_all yaml.safe_dump \
             yaml.dump yaml.YAMLError",
        ),
        (
            Member::Call(Call::Shell),
            "os.system os.popen subprocess.getoutput subprocess.getstatusoutput asyncio.create_subprocess_shell",
        ),
        (
            Member::Call(Call::Command),
            "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen pty.spawn",
        ),
        (
            Member::Call(Call::Program),
            "os.execv os.execvp os.execve os.execvpe os.execl os.execlp os.execle os.execlpe os.spawnl os.spawnlp os.spawnv \
             os.spawnvp os.spawnve os.posix_spawn os.posix_spawnp asyncio.create_subprocess_exec os.startfile",
        ),
        (Member::Call(Call::Open), "io.open io.FileIO os.open os.fdopen"),
        (Member::Call(Call::Read), "os.readlink xml.etree.ElementTree.parse xml.etree.ElementTree.iterparse"),
        (
            Member::Call(Call::List),
            "os.listdir os.scandir os.walk os.stat os.lstat os.access os.path.exists os.path.isfile os.path.isdir \
             os.path.islink os.path.getsize os.path.getmtime os.path.getctime os.path.getatime os.path.realpath \
             os.path.lexists os.path.ismount os.path.samefile os.statvfs glob.glob glob.iglob",
        ),
        (
            Member::Call(Call::Write),
            "os.mkdir os.makedirs os.chmod os.chown os.lchown os.utime os.truncate os.mknod os.mkfifo os.setxattr",
        ),
        (
            Member::Call(Call::Copy),
            "shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.copymode shutil.copystat os.link os.symlink \
             shutil.make_archive shutil.unpack_archive",
        ),
        (Member::Call(Call::Move), "os.rename os.replace os.renames shutil.move"),
        (Member::Call(Call::Delete), "os.remove os.unlink os.rmdir os.removedirs"),
        (Member::Call(Call::DeleteTree), "shutil.rmtree"),
        (
            Member::Call(Call::Url),
            "urllib.request.urlopen urllib.request.Request requests.get requests.post requests.put requests.delete \
             requests.head requests.patch requests.options httpx.get httpx.post httpx.put httpx.delete httpx.head \
             httpx.patch httpx.options http.client.HTTPConnection http.client.HTTPSConnection",
        ),
        (Member::Call(Call::SecondUrl), "requests.request httpx.request httpx.stream"),
        (Member::Call(Call::Retrieve), "urllib.request.urlretrieve"),
        (
            Member::Call(Call::Listen),
            "http.server.HTTPServer http.server.ThreadingHTTPServer socketserver.TCPServer socket.create_server",
        ),
        (Member::Call(Call::Address), "socket.create_connection"),
        (
            Member::Call(Call::Network),
            "socket.socket socket.getaddrinfo socket.gethostbyname socket.gethostbyname_ex socket.gethostbyaddr socket.getfqdn \
             requests.Session httpx.Client",
        ),
        (Member::Call(Call::Environment), "os.getenv os.environ"),
        (Member::Call(Call::Kill), "os.kill os.killpg"),
        (
            Member::Call(Call::Privilege),
            "os.setuid os.setgid os.seteuid os.setegid os.setreuid os.setregid os.setresuid os.setresgid os.chroot os.setgroups",
        ),
        (Member::Call(Call::Path), "pathlib.Path pathlib.PosixPath"),
    ])
});

/// What a name is that no module is written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    /// Finds names by text, runs text, or shows the inside of the interpreter.
    Opaque,
    /// A method that only computes, or reads and writes what is open already.
    Method,
    /// A value of an object.
    Field,
    /// A method or function of files: `open` among them.
    File(Call),
}

static BUILTINS: LazyLock<Table<Plain>> = LazyLock::new(|| {
    Table::new(&[
        (
            Plain::Opaque,
            "eval exec compile getattr setattr delattr globals locals vars breakpoint help license credits copyright \
             execfile reload file apply get_ipython super intern buffer coerce",
        ),
        (Plain::File(Call::Open), "open"),
    ])
});

static ATTRIBUTES: LazyLock<Table<Plain>> = LazyLock::new(|| {
    Table::new(&[
        (
            Plain::Method,
            "append extend insert pop clear index count sort reverse copy keys values items get setdefault update \
             popitem add discard union intersection difference symmetric_difference issubset issuperset isdisjoint fromkeys \
             capitalize casefold center encode decode endswith startswith expandtabs find rfind format format_map isalnum isalpha \
             isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust \
             rjust lower lstrip rstrip strip maketrans partition rpartition removeprefix removesuffix rindex \
             split rsplit splitlines swapcase title translate upper zfill hex fromhex bit_length bit_count \
             to_bytes from_bytes as_integer_ratio is_integer conjugate read readline readlines write writelines seek tell \
             flush close fileno isatty getvalue group groups groupdict start end span match search findall finditer sub subn \
             fullmatch hexdigest digest most_common elements subtract total total_seconds isoformat strftime strptime \
             timestamp weekday isoweekday isocalendar date time today now utcnow fromtimestamp utcfromtimestamp fromisoformat combine timetuple \
             astimezone utcoffset ctime quantize normalize sqrt ln exp log10 to_integral_value from_iterable appendleft popleft extendleft \
             rotate move_to_end as_posix with_suffix with_name with_stem relative_to joinpath is_absolute \
             writerow writerows writeheader iter itertext findtext getroot tostring find_all \
             tolist astype choice json getheader getheaders info geturl getcode raise_for_status iter_content \
             iter_lines communicate wait result generic_visit isprintable",
        ),
        (
            Plain::Field,
            "year month day hour minute second microsecond days seconds tzinfo utc UTC name stem suffix suffixes parent parents parts \
             st_size st_mtime st_mode st_atime st_ctime st_uid st_gid st_ino st_nlink args returncode \
             major minor micro releaselevel real imag numerator denominator value text tag tail attrib \
             status code reason headers content ok url status_code string lastgroup regs pattern body id lineno col_offset \
             fieldnames line_num scheme netloc path query fragment hostname port username password params max min resolution errno strerror \
             filename msg pos doc colno buffer encoding closed maxlen default_factory total used free sysname release \
             machine nodename version int fields node pid stdin stdout stderr key names module asname \
             func target targets elts keywords arg attr ctx level",
        ),
        (Plain::File(Call::Open), "open"),
        (Plain::File(Call::Read), "read_text read_bytes readlink"),
        (
            Plain::File(Call::List),
            "exists is_file is_dir is_symlink iterdir glob rglob stat lstat resolve walk samefile owner expanduser absolute",
        ),
        (Plain::File(Call::Write), "write_text write_bytes mkdir touch chmod truncate symhardlink_to link_to lchmod"),
        (Plain::File(Call::Move), "rename"),
        (Plain::File(Call::Delete), "unlink rmdir"),
    ])
});

/// Modules and functions that other modules hold as members, and that never are plain members.
static HELD: LazyLock<Table<()>> = LazyLock::new(|| {
    Table::new(&[(
        (),
        "os sys io builtins subprocess shutil socket codecs importlib types inspect warnings tempfile open abc \
                    threading contextlib weakref linecache tokenize pickle marshal ctypes operator functools system popen \
                    eval exec compile modules path environ get_type_hints ForwardRef singledispatch cached_property \
                    make_dataclass namedtuple_ site runpy code pdb glob re gc signal remove unlink \
                    rename run call getattr setattr spawn fork kill connect connect_ex bind listen load_module \
                    exec_module util machinery request",
    )])
});

fn is_held(name: &[u8]) -> bool {
    HELD.find(name).is_some()
}

/// Calls that return the path they are given.
fn wraps(name: &[u8]) -> bool {
    matches!(name, b"expanduser" | b"Path" | b"abspath" | b"str" | b"normpath" | b"fspath")
}

/// Reads a program.
pub(super) fn read(code: &[u8], finder: &mut Finder) -> Option<()> {
    let tokens = match tokens::tokens(code) {
        Some(tokens) => tokens,
        None => {
            finder.unknown(0..code.len());
            return None;
        }
    };
    let constants = Constants::new(&tokens, wraps);
    let mut reader = Reader { tokens, constants, finder, imports: HashMap::new(), bound: Vec::new() };
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
    /// Names that modules and their members have here; empty where one name has two meanings.
    imports: HashMap<Vec<u8>, Vec<u8>>,
    /// Methods and fields that the text defines.
    bound: Vec<Vec<u8>>,
}

/// Most names that a text may define or import.
const NAMES_MAX: usize = 128;

impl Reader<'_, '_> {
    /// Finds imports and definitions.
    fn names(&mut self) {
        for at in 0..self.tokens.len() {
            match self.tokens.name(at) {
                Some(b"import") if self.starts_statement(at) => self.import(at + 1),
                Some(b"from") if self.starts_statement(at) => self.import_from(at + 1),
                Some(b"def" | b"class") => {
                    if let Some(name) = self.tokens.name(at + 1).map(<[u8]>::to_vec) {
                        self.bind(name);
                    }
                }
                Some(name) if self.tokens.is_op_before(at, b".") && self.tokens.is_op(at + 1, b"=") => {
                    let name = name.to_vec();
                    self.bind(name);
                }
                _ => {}
            }
        }
    }

    fn bind(&mut self, name: Vec<u8>) {
        if self.bound.len() < NAMES_MAX && !name.starts_with(b"_") && !name.contains(&b'_') && !is_held(&name) {
            self.bound.push(name);
        }
    }

    fn starts_statement(&self, at: usize) -> bool {
        self.tokens
            .before(at)
            .is_none_or(|t| t.kind == Kind::Line || t.kind == Kind::Op && matches!(t.text.as_ref(), b";" | b":"))
    }

    /// A dotted name from `at`, and the position after it.
    fn dotted(&self, mut at: usize) -> Option<(Vec<u8>, usize)> {
        let mut name = self.tokens.name(at)?.to_vec();
        at += 1;
        while self.tokens.is_op(at, b".") {
            let part = self.tokens.name(at + 1)?;
            name.push(b'.');
            name.extend_from_slice(part);
            at += 2;
        }
        Some((name, at))
    }

    fn import(&mut self, mut at: usize) {
        loop {
            let Some((module, next)) = self.dotted(at) else { return self.unknown(at, at) };
            let known = matches!(MEMBERS.find(&module), Some(Member::Module | Member::Computes));
            if !known {
                self.unknown(at, next.saturating_sub(1));
            }
            at = next;
            if self.tokens.is_name(at, b"as") {
                let Some(alias) = self.tokens.name(at + 1).map(<[u8]>::to_vec) else { return self.unknown(at, at) };
                self.import_as(alias, module, at);
                at += 2;
            } else {
                let first = module.split(|b| *b == b'.').next().unwrap_or(&module).to_vec();
                self.import_as(first.clone(), first, at);
            }
            if !self.tokens.is_op(at, b",") {
                return;
            }
            at += 1;
        }
    }

    fn import_from(&mut self, at: usize) {
        let Some((module, next)) = self.dotted(at) else { return self.unknown(at, at) };
        if !self.tokens.is_name(next, b"import") {
            return self.unknown(at, next);
        }
        let mut at = next + 1;
        if self.tokens.is_op(at, b"(") {
            at += 1;
        }
        loop {
            let Some(name) = self.tokens.name(at).map(<[u8]>::to_vec) else { return self.unknown(next, at) };
            let mut full = module.clone();
            full.push(b'.');
            full.extend_from_slice(&name);
            if self.member(&full).is_none() {
                self.unknown(at, at);
            }
            let mut alias = name;
            at += 1;
            if self.tokens.is_name(at, b"as") {
                let Some(name) = self.tokens.name(at + 1).map(<[u8]>::to_vec) else { return self.unknown(at, at) };
                alias = name;
                at += 2;
            }
            self.import_as(alias, full, at);
            if !self.tokens.is_op(at, b",") {
                return;
            }
            at += 1;
            if self.tokens.is_op(at, b")") {
                return;
            }
        }
    }

    fn import_as(&mut self, alias: Vec<u8>, full: Vec<u8>, at: usize) {
        if self.imports.len() >= NAMES_MAX {
            return self.unknown(at, at);
        }
        if self.imports.insert(alias, full.clone()).is_some_and(|old| old != full) {
            self.unknown(at, at);
        }
    }

    /// What a full dotted name is: listed, or a plain member of a module that computes.
    fn member(&self, full: &[u8]) -> Option<Member> {
        if let Some(member) = MEMBERS.find(full) {
            return Some(member);
        }
        let at = full.iter().rposition(|b| *b == b'.')?;
        let (module, last) = (full.get(..at)?, full.get(at + 1..)?);
        (MEMBERS.find(module) == Some(Member::Computes) && !last.starts_with(b"_") && !is_held(last))
            .then_some(Member::Harmless)
    }

    fn unknown(&mut self, from: usize, to: usize) {
        let range = self.tokens.range(from, to.max(from));
        self.finder.unknown(range);
    }

    fn found(&mut self, touch: Touch, from: usize, to: usize) {
        let range = self.tokens.range(from, to);
        self.finder.add(touch, range);
    }

    /// Looks at the token at `at`; returns the position after what was looked at.
    fn token(&mut self, at: usize) -> usize {
        let Some(name) = self.tokens.name(at) else { return at + 1 };
        if name == b"import" || name == b"from" && self.starts_statement(at) {
            if name == b"import" && !self.starts_statement(at) {
                self.unknown(at, at);
            }
            return self.after_import(at);
        }
        if self.tokens.is_op_before(at, b".") {
            self.attribute(at);
            return at + 1;
        }
        if self.tokens.is_op(at + 1, b"=") && self.is_argument(at) {
            return at + 1;
        }
        if let Some(full) = self.imports.get(name).cloned() {
            return self.imported(at, full);
        }
        let own = matches!(
            name,
            b"__name__" | b"__main__" | b"__init__" | b"__str__" | b"__repr__" | b"__len__" | b"__iter__"
        );
        if name.starts_with(b"__") && !own || BUILTINS.find(name) == Some(Plain::Opaque) {
            self.unknown(at, at);
        } else if let Some(Plain::File(call)) = BUILTINS.find(name) {
            self.call(call, at, at + 1);
        }
        at + 1
    }

    /// Whether the name at `at` names an argument of a call: a call is the only place for `(name=` and `, name=`.
    fn is_argument(&self, at: usize) -> bool {
        self.tokens.is_op_before(at, b"(") || self.tokens.is_op_before(at, b",")
    }

    /// The end of an import statement, whose names are known already.
    fn after_import(&self, at: usize) -> usize {
        let mut end = at + 1;
        while self.tokens.get(end).is_some_and(|t| {
            t.kind == Kind::Name || t.kind == Kind::Op && matches!(t.text.as_ref(), b"." | b"," | b"(" | b")")
        }) {
            end += 1;
        }
        end
    }

    /// A name that an import binds, and the members written after it.
    fn imported(&mut self, at: usize, full: Vec<u8>) -> usize {
        let mut full = full;
        let mut last = at;
        loop {
            match self.member(&full) {
                Some(Member::Module | Member::Computes) => {
                    let Some(part) = self.tokens.name(last + 2).filter(|_| self.tokens.is_op(last + 1, b".")) else {
                        // A module as a value of its own.
                        self.unknown(at, last);
                        return last + 1;
                    };
                    full.push(b'.');
                    full.extend_from_slice(part);
                    last += 2;
                }
                Some(Member::Call(Call::Path)) if self.tokens.is_op(last + 1, b".") => {
                    let Some(part) = self.tokens.name(last + 2) else {
                        self.unknown(at, last);
                        return last + 1;
                    };
                    if !matches!(part, b"cwd" | b"home") {
                        self.unknown(at, last + 2);
                    }
                    return last + 3;
                }
                Some(Member::Call(call)) => {
                    self.call(call, at, last + 1);
                    return last + 1;
                }
                Some(Member::Harmless) => return last + 1,
                None => {
                    self.unknown(at, last);
                    return last + 1;
                }
            }
        }
    }

    /// A member of a value.
    fn attribute(&mut self, at: usize) {
        let Some(name) = self.tokens.name(at) else { return };
        let called = self.tokens.is_op(at + 1, b"(");
        if name == b"__name__" || name == b"__doc__" {
            return;
        }
        if name.starts_with(b"_") {
            return self.unknown(at, at);
        }
        match ATTRIBUTES.find(name) {
            Some(Plain::Method | Plain::Field) => {}
            Some(Plain::File(call)) if called => self.file_method(call, at),
            _ if name == b"remove" && called => self.remove(at),
            _ if name == b"replace" && called => self.replace(at),
            _ if self.bound.iter().any(|b| b == name) => {}
            _ => self.unknown(at, at),
        }
    }

    /// The text of a path object that is written out before the dot at `dot`.
    fn receiver(&self, dot: usize) -> Option<Vec<u8>> {
        let before = dot.checked_sub(1)?;
        if self.tokens.is_op(before, b")") {
            let open = self.tokens.partner(before);
            let name = open.checked_sub(1)?;
            let is_path = wraps(self.tokens.name(name)?);
            return is_path.then(|| self.constants.value(&self.tokens, open + 1..before, wraps)).flatten();
        }
        self.constants.value(&self.tokens, before..dot, wraps)
    }

    fn value(&self, range: Range<usize>) -> Option<Vec<u8>> {
        self.constants.value(&self.tokens, range, wraps)
    }
}
