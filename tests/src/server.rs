//! The operator: starts the built binary, kills it, stops it, weighs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::App;
use crate::http::Http;
pub use crate::port::free_port;

/// A start that takes longer has failed.
const START: Duration = Duration::from_secs(30);

/// Which build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `target/debug`.
    Debug,
    /// `target/release`.
    Release,
}

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which build.
    pub profile: Profile,
    /// The data directory.
    pub data: PathBuf,
    /// `postgres://…`, or the embedded database.
    pub database: Option<String>,
    /// The app file.
    pub app_file: PathBuf,
    /// What its `${…}` stand for.
    pub app: App,
    /// `BOTKIT_URL`.
    pub botkit: String,
    /// More flags.
    pub flags: Vec<String>,
    /// More variables.
    pub variables: Vec<(String, String)>,
    /// No file of it grows beyond so many kB: for those that would, the disk is full.
    pub largest_file_kb: Option<u64>,
    /// It has this core of the machine, and no other.
    pub core: Option<usize>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    address: SocketAddr,
    child: Option<Child>,
}

/// The built binary: `INTERLINE_BIN`, else in the workspace's target directory.
pub fn binary(profile: Profile) -> PathBuf {
    if let Some(path) = std::env::var_os("INTERLINE_BIN") {
        return path.into();
    }
    let workspace = workspace();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join(if profile == Profile::Debug { "debug" } else { "release" }).join("interline")
}

/// The workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// `examples/botkit/app.yaml`, as it is.
pub fn example() -> PathBuf {
    workspace().join("examples/botkit/app.yaml")
}

/// The example with words changed, as a file in `directory`. Each `(from, to)` must be in it.
///
/// # Errors
/// When one is not, or the file cannot be written.
pub fn example_with(directory: &Path, changes: &[(&str, &str)]) -> Result<PathBuf> {
    let mut text = std::fs::read_to_string(example())?;
    for (from, to) in changes {
        anyhow::ensure!(text.contains(from), "the example has no `{from}`");
        text = text.replace(from, to);
    }
    let path = directory.join("app.yaml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The binary with nobody else's settings in its environment.
pub fn command(profile: Profile) -> Command {
    without_settings(Command::new(binary(profile)))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("INTERLINE_"))
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// A program on one core of the machine, by `taskset` (util-linux). What it starts is on that core, too.
pub fn pinned(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// [`command`], with a limit on the size of files: writes fail beyond it, as on a full disk.
fn limited(profile: Profile, kb: u64) -> Command {
    let mut command = without_settings(Command::new("sh"));
    // POSIX counts blocks of 512 bytes.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kb * 2);
    command.arg("-c").arg(script).arg(binary(profile));
    command
}

/// Runs the binary to its end; its status, and what it said on both outputs.
///
/// # Errors
/// When it cannot be started or does not end in time.
pub async fn run(mut command: Command) -> Result<(ExitStatus, String)> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("start the binary")?;
    let output = tokio::time::timeout(START, child.wait_with_output()).await.context("it does not end")??;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status, String::from_utf8_lossy(&said).into_owned()))
}

impl Setup {
    /// The example app, debug build, embedded database.
    pub fn new(data: &Path, app: &App, botkit: &str) -> Self {
        Self {
            profile: Profile::Debug,
            data: data.to_path_buf(),
            database: None,
            app_file: example(),
            app: app.clone(),
            botkit: botkit.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
            largest_file_kb: None,
            core: None,
        }
    }

    /// The command line for an address. Its log goes to the file that [`Setup::log`] names.
    ///
    /// # Errors
    /// When the log file cannot be opened.
    pub fn command(&self, address: SocketAddr) -> Result<Command> {
        let mut command = match (self.largest_file_kb, self.core) {
            (None, None) => command(self.profile),
            (Some(kb), _) => limited(self.profile, kb),
            (None, Some(core)) => without_settings(pinned(core, binary(self.profile))),
        };
        command.arg("serve").arg("--listen").arg(address.to_string()).arg("--data").arg(&self.data);
        command.arg("--app").arg(&self.app_file).args(&self.flags);
        if let Some(database) = &self.database {
            command.arg("--database").arg(database);
        }
        command.env("BOT_ID", &self.app.bot).env("CLIENT_ID", &self.app.client_id);
        command.env("CLIENT_SECRET", &self.app.secret).env("BOTKIT_URL", &self.botkit);
        command.envs(self.variables.iter().cloned());
        std::fs::create_dir_all(&self.data)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        command.stderr(log);
        Ok(command)
    }

    /// Where the log goes.
    pub fn log(&self) -> PathBuf {
        self.data.join("server.log")
    }

    /// Starts it on a free port and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready; with the end of its log.
    pub async fn start(self) -> Result<Server> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut server = Server { setup: self, address, child: None };
        server.spawn()?;
        server.ready().await?;
        Ok(server)
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it was started.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The next start has another limit: see [`Setup::largest_file_kb`].
    pub fn set_largest_file_kb(&mut self, kb: Option<u64>) {
        self.setup.largest_file_kb = kb;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap_or_default()
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = self.setup.command(self.address)?;
        let child = command.spawn().with_context(|| {
            format!(
                "cannot start {}: build it first (cargo build --bin interline)",
                binary(self.setup.profile).display()
            )
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Errors
    /// When it ended, or is not ready in time.
    pub async fn ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("the server ended with {status}:\n{}", self.log_end());
            }
            if Http::new(self.address).get("/readyz", &[]).await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if begin.elapsed() > START {
                bail!("the server is not ready after {START:?}:\n{}", self.log_end());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it had ended by itself before.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { bail!("it does not run") };
        if let Some(status) = child.try_wait()? {
            bail!("the server had ended by itself with {status}:\n{}", self.log_end());
        }
        child.kill().await?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within `patience`.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.ask_to_stop().await?;
        self.ended(patience).await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not end within `patience`.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let Some(mut child) = self.child.take() else { bail!("it does not run") };
        let status = tokio::time::timeout(patience, child.wait()).await;
        Ok(status.with_context(|| format!("it does not stop:\n{}", self.log_end()))??)
    }

    /// SIGTERM alone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn ask_to_stop(&self) -> Result<()> {
        let sent = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status().await?;
        anyhow::ensure!(sent.success(), "it does not run");
        Ok(())
    }

    /// CPU time so far, of the process that runs now.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.pid())
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        memory_of(self.pid())
    }

    /// The most resident memory so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        most_memory_of(self.pid())
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let log = std::fs::read(self.setup.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// How often `words` stand in its log.
    pub fn logged(&self, words: &str) -> usize {
        let log = std::fs::read(self.setup.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).matches(words).count()
    }
}

/// Resident memory of a process in bytes.
pub fn memory_of(pid: u32) -> u64 {
    status_of(pid, "VmRSS:")
}

/// The most resident memory of a process so far, in bytes.
pub fn most_memory_of(pid: u32) -> u64 {
    status_of(pid, "VmHWM:")
}

/// A size in bytes. Source: proc(5), `status`.
fn status_of(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time of a process. Source: proc(5), `stat`, fields 14 and 15, in hundredths of a second.
pub fn cpu_of(pid: u32) -> Duration {
    let ticks = stat(pid)
        .map_or(0, |fields| fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum());
    Duration::from_millis(ticks * 10)
}

/// The parent of a process.
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The fields of `stat` after the name, which may hold spaces. The first is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(") ")?;
    Some(after.split_whitespace().map(str::to_owned).collect())
        .filter(|fields: &Vec<String>| fields.len() > 20)
}
