//! `portico node` as a process of its own, on ports that the system chooses.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use eyre::{Result, WrapErr, bail, eyre};
use portico_spec::EngineClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a node may take until it serves.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Log lines that are remembered.
const LINES_MAX: usize = 200;

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeCommand {
    /// The program.
    pub program: PathBuf,
    /// Its chain.
    pub genesis: PathBuf,
    /// Its data folder.
    pub datadir: PathBuf,
    /// More flags.
    pub flags: Vec<String>,
}

/// A node that serves JSON-RPC and the Engine API. It is killed when this goes.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    http: SocketAddr,
    engine: SocketAddr,
    secret: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl NodeCommand {
    /// Starts the node; returns when it serves.
    ///
    /// # Errors
    /// With its last words, when it does not.
    pub fn start(&self) -> Result<NodeProcess> {
        let mut command = Command::new(&self.program);
        command.args(["node", "--log.format", "json", "--ipc.disable", "--db.growth-step", "1MB"]);
        command.args(["--http", "--http.port", "0", "--http.api", "eth,debug,txpool,net,web3"]);
        command.args(["--authrpc.port", "0", "--chain"]).arg(&self.genesis);
        command.arg("--datadir").arg(&self.datadir).args(&self.flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().wrap_err_with(|| self.program.display().to_string())?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (told, addresses) = mpsc::channel();
        let stderr = child.stderr.take().ok_or_else(|| eyre!("no pipe from the node"))?;
        let lines = log.clone();
        std::thread::spawn(move || listen(stderr, &lines, &told));
        // From here on it is killed when something fails.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut node = NodeProcess { child, http: unknown, engine: unknown, secret: String::new(), log };
        for _ in 0..2 {
            match addresses.recv_timeout(START_TIME_MAX) {
                Ok((true, address)) => node.engine = address,
                Ok((false, address)) => node.http = address,
                Err(_) => bail!("the node does not serve: {}", node.log()),
            }
        }
        node.secret = std::fs::read_to_string(self.datadir.join("jwt.hex")).wrap_err("the secret")?;
        Ok(node)
    }
}

/// Reads log lines until the process has ended; tells where it serves, and whether that is the Engine API.
fn listen(stderr: ChildStderr, log: &Mutex<VecDeque<String>>, told: &mpsc::Sender<(bool, SocketAddr)>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Ok(fields) = serde_json::from_str::<Value>(&line).map(|line| line["fields"].clone())
            && fields["message"] == "serving"
            && let Some(address) = fields["address"].as_str().and_then(|address| address.parse().ok())
        {
            let _ = told.send((fields["engine"] == true, address));
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LINES_MAX {
            log.pop_front();
        }
        log.push_back(line);
    }
}

impl NodeProcess {
    /// A connection to the port of JSON-RPC.
    ///
    /// # Errors
    /// When the node is gone.
    pub fn connect(&self) -> Result<EngineClient> {
        EngineClient::connect(self.http, None).wrap_err_with(|| self.log())
    }

    /// A connection to the port of the Engine API.
    ///
    /// # Errors
    /// When the node is gone.
    pub fn connect_engine(&self) -> Result<EngineClient> {
        EngineClient::connect(self.engine, Some(&self.secret)).wrap_err_with(|| self.log())
    }

    /// The last log lines.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|line| format!("\n  {line}")).collect()
    }

    /// Log lines about errors, and words of a panic.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let is_bad = |line: &&String| line.contains("\"ERROR\"") || line.contains("panicked");
        log.iter().filter(is_bad).cloned().collect()
    }

    /// Memory that is the process's own, without mapped files; 0 where the system does not say.
    pub fn memory_bytes(&self) -> u64 {
        memory_of(&self.child.id().to_string())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; waits for the end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or_else(|| eyre!("no process"))?, Signal::TERM)?;
        Ok(self.child.wait()?)
    }
}

/// Memory of a process by its id, or of this one as `self`.
pub(crate) fn memory_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs another command of the program on a data folder; gives what it prints.
///
/// # Errors
/// With its words, when it fails.
pub fn run_on(program: &Path, command: &[&str], datadir: &Path) -> Result<String> {
    let output = Command::new(program).arg("-q").args(command).arg("--datadir").arg(datadir).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}
