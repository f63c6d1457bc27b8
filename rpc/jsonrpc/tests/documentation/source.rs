//! What the source says of each method: its name, words, parameters, class of cost, and the data it reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use quote::ToTokens;
use syn::{Attribute, Expr, FnArg, ImplItem, Item, Lit, Meta, Pat, ReturnType, Stmt, TraitItem, Type};

/// A method.
#[derive(Debug, Clone)]
pub struct Method {
    pub name: String,
    /// The method that ends what this one begins.
    pub ended_by: Option<String>,
    pub namespace: String,
    pub words: String,
    pub params: Vec<Param>,
    /// The Rust type of the answer.
    pub result: String,
    /// `None` when the answer costs nothing.
    pub class: Option<String>,
    pub is_streamed: bool,
    /// What must be kept and indexed.
    pub needs: Vec<&'static str>,
}

/// A parameter.
#[derive(Debug, Clone)]
pub struct Param {
    pub name: String,
    /// Its Rust type, without `Option`.
    pub kind: String,
    pub is_required: bool,
}

impl Method {
    pub fn names(&self) -> Vec<String> {
        [Some(self.name.clone()), self.ended_by.clone()].into_iter().flatten().collect()
    }
}

/// Data by the functions of the query layer that read it.
const READS: &[(&str, &str)] = &[
    ("logs", "receipts, log index"),
    ("block_receipts", "receipts"),
    ("receipt", "receipts, transaction index"),
    ("transaction", "transaction index"),
    ("transaction_traces", "state history, transaction index"),
    ("replay_transaction", "state history, transaction index"),
    ("geth_transaction_trace", "state history, transaction index"),
    ("filter_traces", "state history, call index"),
    ("block_traces", "state history"),
    ("write_replayed_block", "state history"),
    ("geth_block_traces", "state history"),
    ("write_bad_block_traces", "state history"),
    ("geth_call_trace", "state history"),
    ("trace_calls", "state history"),
    ("trace_raw_transaction", "state history"),
    ("account", "state history"),
    ("code", "state history"),
    ("storage", "state history"),
    ("call", "state history"),
    ("run_call", "state history"),
    ("estimate_gas", "state history"),
    ("create_access_list", "state history"),
    ("simulate", "state history"),
    ("proof", "state history as far back as proofs go"),
    ("write_transaction_trace", "state history, transaction index"),
    ("write_block_traces", "state history"),
    ("write_chain_traces", "state history"),
    ("geth_call_traces", "state history"),
    ("access_list", "state history"),
    ("call_many", "state history"),
    ("call_bundle", "state history, transaction index"),
    ("account_page", "state history"),
    ("account_within", "state history"),
    ("storage_page", "state history"),
    ("visit_slots", "state history"),
    ("execution_witness", "state history"),
    ("internal_operations", "state history, transaction index"),
    ("transaction_error", "state history, transaction index"),
    ("transactions_touching", "receipts, call index"),
    ("contract_creator", "state history"),
    ("transaction_by_nonce", "state history"),
    ("modified_accounts", "changes by block"),
    ("balance_changes", "changes by block"),
    ("preimage", "transaction index"),
    ("intermediate_roots", "changes by block"),
    ("logs_since", "receipts, log index"),
];

/// Every function's body of a file, by name: functions, and methods of any type.
type Bodies = BTreeMap<String, String>;

/// All methods, by namespace and name.
pub fn read(folder: &Path) -> Vec<Method> {
    let mut methods = Vec::new();
    let files = files(folder);
    let parsed: Vec<_> =
        files.iter().map(|path| syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap()).collect();
    let bodies: Vec<_> = parsed.iter().map(|file| bodies(file.items.iter())).collect();
    for file in &parsed {
        for item in &file.items {
            match item {
                Item::Trait(item) => methods.extend(of_trait(item, &bodies)),
                Item::Const(item) if item.ident == "STREAMED" => {
                    methods.extend(streamed(item, &file.items, &bodies));
                }
                _ => {}
            }
        }
    }
    methods.extend(registered());
    methods.sort_by(|left, right| (&left.namespace, &left.name).cmp(&(&right.namespace, &right.name)));
    methods
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn bodies<'a>(items: impl Iterator<Item = &'a Item>) -> Bodies {
    let mut bodies = Bodies::new();
    for item in items {
        match item {
            Item::Fn(item) => {
                bodies.insert(item.sig.ident.to_string(), item.block.to_token_stream().to_string());
            }
            Item::Impl(item) => {
                let owner = item.trait_.as_ref().map(|(_, path, _)| path.to_token_stream().to_string());
                for function in &item.items {
                    if let ImplItem::Fn(function) = function {
                        let name = function.sig.ident.to_string();
                        let key = owner.as_ref().map_or(name.clone(), |owner| format!("{owner}::{name}"));
                        bodies.insert(key, function.block.to_token_stream().to_string());
                    }
                }
            }
            _ => {}
        }
    }
    bodies
}

fn of_trait(item: &syn::ItemTrait, bodies: &[Bodies]) -> Vec<Method> {
    let Some(namespace) = item.attrs.iter().find(|attribute| attribute.path().is_ident("rpc")) else {
        return Vec::new();
    };
    let namespace = named(namespace, "namespace").expect("a namespace");
    let server = format!("{}Server", item.ident);
    item.items.iter().filter_map(|item| of_function(item, &namespace, &server, bodies)).collect()
}

fn of_function(item: &TraitItem, namespace: &str, server: &str, bodies: &[Bodies]) -> Option<Method> {
    let TraitItem::Fn(function) = item else { return None };
    let attribute = function
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("method") || attribute.path().is_ident("subscription"))?;
    let full = |name: String| format!("{namespace}_{name}");
    let name = full(named(attribute, "name")?);
    let ended_by = named(attribute, "unsubscribe").map(full);
    // A trait and its implementation may be in different files of a namespace; helpers are where they are called, or
    // beside the trait's type.
    let key = format!("{server}::{}", function.sig.ident);
    let own = bodies.iter().find(|file| file.contains_key(&key)).expect("every trait is implemented");
    let body = with_called(&own[&key], own, bodies);
    let params = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Receiver(_) => None,
        FnArg::Typed(input) => Some(param(&input.pat.to_token_stream().to_string(), &input.ty)),
    });
    let result = match &function.sig.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, result) => inner(result, "RpcResult").map_or_else(|| words(result), words),
    };
    Some(Method {
        name,
        ended_by,
        namespace: namespace.to_owned(),
        words: doc(&function.attrs),
        params: params.collect(),
        result,
        class: class(&body),
        is_streamed: false,
        needs: needs(&body),
    })
}

/// A body and those of the functions that it calls, so that a helper's class counts as the method's.
fn with_called(body: &str, own: &Bodies, others: &[Bodies]) -> String {
    let mut all = body.to_owned();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![body.to_owned()];
    while let Some(body) = waiting.pop() {
        // Of functions with the same name those of the same file come first; the others' are not seen then.
        for (name, called) in own.iter().chain(others.iter().flatten()) {
            if !name.contains("::") && calls(&body, &format!("{name} ")) && seen.insert(name.clone()) {
                all.push_str(called);
                waiting.push(called.clone());
            }
        }
    }
    all
}

/// Whether `name` is called, as a function or on `self`, in these tokens.
fn calls(body: &str, name: &str) -> bool {
    let name = name.trim();
    body.contains(&format!("self . {name} ("))
        || body.contains(&format!("self . {name} :: <"))
        || body
            .split_whitespace()
            .collect::<Vec<_>>()
            .windows(3)
            .any(|window| window[1] == name && window[2] == "(" && window[0] != "." && window[0] != "fn")
}

fn class(body: &str) -> Option<String> {
    let (_, after) = body.split_once("Class :: ")?;
    let name: String = after.chars().take_while(|letter| letter.is_alphanumeric()).collect();
    Some(name.to_lowercase())
}

fn needs(body: &str) -> Vec<&'static str> {
    let mut found: Vec<_> = READS
        .iter()
        .filter(|(function, _)| body.contains(&format!("snapshot . {function} (")))
        .flat_map(|(_, data)| data.split(", "))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Methods that are written piece by piece: their table names them, their parser has their words and parameters.
fn streamed(item: &syn::ItemConst, items: &[Item], bodies: &[Bodies]) -> Vec<Method> {
    let Expr::Array(array) = &*item.expr else { return Vec::new() };
    let entries = array.elems.iter().map(|entry| {
        let Expr::Struct(entry) = entry else { panic!("a table of structs") };
        let field = |name: &str| {
            let field = entry.fields.iter().find(|field| field.member.to_token_stream().to_string() == name);
            field.expect("every field is there").expr.to_token_stream().to_string()
        };
        let name = field("method").trim_matches('"').to_owned();
        let parser = field("parse");
        let function = items.iter().find_map(|item| match item {
            Item::Fn(item) if item.sig.ident == parser => Some(item),
            _ => None,
        });
        let function = function.expect("the parser is in the same file");
        let own = bodies.iter().find(|file| file.contains_key(&parser)).expect("the parser is in a file");
        let body = with_called(&own[&parser], own, &[]);
        Method {
            namespace: name.split('_').next().unwrap_or_default().to_owned(),
            ended_by: None,
            words: doc(&function.attrs),
            params: typed_lets(&function.block.stmts),
            result: String::new(),
            class: class(&field("class")),
            is_streamed: true,
            needs: needs(&body),
            name,
        }
    });
    entries.collect()
}

/// `let (a, b): (A, B) = params.parse()?` and its like.
fn typed_lets(statements: &[Stmt]) -> Vec<Param> {
    let mut found = Vec::new();
    for statement in statements {
        let Stmt::Local(local) = statement else { continue };
        let Pat::Type(typed) = &local.pat else { continue };
        let source = local.init.as_ref().map(|init| init.expr.to_token_stream().to_string());
        if !source.is_some_and(|source| source.starts_with("params") || source.starts_with("sequence")) {
            continue;
        }
        match (&*typed.pat, &*typed.ty) {
            (Pat::Tuple(names), Type::Tuple(types)) => {
                let pairs = names.elems.iter().zip(&types.elems);
                found.extend(pairs.map(|(name, kind)| param(&name.to_token_stream().to_string(), kind)));
            }
            (name, kind) => found.push(param(&name.to_token_stream().to_string(), kind)),
        }
    }
    found
}

/// The methods about the methods.
fn registered() -> Vec<Method> {
    let method = |name: &str, words: &str| Method {
        name: name.to_owned(),
        ended_by: None,
        namespace: "rpc".to_owned(),
        words: words.to_owned(),
        params: Vec::new(),
        result: String::new(),
        class: None,
        is_streamed: false,
        needs: Vec::new(),
    };
    vec![
        method("rpc_modules", "The namespaces that are served, with their versions."),
        method("rpc_discover", "The OpenRPC document of all methods that this client has."),
        method("rpc.discover", "As `rpc_discover`, under the name of the OpenRPC specification."),
    ]
}

fn param(name: &str, kind: &Type) -> Param {
    let optional = inner(kind, "Option");
    Param {
        name: camel(name.trim_start_matches("mut ")),
        is_required: optional.is_none(),
        kind: words(optional.unwrap_or(kind)),
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let mut letters = part.chars();
        let head: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        all + &head + letters.as_str()
    })
}

/// `T` of `wrapper<T>`.
fn inner<'a>(kind: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == wrapper)?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(kind) => Some(kind),
        _ => None,
    })
}

fn words(kind: &Type) -> String {
    kind.to_token_stream().to_string().replace(' ', "")
}

fn named(attribute: &Attribute, wanted: &str) -> Option<String> {
    let Meta::List(list) = &attribute.meta else { return None };
    let text = list.tokens.to_string();
    let (_, after) = text.split_once(&format!("{wanted} = \""))?;
    after.split('"').next().map(str::to_owned)
}

fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ").trim().to_owned()
}
