//! The node that is asked: made once in a process, on a chain of its own.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use eyre::{Result, ensure};
use portico::{DataDir, import_files};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, LiveDatabase, SyncMode};
use portico_files::BlockFiles;
use portico_generator::{DatabaseState, Generator, GeneratorConfig, genesis, write_blocks, write_genesis};
use portico_governor::{Class, Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::{Query, QuerySettings};
use portico_server::{PortSettings, RunningServer, ServerSettings, start};
use portico_stages::{StageSettings, StopSignal};
use tokio::runtime::{Builder, Runtime};

use super::requests::Sample;

/// Blocks of the chain.
const BLOCKS: usize = 6;
/// Room for a database: more than the chain takes, little enough for runs whose memory is limited.
const DATABASE_BYTES_MAX: usize = 256 << 20;
/// How long a call works. A longer one gets an error, or an answer that breaks off, and is no finding.
const CALL_SECONDS: u64 = 1;
/// How long the client waits: for all calls of a batch.
const WAIT: Duration = Duration::from_secs(60);
/// Gas of a call.
const GAS_MAX: u64 = 2_000_000;

/// A node behind a socket.
pub(super) struct Served {
    pub sample: Sample,
    address: SocketAddr,
    _server: RunningServer,
    _governor: Governor,
    _runtime: Runtime,
}

/// The process's node.
pub(super) fn served() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(|| serve().expect("a node can be made"));
    &SERVED
}

fn serve() -> Result<Served> {
    let folder = tempfile::tempdir()?;
    let (database, spec, sample) = import(folder.path())?;
    // What is open stays until the process ends, and nothing is left then.
    drop(folder);
    let settings = QuerySettings {
        call_gas_max: GAS_MAX,
        call_time_max: Duration::from_secs(CALL_SECONDS),
        ..QuerySettings::default()
    };
    let query = Query::new(LiveDatabase::of(Arc::new(database)), spec, settings);
    let mut limits = GovernorSettings::default();
    for class in Class::ALL {
        let limits = limits.of_mut(class);
        (limits.threads, limits.nice) = (1, 0);
        limits.time = Duration::from_secs(CALL_SECONDS);
    }
    let governor = Governor::start(query, &limits)?;
    let port = PortSettings {
        address: ([127, 0, 0, 1], 0).into(),
        namespaces: Namespace::ALL.to_vec(),
        ..PortSettings::default()
    };
    let settings = ServerSettings { ports: vec![port], ..ServerSettings::default() };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = Arc::new(NodeInfo::new("Portico/fuzz".to_owned()));
    let server = runtime.block_on(start(&settings, &governor, &node))?;
    let address = server.addresses()[0];
    Ok(Served { sample, address, _server: server, _governor: governor, _runtime: runtime })
}

fn import(folder: &Path) -> Result<(Database, Arc<ChainSpec>, Sample)> {
    let config = GeneratorConfig {
        genesis_users: 60,
        cold_accounts: 20,
        tokens: 4,
        transactions_per_block: 6,
        ..GeneratorConfig::default()
    };
    let (genesis_file, blocks_file) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    write_genesis(&genesis(&config), &mut File::create(&genesis_file)?)?;
    let (state, scratch) = (open(&folder.join("state"))?, folder.join("scratch"));
    std::fs::create_dir(&scratch)?;
    let generator = Generator::new(config, |genesis| DatabaseState::new(&state, genesis, &scratch))?;
    let blocks = generator.take(BLOCKS).collect::<Result<Vec<_>, _>>()?;
    let sample = Sample::of(&blocks);
    write_blocks(blocks.into_iter().map(Ok), BufWriter::new(File::create(&blocks_file)?))?;
    let spec = ChainSpec::load(&genesis_file.to_string_lossy())?;
    let data_dir = DataDir::new(&folder.join("node"));
    let database = open(&data_dir.database())?;
    let files = BlockFiles::discover(&[blocks_file])?;
    let stop = StopSignal::default();
    let end = import_files(&database, &spec, &data_dir, &StageSettings::default(), files, None, &stop, &())?;
    ensure!(end.head == BLOCKS as u64, "block {} is the last one", end.head);
    Ok((database, spec, sample))
}

fn open(folder: &Path) -> Result<Database> {
    let settings = DatabaseSettings {
        sync_mode: SyncMode::Bulk,
        max_size: DATABASE_BYTES_MAX,
        growth_step: 1 << 20,
        dirty_bytes_max: 64 << 20,
        ..DatabaseSettings::default()
    };
    Ok(Database::open(folder, &settings)?)
}

impl Served {
    /// Sends a request and gives the body of the answer; `None` when it was cut off as its time was over, which is all
    /// that can be done to an answer that is on its way.
    pub fn ask(&self, body: &[u8]) -> Option<Vec<u8>> {
        let began = Instant::now();
        let answer =
            self.exchange(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)));
        let whole = body_of(&answer);
        let is_late = began.elapsed() >= Duration::from_secs(CALL_SECONDS);
        if whole.is_none() && !(is_late && answer.starts_with(b"HTTP/1.1 200 OK\r\n")) {
            panic!(
                "not HTTP: {}\nrequest: {}",
                String::from_utf8_lossy(&answer),
                String::from_utf8_lossy(body)
            );
        }
        whole
    }

    fn exchange(&self, body: &[u8]) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(WAIT))?;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The body of an HTTP answer, whole or in chunks (RFC 9112); `None` when it is cut off.
fn body_of(answer: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = split_at(answer, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head).to_lowercase();
    if !head.contains("transfer-encoding: chunked") {
        return Some(rest.to_vec());
    }
    let (mut body, mut rest) = (Vec::new(), rest);
    loop {
        let (length, behind) = split_at(rest, b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(behind.get(..length)?);
        rest = behind.get(length..)?.strip_prefix(b"\r\n")?;
    }
}

/// What comes before and after the first `mark`.
fn split_at<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}
