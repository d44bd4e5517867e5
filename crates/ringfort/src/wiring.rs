// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wiring: reads the process's environment once and composes the crates.
//!
//! In: the environment, the user database, the options of the command line. Out: paths, a loaded configuration, a
//! session.
//!
//! **Invariant:** nobody else reads the environment. Variables and flags that widen count only for a caller that
//! nobody governs; inside a cage they are refused here, before anything is loaded.

mod sweep;

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ringfort_audit::{Options as TrailOptions, Trail};
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::obligation::Promise;
use ringfort_core::principal::Principal;
use ringfort_core::syscalls::SyscallGroup;
use ringfort_policy::config::{Network, RuntimeKind};
use ringfort_policy::domain::HostPattern;
use ringfort_policy::load::{Loaded, Sources, load};
use ringfort_runtime::agents::{self, Added, AgentProfile};
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::egress::view::{self, Asks};
use ringfort_runtime::guard::{Guard, GuardLimits};
use ringfort_runtime::own::Own;
use ringfort_runtime::pipeline::{Pipeline, PipelineParts};
use ringfort_runtime::profile::{self, Caller};
use ringfort_runtime::providers::{self, PROVIDERS};
use ringfort_runtime::session::Session;
use ringfort_runtime::state::StateFolder;
use ringfort_runtime::supervisor::broker::{BROKER_FD, BROKER_VARIABLE, ask_for};
use ringfort_sandbox::orphans;
use ringfort_sandbox::profile::{DegreeRequest, NATIVE, Profile};
use ringfort_store::ApprovalDb;

use crate::clients::{self, Asking, Clients, Look};
use crate::commands::{Common, Failure};

pub(crate) mod engine;

/// Largest part of the user database that is read. Bytes.
const PASSWD_BYTES_MAX: u64 = 1 << 20;
/// The machine's configuration.
const SYSTEM_FILE: &str = "/etc/ringfort/ringfort.toml";
/// Names a policy file, as `--policy` does.
pub(crate) const POLICY_VARIABLE: &str = "RINGFORT_POLICY";
/// The name of a configuration file, in every layer.
pub(crate) const FILE_NAME: &str = "ringfort.toml";

/// Variables that agents set for the programs that they start.
const AGENT_VARIABLES: [&str; 9] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CODEX_SANDBOX",
    "CODEX_THREAD_ID",
    "COPILOT_CLI",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "OPENCLAW_SHELL",
    "OPENCODE",
];

/// What this process was given.
pub(crate) struct World {
    /// Every variable.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The caller's home.
    pub(crate) home: PathBuf,
    /// The caller's name.
    pub(crate) user: String,
    /// The folder it was started in.
    pub(crate) cwd: PathBuf,
}

/// Where Ringfort keeps and reads things.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The state folder.
    pub(crate) state: PathBuf,
    /// The machine's file.
    pub(crate) system_file: PathBuf,
    /// The user's file.
    pub(crate) user_file: PathBuf,
}

impl World {
    /// Reads the environment of this process.
    ///
    /// # Errors
    ///
    /// There is no current folder, or no home; or there is a supervisor, and no way to it.
    pub(crate) fn read() -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is the wiring")]
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let uid = rustix::process::getuid().as_raw();
        let (name, passwd_home) = user_entry(uid).unzip();
        let named = variable(&environment, "HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let home = named.or_else(|| passwd_home.flatten()).context("there is no home folder: set HOME")?;
        // A home that is a link is judged by what it points to, as the kernel does.
        let home = home.canonicalize().unwrap_or(home);
        let user = name.unwrap_or_else(|| format!("uid-{uid}"));
        let cwd = std::env::current_dir().context("the current folder is gone")?;
        let world = Self { environment, home, user, cwd };
        // A caller that is told of a supervisor and cannot reach it is not taken for one that nobody governs.
        anyhow::ensure!(
            world.broker().is_some() || world.variable(BROKER_VARIABLE).is_none(),
            "this is inside a cage, and the program that started this has closed descriptor {BROKER_FD}, the \
             supervisor's socket: keep it open (Python: `pass_fds=[{BROKER_FD}]`); outside a cage unset {BROKER_VARIABLE}"
        );
        Ok(world)
    }

    /// A variable's value.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        variable(&self.environment, name)
    }

    /// Whether an agent started this: it is inside a cage, or a variable says so that agents set for their tools. Only
    /// what is shown depends on it: what would widen the policy is not for an agent.
    pub(crate) fn is_for_agent(&self) -> bool {
        self.variable(BROKER_VARIABLE).is_some() || AGENT_VARIABLES.iter().any(|name| self.variable(name).is_some())
    }

    /// Goes on as if a variable had not been given.
    pub(crate) fn forget(&mut self, name: &str) {
        self.environment.retain(|(present, _)| present != name);
    }

    /// The inherited socket of the supervisor, if this process runs inside a cage.
    pub(crate) fn broker(&self) -> Option<OwnedFd> {
        let number = self.variable(BROKER_VARIABLE)?.to_str()?.parse::<i32>().ok()?;
        if number != BROKER_FD {
            return None;
        }
        // The place first: an agent that closes descriptors may have another socket of its own under this number.
        ask_for(&self.home).or_else(|| ringfort_sandbox::inherit::socket(number))
    }

    /// Where things are kept, by option, variable and the XDG base directories.
    pub(crate) fn places(&self, common: &Common) -> Places {
        let absolute = |name: &str| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = common.state.clone().map(|state| self.cwd.join(state));
        let state = state.or_else(|| absolute("RINGFORT_STATE"));
        let state = state.or_else(|| absolute("XDG_STATE_HOME").map(|base| base.join("ringfort")));
        let state = state.unwrap_or_else(|| self.home.join(".local/state/ringfort"));
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config"));
        Places { state, system_file: PathBuf::from(SYSTEM_FILE), user_file: config.join("ringfort").join(FILE_NAME) }
    }

    /// The principal that the caller is.
    ///
    /// # Errors
    ///
    /// The user's name is no name for a principal.
    pub(crate) fn principal(&self) -> anyhow::Result<Principal> {
        let cleaned: String = self.user.chars().filter(|c| !c.is_control() && *c != '/').take(100).collect();
        Ok(Principal::try_user(&cleaned)?)
    }

    /// The file of `--policy`, or of its variable.
    pub(crate) fn explicit_file(&self, common: &Common) -> Option<PathBuf> {
        let named = common.policy.as_ref().map(|path| self.cwd.join(path));
        named.or_else(|| self.variable(POLICY_VARIABLE).map(|path| self.cwd.join(path)))
    }

    /// Loads the configuration for a workspace; `workspace` names the project's file.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is not understood; nothing is in use.
    pub(crate) fn load(&self, common: &Common, workspace: Option<&Path>) -> Result<Loaded, Failure> {
        let places = self.places(common);
        let explicit = self.explicit_file(common);
        let mut overrides = Vec::new();
        for setting in &common.settings {
            let Some((key, value)) = setting.split_once('=') else {
                let error = anyhow::anyhow!("`--set {setting}` is not of the form KEY=VALUE");
                return Err(Failure::usage(error).help("for example `--set autonomy.level=readonly`"));
            };
            overrides.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let sources = Sources {
            preset: None,
            system: Some(places.system_file),
            user: Some(places.user_file),
            project: workspace.map(|workspace| workspace.join(FILE_NAME)),
            explicit,
            overrides,
            accepted: places.state.join("accepted"),
        };
        load(&sources).map_err(|error| {
            Failure::usage(error)
                .help("`ringfort policy validate FILE` checks a file, `ringfort policy schema` prints every key")
        })
    }
}

impl World {
    /// The configuration of the machine alone, for a command that mends the user's.
    ///
    /// # Errors
    ///
    /// As [`World::load`].
    pub(crate) fn load_without_user_file(&self) -> Result<Loaded, Failure> {
        let sources = Sources { system: Some(PathBuf::from(SYSTEM_FILE)), ..Sources::default() };
        load(&sources).map_err(Failure::usage)
    }

    /// As [`World::load`], with the hosts that the settings of clients name and that they were found to use. No client is
    /// started.
    ///
    /// # Errors
    ///
    /// As [`World::load`].
    pub(crate) fn load_with_clients(&self, common: &Common, workspace: &Path) -> Result<Loaded, Failure> {
        let loaded = self.load(common, Some(workspace))?;
        if loaded.config.egress.presets.is_empty() {
            return Ok(loaded);
        }
        let state = self.places(common).state;
        let now = SystemClock::new().now();
        let look = Look { world: self, common, state: &state, workspace, typed: &[], now };
        let clients = clients::of(&look, &loaded, Asking::Kept);
        Ok(loaded.with_client_hosts(&clients.hosts))
    }
}

fn variable<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_os_str())
}

/// Name and home of a user, from the user database. No name service is asked: it could load foreign code.
fn user_entry(uid: u32) -> Option<(String, Option<PathBuf>)> {
    let mut text = Vec::new();
    std::fs::File::open("/etc/passwd").ok()?.take(PASSWD_BYTES_MAX).read_to_end(&mut text).ok()?;
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let (name, id, home) = (fields.first()?, fields.get(2)?, fields.get(5)?);
        if std::str::from_utf8(id).ok()?.parse::<u32>().ok()? != uid {
            return None;
        }
        let home = PathBuf::from(OsString::from_vec(home.to_vec()));
        Some((String::from_utf8_lossy(name).into_owned(), Some(home).filter(|home| home.is_absolute())))
    })
}

/// A folder as workspace, if it may be one.
///
/// # Errors
///
/// It does not exist, or it is `/`, a system folder, a home folder, or an ancestor of Ringfort's own files.
pub(crate) fn workspace(world: &World, places: &Places, folder: &Path) -> Result<PathBuf, Failure> {
    let shown = folder.display();
    let real = folder.canonicalize().with_context(|| format!("cannot use `{shown}` as workspace"));
    let real = real.map_err(Failure::usage)?;
    if !real.is_dir() {
        return Err(Failure::usage(anyhow::anyhow!("cannot use `{shown}` as workspace: it is no folder")));
    }
    let own = [&places.state, &places.user_file, &places.system_file].map(|path| real_or_same(path));
    let why = if real.parent().is_none() {
        Some("it is the root of the file system")
    } else if SYSTEM_FOLDERS.iter().any(|system| real == Path::new(system)) || is_below_system(&real) {
        Some("it is a system folder")
    } else if real == world.home || real.parent() == Some(Path::new("/home")) {
        Some("it is a home folder")
    } else if world.home.starts_with(&real) {
        Some("a home folder is inside it")
    } else if own.iter().any(|own| own.starts_with(&real)) {
        Some("Ringfort's own files are inside it")
    } else if own.iter().any(|own| own.parent().is_some_and(|folder| real.starts_with(folder)) && real.starts_with(own))
    {
        Some("it is inside Ringfort's own files")
    } else {
        None
    };
    match why {
        None => Ok(real),
        Some(why) => Err(Failure::usage(anyhow::anyhow!("cannot use `{}` as workspace: {why}", real.display()))
            .help("change into a project folder, or name one with --workspace DIR")),
    }
}

/// Folders that are never a workspace themselves.
const SYSTEM_FOLDERS: [&str; 12] = [
    "/home",
    "/root",
    "/tmp",
    "/var",
    "/var/tmp",
    "/run",
    "/opt",
    "/srv",
    "/mnt",
    "/media",
    "/usr/local",
    "/lost+found",
];
/// Folders below which nothing is a workspace.
const SYSTEM_TREES: [&str; 10] = ["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/dev", "/proc", "/sys"];

fn is_below_system(path: &Path) -> bool {
    SYSTEM_TREES.iter().any(|tree| path.starts_with(tree)) && !path.starts_with("/usr/local/src")
}

fn real_or_same(path: &Path) -> PathBuf {
    // The deepest part that exists is resolved; the rest is appended as it is.
    let mut rest = Vec::new();
    let mut current = path;
    loop {
        if let Ok(real) = current.canonicalize() {
            return rest.iter().rev().fold(real, |path, name: &OsString| path.join(name));
        }
        let (Some(parent), Some(name)) = (current.parent(), current.file_name()) else { return path.to_owned() };
        rest.push(name.to_owned());
        current = parent;
    }
}

/// Everything that a run needs.
pub(crate) struct Wired {
    /// The session.
    pub(crate) session: Session,
    /// The state folder.
    pub(crate) state: StateFolder,
    /// The environment of its programs.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What a person should know before it starts.
    pub(crate) notices: Vec<String>,
    /// The configuration in force.
    pub(crate) loaded: Loaded,
}

/// What a run was asked for.
pub(crate) struct RunWishes<'a> {
    /// Options of every command.
    pub(crate) common: &'a Common,
    /// The workspace, judged already.
    pub(crate) workspace: PathBuf,
    /// How much isolation.
    pub(crate) degree: DegreeRequest,
    /// In what it runs, if not as configured.
    pub(crate) runtime: Option<RuntimeKind>,
    /// The session's scratch folder is needed for private folders (no mount namespace).
    pub(crate) session: String,
    /// The profile that was named; without one the program decides.
    pub(crate) profile: Option<String>,
    /// The program that is to run, as it is named; it may be an agent that the configuration knows.
    pub(crate) program: String,
    /// Whether there is a door to the network, where the command line says so.
    pub(crate) network: Option<Network>,
    /// Whether a person can be asked.
    pub(crate) asks: Asks,
    /// The words of the command, where the clients of `egress.presets` are looked at.
    pub(crate) clients: Option<&'a [OsString]>,
}

/// Composes a session.
///
/// # Errors
///
/// The configuration, the state folder, the trail or the provider cannot be used; nothing has started.
pub(crate) fn wire(world: &World, wishes: RunWishes<'_>) -> Result<Wired, Failure> {
    let mut loaded = world.load(wishes.common, Some(&wishes.workspace))?;
    let places = world.places(wishes.common);
    let state = open_state(world, &places)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let trail = Arc::new(open_trail(&state, &clock)?);
    let mut notices: Vec<String> = loaded.notices.iter().map(ToString::to_string).collect();
    sweep::sweep(&state, &trail, &mut notices)?;

    let effective = loaded.effective();
    let binary = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let own_files = [state.root().to_owned(), places.user_file.clone(), PathBuf::from("/etc/ringfort")];
    let caller =
        Caller { home: &world.home, environment: &world.environment, own_files: &own_files, binary: binary.as_deref() };
    let mut profile = profile::build(&effective, &wishes.workspace, &caller, wishes.degree);
    let kind = wishes.runtime.unwrap_or(loaded.config.runtime.kind);
    let run = engine::Run { name: &wishes.session, folder: &state.run(&wishes.session), binary: binary.as_deref() };
    engine::choose(&mut profile, world, kind, &loaded.config.runtime.docker, &run)?;
    profile.mark = orphans::mark_of(&wishes.session);
    if let Some(explicit) = world.explicit_file(wishes.common) {
        protect_policy(&mut profile, &explicit)?;
    }
    let known = agent_profile(wishes.profile.as_deref(), &wishes.program)?;
    let mut passed = effective.shell_env_passthrough.clone();
    let mut added = Added::default();
    if let Some(known) = known {
        let own = state.agent(known.name).map_err(Failure::guard)?;
        added = known.prepare(&world.home, &own).map_err(Failure::guard)?;
        profile::add_agent(&mut profile, &mut added, &caller);
        passed.extend(known.passed.iter().map(|name| (*name).to_owned()));
        notices.append(&mut added.notices);
    }
    let scratch = (wishes.degree == DegreeRequest::Minimal).then(|| state.scratch(&wishes.session));
    let mut environment = profile::environment(&passed, &caller, scratch.as_deref());
    environment.append(&mut added.environment);
    let mut inside = Inside { profile: &mut profile, environment: &mut environment, notices: &mut notices };
    loaded = give_door(world, &wishes, known, loaded, (&state, clock.now()), &mut inside);
    environment.sort();

    let agent = loaded.config.agent_of(&wishes.program);
    let pipeline = pipeline(world, &loaded, agent, &state, trail, &clock)?;
    let session = Session {
        pipeline,
        name: wishes.session,
        workspace: wishes.workspace,
        home: world.home.clone(),
        holds_agent: known.is_some() && profile.runtime == NATIVE,
        profile,
        limits: effective.limits,
        agent_wall: effective.shell_timeout,
        clock,
        known: None,
    };
    Ok(Wired { session, state, environment, notices, loaded })
}

/// What a cage is made from, before it is a session.
struct Inside<'a> {
    profile: &'a mut Profile,
    environment: &'a mut Vec<(OsString, OsString)>,
    notices: &'a mut Vec<String>,
}

/// Gives the cage a door to the network, where one is wanted; the configuration then lists the hosts of clients and of
/// the agent as well.
fn give_door(
    world: &World,
    wishes: &RunWishes<'_>,
    agent: Option<&AgentProfile>,
    loaded: Loaded,
    (state, now): (&StateFolder, Timestamp),
    inside: &mut Inside<'_>,
) -> Loaded {
    // A project's "off" stands, whatever the command line says.
    let wished = match loaded.network() {
        Network::Off => Network::Off,
        otherwise => wishes.network.unwrap_or(otherwise),
    };
    let kind = wishes.runtime.unwrap_or(loaded.config.runtime.kind);
    // A container with a network of the engine is not led through a door.
    let is_container = matches!(kind, RuntimeKind::Docker | RuntimeKind::Podman);
    let has_sockets = inside.profile.syscalls.contains(SyscallGroup::Network);
    let no_door = if is_container && loaded.config.runtime.docker.network != "none" {
        Some("there is no door beside a network of the engine; set `runtime.docker.network` to `none`")
    } else if wishes.degree == DegreeRequest::Minimal && !has_sockets {
        Some("there is no door in the degree `minimal` without the system calls of the group `network`")
    } else {
        None
    };
    if wished == Network::Off || no_door.is_some() {
        let lists = loaded.chain.first().is_some_and(ringfort_policy::rule::Policy::lists_hosts)
            || !loaded.config.egress.presets.is_empty();
        let is_wanted = wished == Network::Door || (lists && wished != Network::Off);
        inside.notices.extend(no_door.filter(|_| is_wanted).map(str::to_owned));
        return loaded;
    }
    let mut clients = Clients::default();
    if let Some(command) = wishes.clients {
        let typed = clients::typed(command);
        let (common, workspace) = (wishes.common, wishes.workspace.as_path());
        let look = Look { world, common, state: state.root(), workspace, typed: &typed, now };
        clients = clients::of(&look, &loaded, Asking::Allowed);
        inside.notices.append(&mut clients.notices);
    }
    // The hosts of the agent's own service.
    let hosts = agent.map(|agent| agent.hosts).unwrap_or_default();
    clients.hosts.extend(hosts.iter().filter_map(|host| HostPattern::parse(host).ok()));
    let loaded = loaded.with_client_hosts(&clients.hosts);
    inside.profile.network = view::network(wished, &loaded.chain, wishes.asks);
    if inside.profile.network != ringfort_sandbox::profile::Network::None {
        let mut variables: Vec<_> = view::passed(&world.environment).collect();
        variables.extend(view::environment(&loaded.chain));
        clients.add_to(inside.profile, &mut variables);
        inside.environment.retain(|(name, _)| !variables.iter().any(|(own, _)| own == name));
        inside.environment.append(&mut variables);
    }
    loaded
}

/// The profile of the agent that was named, or that the program is; `none` is none.
///
/// # Errors
///
/// There is none of this name.
fn agent_profile(named: Option<&str>, program: &str) -> Result<Option<&'static AgentProfile>, Failure> {
    match named {
        None => Ok(agents::of_program(program)),
        Some("none") => Ok(None),
        Some(name) => match agents::named(name) {
            Some(profile) => Ok(Some(profile)),
            None => {
                let known: Vec<&str> = agents::PROFILES.iter().map(|profile| profile.name).collect();
                let error = anyhow::anyhow!("there is no profile `{name}`");
                Err(Failure::usage(error).help(format!("profiles: {}, none", known.join(", "))))
            }
        },
    }
}

/// Composes the spine of a session.
///
/// # Errors
///
/// The provider cannot be used.
fn pipeline(
    world: &World,
    loaded: &Loaded,
    agent: Option<&str>,
    state: &StateFolder,
    trail: Arc<Trail>,
    clock: &Arc<dyn Clock>,
) -> Result<Pipeline, Failure> {
    let chain: Arc<[ringfort_policy::rule::Policy]> = loaded.chain.clone().into();
    let provider = providers::select_for(PROVIDERS, &loaded.config, agent, &chain).map_err(Failure::guard)?;
    let effective = loaded.effective();
    let limits = GuardLimits {
        actions_per_hour: effective.actions_per_hour_max,
        repeats_max: effective.loop_repeats_max,
        loop_window: effective.loop_window,
    };
    Ok(Pipeline::new(PipelineParts {
        chain,
        provider,
        guard: Guard::new(state.guard(), limits).rebuilt_from(state.trail()),
        freeze: state.freeze(),
        approvals: Arc::new(ApprovalDb::new(state.root())),
        trail,
        outcomes: match loaded.config.trail.durability {
            ringfort_policy::config::Durability::Second => ringfort_audit::Durability::Written,
            ringfort_policy::config::Durability::Sync => ringfort_audit::Durability::Synced,
        },
        clock: Arc::clone(clock),
    })
    .recognising(own(world)))
}

/// This executable, and where programs are found.
fn own(world: &World) -> Option<Own> {
    let executable = std::env::current_exe().ok()?;
    Own::new(&executable, world.variable("PATH").unwrap_or_default())
}

/// Composes the spine of a hook: as for a run, but for everything that a cage needs.
///
/// # Errors
///
/// The configuration, the trail or the provider cannot be used; nothing may happen.
pub(crate) fn wire_hook(
    world: &World,
    common: &Common,
    state: &StateFolder,
    workspace: &Path,
    agent: &str,
) -> Result<Pipeline, Failure> {
    let loaded = world.load(common, Some(workspace))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let trail = Arc::new(open_trail(state, &clock)?);
    pipeline(world, &loaded, Some(agent), state, trail, &clock)
}

/// Composes the spine of a command by which a person reads their own store; no project has a say in it.
///
/// # Errors
///
/// The provider cannot be used; nothing may happen.
pub(crate) fn wire_secrets(
    world: &World,
    loaded: &Loaded,
    state: &StateFolder,
    trail: &Arc<Trail>,
    clock: &Arc<dyn Clock>,
) -> Result<Pipeline, Failure> {
    pipeline(world, loaded, None, state, Arc::clone(trail), clock)
}

/// A policy file that lies where the program writes cannot be changed by it: the next run would obey the change.
///
/// # Errors
///
/// It is reached by a link that the program could turn; nothing has started.
fn protect_policy(profile: &mut Profile, file: &Path) -> Result<(), Failure> {
    let unusable = || format!("cannot use `{}` as policy", file.display());
    let real = file.canonicalize().with_context(unusable).map_err(Failure::usage)?;
    let named = file.parent().zip(file.file_name()).map(|(folder, name)| real_or_same(folder).join(name));
    let is_written = |path: &Path| {
        std::iter::once(&profile.workspace).chain(&profile.writable).any(|root| path.starts_with(real_or_same(root)))
    };
    if !is_written(&real) && !named.as_deref().is_some_and(is_written) {
        return Ok(());
    }
    if named.as_deref() != Some(real.as_path()) {
        let error = anyhow::anyhow!("{}: it is a link that the program could turn", unusable());
        return Err(Failure::usage(error).help("name the file itself, or keep it outside the workspace"));
    }
    profile.protected.push(real);
    // Where nothing inside the workspace can be protected, the run does not start.
    profile.require.insert(Promise::ProtectStartup);
    Ok(())
}

/// Opens the state folder; a home that does not exist is not made for it.
///
/// # Errors
///
/// It cannot be used; nothing was changed.
pub(crate) fn open_state(world: &World, places: &Places) -> Result<StateFolder, Failure> {
    if places.state.starts_with(&world.home) && !world.home.is_dir() {
        let error = anyhow::anyhow!("the home folder `{}` does not exist", world.home.display());
        return Err(Failure::guard(error).help("set HOME, or name a state folder with --state DIR"));
    }
    StateFolder::open(&places.state).map_err(Failure::guard)
}

/// Opens the trail of a state folder.
///
/// # Errors
///
/// It cannot be used; nothing is recorded, so nothing may happen.
pub(crate) fn open_trail(state: &StateFolder, clock: &Arc<dyn Clock>) -> Result<Trail, Failure> {
    Trail::open(&state.trail(), TrailOptions::new(Arc::clone(clock)))
        .map_err(|error| Failure::guard(error).help("`ringfort trail verify` names what is wrong with the record"))
}

/// A random name for a session: 128 bits in hex.
///
/// # Errors
///
/// The system has no randomness to give.
pub(crate) fn session_name() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if filled != Ok(bytes.len()) {
        return Err(Failure::guard(anyhow::anyhow!("the system gives no random bytes")));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
