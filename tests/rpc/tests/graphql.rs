//! The GraphQL conversations of hive and Besu, over HTTP.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use async_graphql::parser::{
    parse_schema,
    types::{InputValueDefinition, TypeKind, TypeSystemDefinition},
};
use portico_jsonrpc::NodeInfo;
use portico_query::QuerySettings;
use portico_server::{PortSettings, RunningServer, ServerSettings, start};
use portico_test_support::fixture;
use portico_tests_rpc::{HttpAnswer, Report, RpcNode, http_exchange};
use serde_json::{Value, json};

const TRANSFER: &str = "38_eth_sendRawTransaction_transferEther";

const NO_FUNDS: &str = "Besu's test invents a pool that takes everything: the sender has nothing";

/// Cases of hive that go otherwise, with the reason.
const HIVE_DIFFERS: &[(&str, &str)] = &[
    ("07_eth_gasPrice", "recorded before the chain had London blocks: the base fee alone is 0x3437004a"),
    ("35_graphql_pending", "a creation needs 0xcf08 gas since Homestead"),
    (TRANSFER, "case 36 sent another transaction of the same nonce, which pays one wei less"),
];

/// Cases of Besu that go otherwise, with the reason.
const BESU_DIFFERS: &[(&str, &str)] = &[
    ("eth_gasPrice", "Besu's price is the next block's base fee alone; that and the tip are as recorded"),
    ("eth_getBlock_cancun", "v is null there, and BigInt! in the schema of the specification"),
    ("eth_sendRawTransaction_contractCreation", NO_FUNDS),
    ("eth_sendRawTransaction_messageCall", NO_FUNDS),
    ("eth_sendRawTransaction_transferEther", NO_FUNDS),
    ("eth_syncing", "Besu's test invents a synchronisation from block 1 to 3"),
    ("graphql_pending", "Besu's test invents a pool with one transaction, whose count it says is 0"),
    ("graphql_variable_bytes", NO_FUNDS),
];

/// The chain of the cases, served.
struct Served {
    node: RpcNode,
    _server: RunningServer,
    address: SocketAddr,
}

async fn serve(genesis: &str) -> Option<Served> {
    let chain = fixture("graphql")?.join("chain");
    let settings = QuerySettings { unprotected_allowed: true, ..QuerySettings::default() };
    let blocks = chain.join("testBlockchain.blocks");
    let node = RpcNode::import_with(&chain.join(genesis), &blocks, settings).unwrap();
    let port = PortSettings { address: ([127, 0, 0, 1], 0).into(), graphql: true, ..Default::default() };
    let settings = ServerSettings { ports: vec![port], ..Default::default() };
    let info = Arc::new(NodeInfo::new("Portico/test".to_owned()));
    let server = start(&settings, node.governor(), &info).await.unwrap();
    let address = server.addresses()[0];
    Some(Served { node, _server: server, address })
}

impl Served {
    async fn post(&self, body: &Value) -> HttpAnswer {
        http_exchange(self.address, "POST", "/graphql", "application/json", &body.to_string()).await.unwrap()
    }

    async fn ask(&self, query: &str) -> HttpAnswer {
        self.post(&json!({ "query": query })).await
    }

    async fn get(&self, parameters: &[(&str, &str)]) -> HttpAnswer {
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let path = format!("/graphql?{}", parameters.join("&"));
        http_exchange(self.address, "GET", &path, "", "").await.unwrap()
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A recorded request with the answers that it may have.
struct Case {
    name: String,
    query: String,
    variables: Value,
    status: u64,
    answers: Vec<Value>,
}

impl Case {
    fn read_all(folder: &Path) -> Vec<Self> {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let variables = case["variables"].as_str().unwrap_or("{}");
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            query: case["request"].as_str().unwrap().to_owned(),
            variables: serde_json::from_str(variables).unwrap(),
            status: case["statusCode"].as_u64().unwrap(),
            answers: case["responses"].as_array().cloned().unwrap_or_else(|| vec![case["response"].clone()]),
        }
    }

    /// By POST, and by GET unless it is to change something: both answers must be as recorded.
    async fn replay(&self, served: &Served, matches: fn(&Value, &Value) -> bool) -> Result<(), String> {
        let request = json!({ "query": self.query, "variables": self.variables, "operationName": null });
        self.judge(&served.post(&request).await, matches)?;
        if self.query.starts_with("mutation") {
            return Ok(());
        }
        let variables = self.variables.to_string();
        let answer = served.get(&[("query", &self.query), ("variables", &variables)]).await;
        self.judge(&answer, matches).map_err(|reason| format!("by GET: {reason}"))
    }

    fn judge(&self, answer: &HttpAnswer, matches: fn(&Value, &Value) -> bool) -> Result<(), String> {
        let found = answer.json().map_err(|error| format!("{error}: {}", answer.body))?;
        let is_recorded = self.answers.iter().any(|recorded| matches(recorded, &found));
        if is_recorded && u64::from(answer.status) == self.status {
            return Ok(());
        }
        Err(format!("{} {found}, expected {} {}", answer.status, self.status, json!(self.answers)))
    }
}

/// Everything but the texts of errors and what else Besu says of them. Validation comes to its own places.
fn is_as_besu_has_it(recorded: &Value, found: &Value) -> bool {
    let facts = |answer: &Value| -> Vec<Value> {
        let errors = answer["errors"].as_array().into_iter().flatten();
        let fact = |error: &Value| {
            let place = if error["path"].is_null() { &Value::Null } else { &error["locations"] };
            json!([error["path"], place, error["extensions"]["errorCode"]])
        };
        errors.map(fact).collect()
    };
    recorded.get("data") == found.get("data") && facts(recorded) == facts(found)
}

/// As clients of hive are judged: all data; of errors, that there are some. Its older recordings have no data at all
/// where a field that may be null has an error; GraphQL and Besu's recordings have null in that field's place.
fn is_as_hive_has_it(recorded: &Value, found: &Value) -> bool {
    match (recorded.get("errors"), found.get("errors")) {
        (None, None) => recorded["data"] == found["data"],
        (Some(_), Some(_)) => {
            let fields = found["data"].as_object().into_iter().flat_map(|fields| fields.values());
            recorded["data"] == found["data"]
                || recorded["data"].is_null() && fields.into_iter().all(Value::is_null)
        }
        _ => false,
    }
}

async fn replay_all(
    served: &Served,
    suite: &str,
    differs: &[(&str, &str)],
    matches: fn(&Value, &Value) -> bool,
) {
    let folder = fixture("graphql").unwrap().join(suite);
    let mut report = Report::default();
    for case in Case::read_all(&folder) {
        let known = differs.iter().find(|(name, _)| *name == case.name);
        match (case.replay(served, matches).await, known) {
            (Ok(()), None) => report.pass(),
            (Ok(()), Some(_)) => report.fail(&case.name, "passes, and is listed as different"),
            (Err(_), Some((name, reason))) => report.known(name, reason),
            (Err(difference), None) => report.fail(&case.name, &difference),
        }
    }
    report.finish(&format!("graphql/{suite}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hive_queries_are_answered_as_recorded() {
    let Some(served) = serve("testGenesis.json").await else { return };
    replay_all(&served, "hive", HIVE_DIFFERS, is_as_hive_has_it).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_taken_where_nothing_else_waits() {
    let Some(served) = serve("testGenesis.json").await else { return };
    let case = Case::read(&fixture("graphql").unwrap().join("hive").join(TRANSFER).with_extension("json"));
    case.replay(&served, is_as_hive_has_it).await.unwrap();
    let hash = &case.answers[0]["data"]["sendRawTransaction"];
    let query = format!(
        "{{ transaction(hash: {hash}) {{ hash nonce index status gasPrice effectiveTip block {{ hash }}
         logs {{ index }} }} pending {{ transactionCount transactions {{ hash }} }} }}"
    );
    let expected = json!({
        "transaction": {
            "hash": hash, "nonce": "0x37", "index": null, "status": null, "gasPrice": "0x174876e801",
            "effectiveTip": null, "block": null, "logs": null,
        },
        // Nonces before it are missing: it waits.
        "pending": { "transactionCount": "0x0", "transactions": [] },
    });
    assert_eq!(served.ask(&query).await.json().unwrap(), json!({ "data": expected }));
}

#[tokio::test(flavor = "multi_thread")]
async fn besu_queries_are_answered_as_recorded() {
    let Some(served) = serve("besu/testGenesis.json").await else { return };
    replay_all(&served, "besu", BESU_DIFFERS, is_as_besu_has_it).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_that_differ_have_everything_else_as_recorded() {
    let Some(served) = serve("besu/testGenesis.json").await else { return };
    let query =
        "{ maxPriorityFeePerGas pending { transactionCount transactions { hash } estimateGas(data: {})
        call(data: { to: \"0x6295ee1b4f6dd65047762f924ecd367c17eabf8f\", data: \"0x12a7b914\" }) { status } }
        block { nextBaseFeePerGas
            transactions { yParity v raw rawReceipt blobVersionedHashes gasUsed } } }";
    let answer = served.ask(query).await.json().unwrap();
    assert_eq!(answer.get("errors"), None);
    let data = &answer["data"];
    assert_eq!(data["maxPriorityFeePerGas"], "0x3b9aca00");
    let pending = json!({
        "transactionCount": "0x0", "transactions": [], "estimateGas": "0xcf08", "call": { "status": "0x1" },
    });
    assert_eq!(data["pending"], pending);
    let transaction = &data["block"]["transactions"][0];
    assert_eq!((&transaction["v"], &transaction["yParity"]), (&json!("0x0"), &json!("0x0")));
    assert!(transaction["raw"].as_str().unwrap().starts_with("0x03"));
    assert!(transaction["rawReceipt"].as_str().unwrap().starts_with("0x03"));
    assert_eq!(transaction["blobVersionedHashes"].as_array().unwrap().len(), 2);
    assert_eq!(data["block"]["nextBaseFeePerGas"], "0x2dbc88c1", "what Besu says of gasPrice");
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_requests_get_errors() {
    let Some(served) = serve("testGenesis.json").await else { return };
    let deep = format!("{}{}", "{ block { parent ".repeat(20), "}} ".repeat(20));
    let doubling: String =
        (0..30).map(|n| format!("fragment f{n} on Block {{ ...f{m} ...f{m} }} ", m = n + 1)).collect();
    let queries = [
        String::new(),
        "{".repeat(100_000),
        deep,
        format!("{{ block {{ ...f0 }} }} {doubling} fragment f30 on Block {{ hash }}"),
        "{ blocks(from: 0, to: 999) { transactions { logs { transaction { hash } } } } }".to_owned(),
        "{ block(number: -1) { hash } }".to_owned(),
        "{ block(number: \"0x10000000000000000\") { hash } }".to_owned(),
        "{ block(number: 1.5) { hash } }".to_owned(),
        "{ block { transactionAt(index: null) { hash } } }".to_owned(),
        "{ transaction(hash: \"0x\") { hash } }".to_owned(),
        "{ logs(filter: { fromBlock: 9, toBlock: 8 }) { index } }".to_owned(),
        "query($n: Long!) { block(number: $n) { hash } }".to_owned(),
        "subscription { block { hash } }".to_owned(),
        "query a { chainID } query b { chainID }".to_owned(),
    ];
    for query in queries {
        let answer = served.ask(&query).await;
        let body = answer.json().unwrap();
        assert_eq!(answer.status, 400, "{query:.80} {body}");
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("internal"), "{query:.80} {message}");
    }
    for body in ["", "[", "null", "7", "{\"query\":7}", "{\"query\":\"{chainID}\",\"variables\":7}"] {
        let answer =
            http_exchange(served.address, "POST", "/graphql", "application/json", body).await.unwrap();
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.json().unwrap()["errors"][0]["message"].is_string(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_come_in_several_forms() {
    let Some(served) = serve("testGenesis.json").await else { return };
    let expected = json!({ "data": { "chainID": "0x1" } });
    let post =
        async |kind: &str, body: &str| http_exchange(served.address, "POST", "/graphql", kind, body).await;
    let json_body = r#"{"query":"query a { chainID } query b { block { hash } }","operationName":"a"}"#;
    for (kind, body) in [
        ("application/json; charset=utf-8", json_body),
        ("application/json", r#"{"query":"{ chainID }","variables":null,"extensions":{}}"#),
        ("application/graphql", "{ chainID }"),
    ] {
        let answer = post(kind, body).await.unwrap();
        assert_eq!((answer.status, answer.json().unwrap()), (200, expected.clone()), "{kind} {body}");
    }
    assert_eq!(post("text/plain", "{ chainID }").await.unwrap().status, 415);
    let answer = served.get(&[("query", "query a { chainID } query b { x }"), ("operationName", "a")]).await;
    assert_eq!(answer.status, 400, "all operations are validated");
    let mutation = served.get(&[("query", "mutation { sendRawTransaction(data: \"0x\") }")]).await;
    assert_eq!(mutation.status, 400);
    assert!(mutation.body.contains("POST"), "{}", mutation.body);
    for path in ["/graphql", "/graphql/", "/graphql/ui"] {
        let page = http_exchange(served.address, "GET", path, "", "").await.unwrap();
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("<title>Portico GraphQL</title>"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graphiql_can_ask_for_the_schema() {
    let Some(served) = serve("testGenesis.json").await else { return };
    let query = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } \
        subscriptionType { name } types { ...FullType } directives { name description locations \
        args { ...InputValue } } } } \
        fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description \
        args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } \
        inputFields { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name } \
        possibleTypes { ...TypeRef } } \
        fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue } \
        fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { \
        kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";
    let answer = served.ask(query).await;
    assert_eq!(answer.status, 200, "{:.300}", answer.body);
    let schema = &answer.json().unwrap()["data"]["__schema"];
    assert_eq!(schema["mutationType"]["name"], "Mutation");
    let types = schema["types"].as_array().unwrap();
    let block = types.iter().find(|kind| kind["name"] == "Block").unwrap();
    assert!(block["fields"].as_array().unwrap().iter().any(|field| field["name"] == "estimateGas"));
}

/// Every type of a schema, with its fields, their arguments and types.
fn outline(sdl: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let document = parse_schema(sdl).unwrap();
    let definitions = document.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(kind) => Some(kind.node),
        TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
    });
    definitions.map(|kind| (kind.name.node.to_string(), members(&kind.kind))).collect()
}

fn members(kind: &TypeKind) -> BTreeMap<String, String> {
    let input = |value: &InputValueDefinition| (value.name.node.to_string(), value.ty.node.to_string());
    match kind {
        TypeKind::Object(object) => {
            let members = object.fields.iter().map(|field| {
                let arguments: BTreeMap<_, _> =
                    field.node.arguments.iter().map(|argument| input(&argument.node)).collect();
                (field.node.name.node.to_string(), format!("{arguments:?} {}", field.node.ty.node))
            });
            members.collect()
        }
        TypeKind::InputObject(object) => object.fields.iter().map(|field| input(&field.node)).collect(),
        TypeKind::Scalar | TypeKind::Interface(_) | TypeKind::Union(_) | TypeKind::Enum(_) => BTreeMap::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_that_of_the_specification() {
    let (Some(file), Some(served)) =
        (fixture("execution-apis/schema.graphqls"), serve("testGenesis.json").await)
    else {
        return;
    };
    let specified = outline(&std::fs::read_to_string(file).unwrap());
    let mut ours = outline(&served.node.graphql_schema());
    // This has the difficulty of the chain up to a block, which the specification dropped and both suites ask for.
    let total_difficulty = ours.get_mut("Block").unwrap().remove("totalDifficulty");
    assert_eq!(total_difficulty.as_deref(), Some("{} BigInt"));
    ours.retain(|name, _| {
        specified.contains_key(name) || !["Boolean", "Float", "Int", "String", "ID"].contains(&name.as_str())
    });
    assert_eq!(ours.keys().collect::<Vec<_>>(), specified.keys().collect::<Vec<_>>());
    for (name, members) in &specified {
        assert_eq!(&ours[name], members, "{name}");
    }
}
