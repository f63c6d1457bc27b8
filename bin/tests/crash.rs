//! SIGKILL at random moments of an import: the final database is, table by table, that of an uninterrupted run.
//!
//! `PORTICO_KILLS` sets the number of kills; `make crash` runs 100 of them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};

fn portico(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.arg("-q").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

struct Chain {
    genesis: PathBuf,
    blocks: PathBuf,
}

impl Chain {
    fn generate(folder: &Path, blocks: u64) -> Self {
        let out = folder.join("chain");
        let status = portico(&["bench", "generate", "--blocks", &blocks.to_string(), "--seed", "7", "--out"])
            .arg(&out)
            .status()
            .unwrap();
        assert!(status.success(), "generating the chain");
        Self { genesis: out.join("genesis.json"), blocks: out.join("chain.rlp") }
    }

    fn import(&self, datadir: &Path) -> Command {
        // Small batches, so that kills fall before, within and after commits.
        let mut command =
            portico(&["import", "--stage.batch-blocks", "4", "--db.growth-step", "1MB", "--chain"]);
        command.arg(&self.genesis).arg("--datadir").arg(datadir).arg(&self.blocks);
        command
    }
}

fn digest(datadir: &Path) -> String {
    let output =
        portico(&["db", "digest", "--datadir"]).arg(datadir).stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "the database opens");
    String::from_utf8(output.stdout).unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_imports_resume_to_the_same_database() {
    let kills: u32 = std::env::var("PORTICO_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(8);
    let blocks = 40 + u64::from(kills) * 4;
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::generate(folder.path(), blocks);
    let straight = folder.path().join("straight");
    let started = std::time::Instant::now();
    assert!(chain.import(&straight).status().unwrap().success());
    let whole = started.elapsed();
    let expected = digest(&straight);

    let killed = folder.path().join("killed");
    let mut random = StdRng::seed_from_u64(11);
    let (mut done, mut finished) = (0, 0);
    while done < kills {
        let child = chain.import(&killed).spawn().unwrap();
        // Spread the kills over the whole run: each gets a little further than the one before.
        let reach = whole.as_secs_f64() * 3.0 / f64::from(kills);
        std::thread::sleep(Duration::from_secs_f64(random.random_range(0.0..reach.max(0.05))));
        kill(child);
        done += 1;
        if digest_if_open(&killed).as_deref() == Some(expected.as_str()) {
            finished += 1;
            std::fs::remove_dir_all(&killed).unwrap();
        }
    }
    assert!(chain.import(&killed).status().unwrap().success(), "the import resumes");
    assert_eq!(digest(&killed), expected);
    println!("{done} kills, of which {finished} came when everything was committed already");
}

/// The digest, unless the process was killed before there was a database.
fn digest_if_open(datadir: &Path) -> Option<String> {
    datadir.join("db/mdbx.dat").exists().then_some(())?;
    let output =
        portico(&["db", "digest", "--datadir"]).arg(datadir).stdout(Stdio::piped()).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}
