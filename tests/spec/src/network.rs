//! The networks that fixtures name, as the `config` section of a genesis file.
//!
//! A name is a fork (`Cancun`, `EIP158`) or a transition (`ParisToShanghaiAtTime15k`, `HomesteadToDaoAt5`,
//! `ArrowGlacierToParisAtDiffC0000`). Forks up to the first one are active from genesis.

use serde_json::{Map, Value, json};

/// A point from which a fork is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Block(u64),
    Time(u64),
    Difficulty(u64),
}

/// The forks that fixtures name, oldest first: names, and keys in a genesis file's configuration.
const FORKS: &[(&[&str], &[&str])] = &[
    (&["Frontier"], &[]),
    (&["Homestead"], &["homesteadBlock"]),
    (&["Dao"], &["daoForkBlock"]),
    (&["EIP150", "TangerineWhistle"], &["eip150Block"]),
    (&["EIP158", "SpuriousDragon"], &["eip155Block", "eip158Block"]),
    (&["Byzantium"], &["byzantiumBlock"]),
    (&["Constantinople"], &["constantinopleBlock"]),
    (&["ConstantinopleFix", "Petersburg"], &["petersburgBlock"]),
    (&["Istanbul"], &["istanbulBlock"]),
    (&["MuirGlacier"], &["muirGlacierBlock"]),
    (&["Berlin"], &["berlinBlock"]),
    (&["London"], &["londonBlock"]),
    (&["ArrowGlacier"], &["arrowGlacierBlock"]),
    (&["GrayGlacier"], &["grayGlacierBlock"]),
    (&["Paris", "Merge"], &["terminalTotalDifficulty"]),
    (&["Shanghai"], &["shanghaiTime"]),
    (&["Cancun"], &["cancunTime"]),
    (&["Prague"], &["pragueTime"]),
    (&["Osaka"], &["osakaTime"]),
    (&["BPO1"], &["bpo1Time"]),
    (&["BPO2"], &["bpo2Time"]),
    (&["BPO3"], &["bpo3Time"]),
    (&["BPO4"], &["bpo4Time"]),
    (&["BPO5"], &["bpo5Time"]),
    (&["Amsterdam"], &["amsterdamTime"]),
];

/// Where deposits are made on the networks that the fixtures stand for (EIP-6110).
const DEPOSIT_CONTRACT: &str = "0x00000000219ab540356cbb839cbe05303d7705fa";

/// Forks that move only the difficulty bomb: a network of a later fork need not have them, and the fixtures' do not
/// depend on them, because their genesis blocks are far from the bomb.
const OPTIONAL: &[&str] = &["daoForkBlock", "muirGlacierBlock", "arrowGlacierBlock", "grayGlacierBlock"];

/// The `config` section for a network; `None` for a name that is not one.
pub fn network_config(name: &str, chain_id: u64, blob_schedule: Option<&Value>) -> Option<Value> {
    let (base, transition) = match name.split_once("To") {
        Some((from, rest)) => {
            let (to, at) = rest.split_once("At")?;
            (from, Some((fork_index(to)?, parse_start(at)?)))
        }
        None => (name, None),
    };
    let base = fork_index(base)?;
    let mut config = Map::new();
    config.insert("chainId".into(), json!(chain_id));
    config.insert("depositContractAddress".into(), json!(DEPOSIT_CONTRACT));
    for (index, (_, keys)) in FORKS.iter().enumerate() {
        let last = transition.map_or(base, |(to, _)| to);
        if index > last {
            break;
        }
        let start = match transition {
            Some((to, start)) if index == to => Some(start),
            _ if index == base => Some(Start::Block(0)),
            _ if index < base => Some(Start::Block(0)),
            _ => None,
        };
        for key in *keys {
            let is_named = index == base || transition.is_some_and(|(to, _)| to == index);
            let is_blob_only = key.starts_with("bpo");
            if (OPTIONAL.contains(key) || is_blob_only && !has_blobs(blob_schedule, index)) && !is_named {
                continue;
            }
            // A fork between the two ends of a transition starts with the later one.
            let start = start.or(transition.map(|(_, start)| start)).unwrap_or(Start::Block(0));
            let value = match start {
                Start::Block(at) | Start::Time(at) | Start::Difficulty(at) => at,
            };
            config.insert((*key).to_owned(), json!(value));
        }
    }
    if let Some(Value::Object(schedule)) = blob_schedule {
        let entries = schedule.iter().map(|(fork, params)| (fork.to_ascii_lowercase(), params.clone()));
        config.insert("blobSchedule".into(), Value::Object(entries.collect()));
    }
    Some(Value::Object(config))
}

fn has_blobs(schedule: Option<&Value>, index: usize) -> bool {
    let (names, _) = FORKS[index];
    schedule.and_then(|schedule| schedule.get(names[0])).is_some()
}

fn fork_index(name: &str) -> Option<usize> {
    FORKS.iter().position(|(names, _)| names.contains(&name))
}

fn parse_start(text: &str) -> Option<Start> {
    if let Some(time) = text.strip_prefix("Time") {
        return Some(Start::Time(match time.strip_suffix('k') {
            Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
            None => time.parse().ok()?,
        }));
    }
    if let Some(difficulty) = text.strip_prefix("Diff") {
        return u64::from_str_radix(difficulty, 16).ok().map(Start::Difficulty);
    }
    text.parse().ok().map(Start::Block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, key: &str) -> Option<u64> {
        network_config(name, 1, None).unwrap().get(key).and_then(Value::as_u64)
    }

    #[test]
    fn a_fork_has_all_before_it_and_none_behind() {
        assert_eq!(value("Berlin", "berlinBlock"), Some(0));
        assert_eq!(value("Berlin", "byzantiumBlock"), Some(0));
        assert_eq!(value("Berlin", "londonBlock"), None);
        assert_eq!(value("Berlin", "daoForkBlock"), None);
        assert_eq!(value("Cancun", "terminalTotalDifficulty"), Some(0));
        assert_eq!(value("Frontier", "homesteadBlock"), None);
    }

    #[test]
    fn transitions_start_where_their_name_says() {
        assert_eq!(value("HomesteadToDaoAt5", "daoForkBlock"), Some(5));
        assert_eq!(value("HomesteadToDaoAt5", "eip150Block"), None);
        assert_eq!(value("ParisToShanghaiAtTime15k", "shanghaiTime"), Some(15_000));
        assert_eq!(value("ArrowGlacierToParisAtDiffC0000", "terminalTotalDifficulty"), Some(0xc0000));
        assert_eq!(value("ArrowGlacierToParisAtDiffC0000", "arrowGlacierBlock"), Some(0));
        assert_eq!(value("ByzantiumToConstantinopleFixAt5", "constantinopleBlock"), Some(5));
        assert_eq!(value("BPO1ToBPO2AtTime15k", "bpo1Time"), Some(0));
    }

    #[test]
    fn other_names_are_no_networks() {
        for name in ["", "Cancunn", "ParisToShanghai", "ParisToShanghaiAtTime", "ParisToNowhereAt5", "ToAt"] {
            assert!(network_config(name, 1, None).is_none(), "{name}");
        }
    }
}
