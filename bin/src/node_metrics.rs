//! The Prometheus page: the stages' metrics, the database's, the process's.

use std::net::SocketAddr;

use eyre::{Result, WrapErr};
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use portico_chain::read_checkpoint;
use portico_db::Database;
use portico_stages::FORWARD;

/// Serves `/metrics` from now on, on threads of its own.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()
        .wrap_err_with(|| format!("serving metrics at {address}"))?;
    portico_stages::describe_metrics();
    portico_txpool::describe_metrics();
    metrics_process::Collector::default().describe();
    describe_gauge!("portico_db_file_bytes", Unit::Bytes, "bytes of the database file that are in use");
    describe_gauge!(
        "portico_db_free_bytes",
        Unit::Bytes,
        "bytes of the database file that are free for reuse"
    );
    describe_gauge!("portico_db_readers", Unit::Count, "open read transactions");
    describe_gauge!("portico_db_table_bytes", Unit::Bytes, "bytes of a table's pages");
    describe_gauge!("portico_db_table_rows", Unit::Count, "rows of a table, counting duplicates");
    tracing::info!(url = %format!("http://{address}/metrics"), "metrics");
    Ok(())
}

/// Looks at the database and the process.
pub(crate) fn observe(database: &Database) -> Result<()> {
    metrics_process::Collector::default().collect();
    let (file, free) = database.file_bytes()?;
    gauge!("portico_db_file_bytes").set(file as f64);
    gauge!("portico_db_free_bytes").set(free as f64);
    gauge!("portico_db_readers").set(database.readers()? as f64);
    for table in database.table_stats()? {
        gauge!("portico_db_table_bytes", "table" => table.info.name).set(table.bytes as f64);
        gauge!("portico_db_table_rows", "table" => table.info.name).set(table.entries as f64);
    }
    let txn = database.begin_ro()?;
    for stage in FORWARD {
        let reached = read_checkpoint(&txn, stage.name())?;
        gauge!("portico_stage_checkpoint", "stage" => stage.name()).set(reached as f64);
        if stage == portico_stages::StageId::Finish {
            gauge!("portico_head_block").set(reached as f64);
        }
    }
    Ok(())
}
