//! Flags about the consensus client, and the node's side of it: the newest blocks in memory, written behind.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::Bytes;
use clap::Args;
use eyre::{Result, WrapErr, bail};
use portico_chainspec::{ChainSpec, DEV_ACCOUNTS, DEV_PHRASE};
use portico_db::LiveDatabase;
use portico_engine::{
    Dev, DevSettings, Engine, EngineSettings, GAS_LIMIT_TARGET, debug_methods, dev_account_methods,
    dev_methods, engine_methods, testing_methods,
};
use portico_jsonrpc::Namespace;
use portico_query::Query;
use portico_server::{AuthSettings, ExtraMethods, PortSettings};
use portico_stages::{StageSettings, Tip, TipConfig, TipSettings, TipWorker};

use crate::datadir::DataDir;

/// The port that consensus clients expect.
const PORT: u16 = 8551;
/// Name of the file with the secret, in the data folder.
const SECRET_FILE: &str = "jwt.hex";
/// Bytes of extra data in a header.
const EXTRA_DATA_MAX: usize = 32;

/// Flags about the consensus client.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Address of the Engine API, for the consensus client [default: 127.0.0.1]
    #[arg(long = "authrpc.addr", env = "PORTICO_AUTHRPC_ADDR", value_name = "ADDRESS")]
    addr: Option<IpAddr>,
    /// Port of the Engine API [default: 8551]
    #[arg(long = "authrpc.port", env = "PORTICO_AUTHRPC_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// File with the secret that the consensus client shares, 64 hexadecimal digits; made when it is missing
    /// [default: DATADIR/jwt.hex]
    #[arg(long = "authrpc.jwtsecret", env = "PORTICO_AUTHRPC_JWTSECRET", value_name = "FILE")]
    jwt_secret: Option<PathBuf>,
    /// Names under which the Engine API may be reached, * for all
    #[arg(
        long = "authrpc.vhosts",
        env = "PORTICO_AUTHRPC_VHOSTS",
        default_value = "localhost",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    vhosts: Vec<String>,
    /// No Engine API: only read the database, which another process may write meanwhile
    #[arg(
        long = "authrpc.disable",
        env = "PORTICO_AUTHRPC_DISABLE",
        conflicts_with_all = ["addr", "port", "jwt_secret"]
    )]
    pub disable: bool,
    /// Canonical blocks that are kept in memory before the oldest of them are written
    #[arg(
        long = "engine.memory-blocks",
        env = "PORTICO_ENGINE_MEMORY_BLOCKS",
        default_value_t = 16,
        value_name = "BLOCKS"
    )]
    memory_blocks: usize,
    /// Make blocks without a consensus client, for development: when there are transactions; the ten accounts of
    /// --chain dev can be used without keys
    #[arg(long, env = "PORTICO_DEV", conflicts_with = "disable")]
    pub dev: bool,
    /// With --dev, make a block every so many seconds instead; 0 for when there are transactions
    #[arg(
        long = "dev.period",
        env = "PORTICO_DEV_PERIOD",
        default_value_t = 0,
        requires = "dev",
        value_name = "SECONDS"
    )]
    dev_period: u64,
    /// With --dev, send so many transfers a second between accounts whose keys are known
    #[arg(long = "dev.stream", env = "PORTICO_DEV_STREAM", requires = "dev", value_name = "PER SECOND")]
    pub dev_stream: Option<f64>,
    /// Gas limit that blocks built here aim at
    #[arg(
        long = "miner.gaslimit",
        env = "PORTICO_MINER_GASLIMIT",
        default_value_t = GAS_LIMIT_TARGET,
        value_name = "GAS"
    )]
    gas_limit: u64,
    /// Extra data of blocks built here: text of at most 32 bytes
    #[arg(
        long = "miner.extradata",
        env = "PORTICO_MINER_EXTRADATA",
        default_value = "portico",
        value_parser = parse_extra_data,
        value_name = "TEXT"
    )]
    extra_data: Bytes,
}

fn parse_extra_data(text: &str) -> Result<Bytes, String> {
    if text.len() > EXTRA_DATA_MAX {
        return Err(format!("{} bytes, at most {EXTRA_DATA_MAX}", text.len()));
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

impl EngineArgs {
    /// Whether the user asked for the Engine API in so many words: then it must work.
    pub fn is_explicit(&self) -> bool {
        self.addr.is_some() || self.port.is_some() || self.jwt_secret.is_some() || self.dev
    }

    /// Begins at the database's head.
    pub fn start_tip(
        &self,
        live: &Arc<LiveDatabase>,
        spec: &Arc<ChainSpec>,
        data_dir: &DataDir,
    ) -> Result<(Tip, TipWorker)> {
        let memory_blocks_max = self.memory_blocks.max(1);
        Ok(Tip::start(TipConfig {
            live: live.clone(),
            spec: spec.clone(),
            stages: StageSettings::default(),
            settings: TipSettings {
                memory_blocks_min: memory_blocks_max / 2,
                memory_blocks_max,
                ..TipSettings::default()
            },
            scratch: data_dir.scratch()?,
            observer: Box::new(()),
        })?)
    }

    /// The methods that a node with a tip has.
    pub fn methods(&self, tip: &Tip, query: &Query) -> Result<ExtraMethods> {
        let settings =
            EngineSettings { gas_limit_target: self.gas_limit, extra_data: self.extra_data.clone() };
        let engine = Engine::new(tip.clone(), query.clone(), settings);
        let mut others = vec![
            (Namespace::Testing, testing_methods(engine.clone())?),
            (Namespace::Debug, debug_methods(engine.clone())?),
        ];
        if self.dev {
            let period = (self.dev_period > 0).then(|| Duration::from_secs(self.dev_period));
            let dev = Dev::start(engine.clone(), DevSettings { period })?;
            if funded(query)? {
                let chain_id = query.spec().chain_id();
                tracing::info!(
                    chain_id,
                    phrase = DEV_PHRASE,
                    "ten accounts with ether can be used without keys"
                );
            }
            others.push((Namespace::Eth, dev_account_methods(dev.clone())?));
            others.push((Namespace::Evm, dev_methods(dev)?));
        }
        let engine = engine_methods(engine, env!("CARGO_PKG_VERSION"), env!("PORTICO_COMMIT"))?;
        Ok(ExtraMethods { engine: Some(engine), others })
    }

    /// The port of the Engine API; none when it was not asked for and somebody else has it.
    pub fn port_settings(&self, datadir: &Path) -> Result<Option<PortSettings>> {
        let address =
            SocketAddr::new(self.addr.unwrap_or(Ipv4Addr::LOCALHOST.into()), self.port.unwrap_or(PORT));
        if !self.is_explicit()
            && let Err(error) = TcpListener::bind(address)
        {
            tracing::warn!(%address, %error, "no Engine API: choose another port with --authrpc.port");
            return Ok(None);
        }
        let secret = match &self.jwt_secret {
            Some(path) => path.clone(),
            None => datadir.join(SECRET_FILE),
        };
        ensure_secret(&secret)?;
        Ok(Some(PortSettings {
            address,
            namespaces: vec![Namespace::Eth, Namespace::Net, Namespace::Web3],
            hosts: self.vhosts.clone(),
            auth: Some(AuthSettings { engine_secret: Some(secret), ..AuthSettings::default() }),
            engine: true,
            ..PortSettings::default()
        }))
    }
}

/// Whether the first of the accounts that everybody knows has anything.
fn funded(query: &Query) -> Result<bool> {
    let snapshot = query.snapshot()?;
    let account = snapshot.account(&DEV_ACCOUNTS[0], snapshot.head())?;
    Ok(account.is_some_and(|account| !account.balance.is_zero()))
}

/// Makes a secret that only we may read, unless there is one.
fn ensure_secret(path: &Path) -> Result<()> {
    if path.exists() {
        if !path.is_file() {
            bail!("{} is no file", path.display());
        }
        return Ok(());
    }
    let secret: [u8; 32] = rand::random();
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.wrap_err_with(|| format!("creating {}", path.display()))?;
    writeln!(file, "{}", hex::encode(secret))?;
    tracing::info!(path = %path.display(), "made the secret to be shared with the consensus client");
    Ok(())
}
