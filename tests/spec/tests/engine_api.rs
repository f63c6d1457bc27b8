//! The published block tests of after the merge, through the Engine API over HTTP.

use portico_spec::{RunOptions, run_engine_tests};
use portico_test_support::fixture;

/// Every how many cases one is run: all of them with PORTICO_ENGINE_EVERY=1.
fn every() -> u64 {
    std::env::var("PORTICO_ENGINE_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(40)
}

#[test]
fn blocks_lead_where_they_should_when_they_come_as_payloads() {
    for archive in ["blockchain", "devnet", "devnet-amsterdam"] {
        let Some(path) = fixture(&format!("eest/{archive}.tar.zst")) else { return };
        let options = RunOptions { every: every(), ..RunOptions::default() };
        let report = run_engine_tests(&[path], &options).unwrap();
        println!("{report}");
        assert!(report.is_success(), "{archive}");
        assert!(report.total().run > 50, "{archive}: only {} cases", report.total().run);
    }
}
