//! One server process: started under `setpriv`, so that it ends when this process does, whatever ends it.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a server may take to end by itself before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The user a server runs as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// For messages, for example "Kafka".
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
    /// `None`: the user of this process.
    pub(crate) user: Option<User>,
    /// A command that starts it, with arguments; empty: none.
    pub(crate) within: Vec<String>,
    /// The signal that ends it soonest without leaving anything behind.
    pub(crate) stop: Signal,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

/// A running process; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    spec: Spec,
    child: Mutex<Option<Child>>,
}

impl Spec {
    /// The command, as a process group of its own.
    pub(crate) fn command(&self) -> Result<Command> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let mut words = self.within.iter().map(String::as_str).chain(["setpriv"]);
        let mut command = Command::new(words.next().unwrap_or("setpriv"));
        command.args(words);
        command.arg(format!("--pdeathsig={}", signal_name(self.stop)));
        if let Some(user) = self.user {
            command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
            command.arg("--clear-groups");
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        command.current_dir(self.log.parent().unwrap_or(Path::new("/")));
        command.process_group(0);
        Ok(command)
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self) -> Result<()> {
        let status = tokio::process::Command::from(self.command()?)
            .kill_on_drop(true)
            .status()
            .await
            .with_context(|| self.cannot_start())?;
        if status.success() {
            return Ok(());
        }
        Err(anyhow!("{}: {status}{}", self.name, log_tail(&self.log)))
    }

    fn cannot_start(&self) -> String {
        format!(
            "start {} ({}) by `setpriv` of util-linux",
            self.name,
            self.program.display()
        )
    }
}

impl Process {
    /// Starts the process.
    pub(crate) fn start(spec: Spec) -> Result<Self> {
        let child = Mutex::new(Some(spawn(&spec)?));
        Ok(Self { spec, child })
    }

    /// A process that is yet to be started: [`Self::start_again`].
    pub(crate) const fn stopped(spec: Spec) -> Self {
        Self {
            spec,
            child: Mutex::new(None),
        }
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<String> {
        match self.lock().as_mut().map(Child::try_wait) {
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => Some(status.to_string()),
            Some(Err(error)) => Some(error.to_string()),
            None => Some("stopped".to_owned()),
        }
    }

    /// The process's id, unless it was killed.
    pub(crate) fn id(&self) -> Option<u32> {
        self.lock().as_ref().map(Child::id)
    }

    /// Kills the process at once, as a crash does; it can be started again.
    pub(crate) fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Sends a signal to the process, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.lock().as_ref().map(Child::id);
        if let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            // Fails only where it has ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Starts the process again after [`Self::kill`].
    pub(crate) fn start_again(&self) -> Result<()> {
        self.end(Signal::KILL);
        *self.lock() = Some(spawn(&self.spec)?);
        Ok(())
    }

    fn end(&self, signal: Signal) {
        let Some(mut child) = self.lock().take() else {
            return;
        };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // PostgreSQL's own children lead groups of their own and follow their parent; the others share its group.
        let children = children(child.id());
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + STOP_LIMIT;
        while signal != Signal::KILL && Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = child.wait();
        // A child that outlives its parent for a moment holds its shared memory: a new server would not start.
        while Instant::now() < deadline && children.iter().any(|child| runs(child)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(self.spec.stop);
    }
}

/// The ids of a process's children.
fn children(parent: u32) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Whether a process is there and has not ended.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the program's name, which is in parentheses.
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// The last lines of a log and where the rest is, for an error.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(25)..)
        .unwrap_or_default()
        .join("\n");
    format!("\nlog {}:\n{tail}", crate::scratch::keep_log(log).display())
}

fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::QUIT => "QUIT",
        Signal::TERM => "TERM",
        _ => "KILL",
    }
}

type Job = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// The kernel sends a parent-death signal when the parent *thread* ends, and a test's thread ends with the test: one
/// thread that lives as long as the process starts them all.
static STARTER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        for (mut command, answer) in queue {
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(jobs)
});

fn spawn(spec: &Spec) -> Result<Child> {
    let (answer, child) = mpsc::sync_channel(1);
    STARTER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((spec.command()?, answer))
        .map_err(|_| anyhow!("the thread that starts processes has ended"))?;
    child.recv()?.with_context(|| spec.cannot_start())
}
