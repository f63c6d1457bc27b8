//! The answer to `eth_syncing`.

use alloy_primitives::U64;
use portico_query::SyncStatus;
use serde::Serialize;

/// How far one stage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    stage_name: &'static str,
    block_number: U64,
}

/// `false` when every stage has reached the newest header, else how far they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Syncing {
    /// Always `false`.
    Done(bool),
    /// Behind.
    #[serde(rename_all = "camelCase")]
    Behind {
        /// Where syncing began: genesis, since what was there before a restart is no matter to the stages.
        starting_block: U64,
        /// The head.
        current_block: U64,
        /// The newest header.
        highest_block: U64,
        /// Each stage.
        stages: Vec<Stage>,
    },
}

impl From<Option<SyncStatus>> for Syncing {
    fn from(status: Option<SyncStatus>) -> Self {
        let Some(status) = status else { return Self::Done(false) };
        let stages = status
            .stages
            .iter()
            .map(|stage| Stage { stage_name: stage.stage, block_number: U64::from(stage.block_number) });
        Self::Behind {
            starting_block: U64::ZERO,
            current_block: U64::from(status.current_block),
            highest_block: U64::from(status.highest_block),
            stages: stages.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_query::StageProgress;
    use serde_json::json;

    #[test]
    fn a_synced_node_says_false() {
        assert_eq!(serde_json::to_value(Syncing::from(None)).unwrap(), json!(false));
    }

    #[test]
    fn a_syncing_node_says_how_far_it_is() {
        let stages = vec![StageProgress { stage: "Headers", block_number: 9 }];
        let status = SyncStatus { current_block: 5, highest_block: 9, stages };
        assert_eq!(
            serde_json::to_value(Syncing::from(Some(status))).unwrap(),
            json!({
                "startingBlock": "0x0", "currentBlock": "0x5", "highestBlock": "0x9",
                "stages": [{ "stageName": "Headers", "blockNumber": "0x9" }],
            })
        );
    }
}
