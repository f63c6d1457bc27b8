//! Proof-of-work seals on the way through the stages: which are verified, and where the database stands when one does
//! not hold.

use std::{
    cell::RefCell,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, LazyLock},
};

use alloy_consensus::proofs::calculate_ommers_root;
use alloy_primitives::B256;
use portico::FileSource;
use portico_chainspec::ChainSpec;
use portico_consensus::ethash::VerifyPow;
use portico_db::RwTxn;
use portico_files::{BlockFiles, ExportBlock, FileBlock, RlpWriter};
use portico_stages::{
    BlockSource, FORWARD, Pipeline, PipelineConfig, SharedSource, SourceBody, SourceError, SourceHeader,
    SourceLimit, StageId, StageSettings, StopSignal,
};
use portico_test_support::{TestNode, fixture};

fn besu(name: &str) -> Option<PathBuf> {
    fixture(&format!("real-chains/mainnet/besu/{name}"))
}

fn mainnet(verify_pow: Option<VerifyPow>) -> TestNode {
    let mut node = TestNode::new("mainnet").unwrap();
    node.settings.verify_pow = verify_pow;
    node
}

fn assert_stands_at(node: &TestNode, block_number: u64) {
    let txn = node.database.begin_ro().unwrap();
    for stage in FORWARD {
        assert_eq!(portico_chain::read_checkpoint(&txn, stage.name()).unwrap(), block_number, "{stage}");
    }
}

fn config<'a>(node: &'a TestNode, settings: &'a StageSettings) -> PipelineConfig<'a> {
    static STOP: LazyLock<StopSignal> = LazyLock::new(StopSignal::default);
    PipelineConfig {
        database: &node.database,
        spec: &node.spec,
        settings,
        stop: &STOP,
        observer: &(),
        scratch: node.data_dir().scratch().unwrap(),
        light_caches: Default::default(),
    }
}

#[test]
fn a_block_without_work_is_refused_on_mainnet_by_default() {
    let Some(file) = besu("badpow.blocks") else { return };
    for verify_pow in [None, Some(VerifyPow::All)] {
        let mut node = mainnet(verify_pow);
        let error = format!("{:#}", node.import(std::slice::from_ref(&file), None).unwrap_err());
        for part in ["badpow.blocks", "block 1 ", "mix hash", "stands at block 0"] {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
        assert_stands_at(&node, 0);
        node.settings.verify_pow = Some(VerifyPow::None);
        assert_eq!(node.import(&[besu("1000.blocks").unwrap()], Some(10)).unwrap().0, 10);
    }
}

/// All that is wrong with the block is its seal.
#[test]
fn a_block_without_work_passes_where_no_seal_is_verified() {
    let Some(file) = besu("badpow.blocks") else { return };
    let node = mainnet(Some(VerifyPow::None));
    assert_eq!(node.import(&[file], None).unwrap().0, 1);
}

#[test]
fn every_seal_of_the_first_thousand_blocks_and_their_ommers_holds() {
    let Some(file) = besu("1000.blocks") else { return };
    assert_eq!(mainnet(Some(VerifyPow::All)).import(&[file], None).unwrap().0, 999);
}

/// Writes the first `count` blocks of mainnet with a change to block `at`; later blocks are linked to it, so that
/// nothing but their seals is wrong with them.
fn changed_chain(
    folder: &tempfile::TempDir,
    count: u64,
    at: u64,
    change: impl Fn(&mut FileBlock),
) -> PathBuf {
    let file = folder.path().join("changed.rlp");
    let mut writer = RlpWriter::create(&file).unwrap();
    let mut parent = None;
    for block in BlockFiles::discover(&[besu("1000.blocks").unwrap()]).unwrap().blocks() {
        let mut block = block.unwrap();
        if block.number() == count {
            break;
        }
        if let Some(parent) = parent {
            block.header.parent_hash = parent;
        }
        if block.number() == at {
            change(&mut block);
        }
        parent = (block.number() >= at).then(|| block.header.hash_slow());
        writer.write(ExportBlock::from(&block)).unwrap();
    }
    writer.finish().unwrap();
    file
}

/// The sample finds that something is wrong; the lowest block with a bad seal is named, whatever was in the sample.
#[test]
fn the_lowest_of_many_bad_seals_is_named() {
    let Some(_) = besu("1000.blocks") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = changed_chain(&folder, 250, 123, |block| block.header.nonce.0[0] ^= 1);
    for verify_pow in [VerifyPow::Sample, VerifyPow::All] {
        let mut node = mainnet(Some(verify_pow));
        let error = format!("{:#}", node.import(std::slice::from_ref(&file), None).unwrap_err());
        assert!(error.contains("block 123 ") && error.contains("mix hash"), "{error}");
        assert_stands_at(&node, 122);
        node.settings.verify_pow = Some(VerifyPow::None);
        assert_eq!(node.import(&[besu("1000.blocks").unwrap()], Some(130)).unwrap().0, 130);
    }
}

/// A changed ommer changes its block, whose own seal is then bad, too; so the headers are taken unverified.
#[test]
fn a_bad_seal_of_an_ommer_is_found_when_all_are_verified() {
    let Some(file) = besu("1000.blocks") else { return };
    let blocks = BlockFiles::discover(&[file]).unwrap().blocks();
    let number = blocks.map(Result::unwrap).find(|block| !block.ommers.is_empty()).unwrap().number();
    let folder = tempfile::tempdir().unwrap();
    let file = changed_chain(&folder, number + 1, number, |block| {
        block.ommers[0].nonce.0[0] ^= 1;
        block.header.ommers_hash = calculate_ommers_root(&block.ommers);
    });
    let node = mainnet(None);
    assert_eq!(node.import(std::slice::from_ref(&file), Some(0)).unwrap().0, 0);
    let files = BlockFiles::discover(&[file]).unwrap();
    let source: SharedSource = Rc::new(RefCell::new(FileSource::new(files, node.spec.clone())));
    let run = |txn: &RwTxn<'_>, stage, verify_pow| {
        let settings = StageSettings { verify_pow: Some(verify_pow), ..node.settings.clone() };
        Pipeline::new(config(&node, &settings), &source).run_stage(txn, stage, number)
    };
    let txn = node.database.begin_rw().unwrap();
    assert_eq!(run(&txn, StageId::Headers, VerifyPow::None).unwrap(), number);
    let error = run(&txn, StageId::Bodies, VerifyPow::All).unwrap_err().to_string();
    for part in [&format!("block {number} "), "ommer", "mix hash"] {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
    drop(txn);
    let txn = node.database.begin_rw().unwrap();
    assert_eq!(run(&txn, StageId::Headers, VerifyPow::None).unwrap(), number);
    assert_eq!(run(&txn, StageId::Bodies, VerifyPow::Sample).unwrap(), number);
}

/// Blocks of files, all vouched for or none.
struct Vouching {
    files: FileSource,
    vouched: bool,
}

impl BlockSource for Vouching {
    fn headers(&mut self, parent: (u64, B256), limit: SourceLimit) -> Result<Vec<SourceHeader>, SourceError> {
        let mut headers = self.files.headers(parent, limit)?;
        for header in &mut headers {
            assert!(!header.vouched, "no accumulator covers RLP files");
            header.vouched = self.vouched;
        }
        Ok(headers)
    }

    fn bodies(&mut self, blocks: &[(u64, B256)]) -> Result<Vec<SourceBody>, SourceError> {
        self.files.bodies(blocks)
    }
}

#[test]
fn a_sample_leaves_out_what_the_source_vouches_for() {
    let Some(file) = besu("badpow.blocks") else { return };
    for (verify_pow, vouched, head) in
        [(VerifyPow::Sample, true, Some(1)), (VerifyPow::Sample, false, None), (VerifyPow::All, true, None)]
    {
        let node = mainnet(Some(verify_pow));
        assert_eq!(node.import(std::slice::from_ref(&file), Some(0)).unwrap().0, 0);
        let files = BlockFiles::discover(std::slice::from_ref(&file)).unwrap();
        let source = Vouching { files: FileSource::new(files, node.spec.clone()), vouched };
        let source: SharedSource = Rc::new(RefCell::new(source));
        assert_eq!(
            Pipeline::new(config(&node, &node.settings), &source).run(None).ok(),
            head,
            "{verify_pow:?}, {vouched}"
        );
    }
}

/// The listed roots are those that the reader computes from the blocks, and each archive is vouched for on its own
/// chain only.
#[test]
fn archives_of_known_epochs_are_vouched_for() {
    let (mainnet, sepolia) = (ChainSpec::mainnet(), ChainSpec::sepolia());
    for (path, spec, other) in [
        ("mainnet/mainnet-00000-5ec1ffb8.era1", &mainnet, &sepolia),
        ("sepolia/sepolia-00000-643a00f7.era1", &sepolia, &mainnet),
        ("sepolia/sepolia-00021-b8814b14.era1", &sepolia, &mainnet),
    ] {
        let Some(path) = fixture(&format!("real-chains/{path}")) else { return };
        let files = BlockFiles::discover(&[path]).unwrap();
        let roots: Vec<Option<B256>> = files.blocks().map(|block| block.unwrap().accumulator).collect();
        assert_eq!(roots.len(), 8192);
        assert!(roots.iter().all(|root| *root == roots[0]));
        let root = roots[0].expect("an archive has a root");
        assert!(spec.knows_accumulator(root), "{root} is not listed for {}", spec.name());
        assert!(!other.knows_accumulator(root));

        let parent = files.blocks().next().unwrap().unwrap();
        let limit = SourceLimit { blocks: 10, body_bytes: u64::MAX };
        for (spec, vouched) in [(spec, true), (&ChainSpec::dev(), false)] {
            if parent.number() == 0 && spec.genesis_hash() != parent.hash {
                continue;
            }
            let mut source = FileSource::new(files.clone(), Arc::clone(spec));
            let headers = source.headers((parent.number(), parent.hash), limit).unwrap();
            assert_eq!(headers.len(), 10);
            assert!(headers.iter().all(|header| header.vouched == vouched), "{}", spec.name());
        }
    }
}
