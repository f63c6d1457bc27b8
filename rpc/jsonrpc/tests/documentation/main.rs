//! `docs/rpc.md` and the OpenRPC document are made from the source of the methods, and have to be as it is.
//!
//! Refresh them with `UPDATE_GOLDEN=1 cargo test -p portico-jsonrpc --test documentation`.

mod markdown;
mod openrpc;
mod source;

use std::{collections::BTreeSet, path::Path};

use source::Method;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn methods() -> Vec<Method> {
    source::read(&root().join("src"))
}

fn check(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == text,
        "{} is not as the source is: UPDATE_GOLDEN=1 cargo test -p portico-jsonrpc --test documentation",
        path.display()
    );
}

#[test]
fn every_method_is_documented_as_it_is() {
    let methods = methods();
    check(&root().join("../../docs/rpc.md"), &markdown::document(&methods));
    check(&root().join("src/openrpc.json"), &openrpc::document(&methods));
}

#[tokio::test]
async fn the_documented_methods_are_those_that_are_served() {
    use portico_chain::insert_genesis;
    use portico_chainspec::ChainSpec;
    use portico_db::{Database, DatabaseSettings};
    use portico_governor::{Governor, GovernorSettings};
    use portico_jsonrpc::{Namespace, NodeInfo};
    use portico_query::{Query, QuerySettings};

    let folder = tempfile::tempdir().unwrap();
    let database = std::sync::Arc::new(Database::open(folder.path(), &DatabaseSettings::default()).unwrap());
    let spec = ChainSpec::dev();
    let txn = database.begin_rw().unwrap();
    insert_genesis(&txn, spec.genesis_header(), spec.genesis_hash()).unwrap();
    txn.commit().unwrap();
    let query = Query::new(portico_db::LiveDatabase::of(database), spec, QuerySettings::default());
    let governor = Governor::start(query, &GovernorSettings::default()).unwrap();
    let node = std::sync::Arc::new(NodeInfo::new(String::new()));
    let served = portico_jsonrpc::methods(&governor, &node, &Namespace::ALL).unwrap();
    let served: BTreeSet<_> = served.module.method_names().map(str::to_owned).collect();
    let documented: BTreeSet<_> = methods().into_iter().flat_map(|method| method.names()).collect();
    assert_eq!(documented, served);
}
