//! Calls on many blocks that other threads help: the same answers in the same order, whatever the chain does meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use portico_query::{Helpers, Snapshot, TraceFilter};
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
const THREADS: usize = 4;

/// Begins a thread for each job.
#[derive(Debug, Default)]
struct Threads {
    hired: AtomicUsize,
}

impl Helpers for Threads {
    fn hire(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        self.hired.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(job);
        true
    }

    fn are_wanted(&self) -> bool {
        false
    }

    fn threads(&self) -> usize {
        THREADS
    }
}

/// Takes every job and does none of them.
#[derive(Debug)]
struct Lazy;

impl Helpers for Lazy {
    fn hire(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        drop(job);
        true
    }

    fn are_wanted(&self) -> bool {
        false
    }

    fn threads(&self) -> usize {
        THREADS
    }
}

fn traces(snapshot: &Snapshot<'_>, filter: &TraceFilter) -> Vec<Value> {
    let mut found = Vec::new();
    let each = &mut |trace| {
        found.push(serde_json::to_value(trace).unwrap());
        Ok(())
    };
    snapshot.filter_traces(filter, each).unwrap();
    found
}

fn chain_traces(snapshot: &Snapshot<'_>, from: u64, to: u64) -> Value {
    let options = serde_json::from_value(json!({ "tracer": "callTracer" })).unwrap();
    let mut text = Vec::new();
    snapshot.write_chain_traces(from, to, options, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn helped_calls_answer_as_unhelped_ones() {
    let Some(folder) = fixture(CHAIN) else { return };
    let node = RpcNode::import(&folder.join("genesis.json"), &folder.join("chain.rlp")).unwrap();
    let alone = node.query().snapshot().unwrap();
    let threads = Arc::new(Threads::default());
    let helped = node.query().snapshot().unwrap().helped_by(threads.clone());
    let lazy = node.query().snapshot().unwrap().helped_by(Arc::new(Lazy));
    for filter in [
        TraceFilter::default(),
        TraceFilter { after: 3, count: Some(20), ..TraceFilter::default() },
        TraceFilter { count: Some(1), ..TraceFilter::default() },
    ] {
        let expected = traces(&alone, &filter);
        assert!(!expected.is_empty());
        assert_eq!(traces(&helped, &filter), expected);
        assert_eq!(traces(&lazy, &filter), expected);
    }
    let expected = chain_traces(&alone, 0, alone.head());
    assert_eq!(expected.as_array().unwrap().len() as u64, alone.head());
    assert_eq!(chain_traces(&helped, 0, alone.head()), expected);
    assert!(threads.hired.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_helped_call_sees_its_own_chain_when_the_head_moves() {
    let Some(folder) = fixture(CHAIN) else { return };
    let (genesis, chain) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    let node = RpcNode::import_to(&genesis, &chain, 30).unwrap();
    let everything = TraceFilter::default();
    let expected = traces(&node.query().snapshot().unwrap(), &everything);

    // Helpers open their snapshots now or later: on more blocks, then on fewer.
    let before = node.query().snapshot().unwrap().helped_by(Arc::new(Threads::default()));
    node.node().import(&[chain], None).unwrap();
    assert!(node.query().snapshot().unwrap().head() > 30);
    assert_eq!(traces(&before, &everything), expected);
    node.node().unwind(10).unwrap();
    assert_eq!(node.query().snapshot().unwrap().head(), 10);
    assert_eq!(traces(&before, &everything), expected);
}

#[test]
fn the_first_error_in_the_order_of_blocks_ends_a_call() {
    let Some(folder) = fixture(CHAIN) else { return };
    let node = RpcNode::import(&folder.join("genesis.json"), &folder.join("chain.rlp")).unwrap();
    let helped = node.query().snapshot().unwrap().helped_by(Arc::new(Threads::default()));
    let mut left = 5;
    let result = helped.filter_traces(&TraceFilter::default(), &mut |_| {
        left -= 1;
        if left == 0 { Err(portico_query::QueryError::Unwritable("enough".to_owned())) } else { Ok(()) }
    });
    assert!(matches!(result, Err(portico_query::QueryError::Unwritable(_))), "{result:?}");
    assert_eq!(left, 0, "nothing is handed over after an error");
    let long = TraceFilter { from_block: Some(u64::MAX.into()), ..TraceFilter::default() };
    assert!(helped.filter_traces(&long, &mut |_| Ok(())).is_err());
}
