//! Where inputs come from and outputs go.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{T8nArgs, T8nError, TransitionInput, TransitionOutput};

const STDIN: &str = "stdin";

/// The folder of the output files, made when it is not there.
pub(in crate::evm) fn output_folder(given: Option<&Path>) -> Result<PathBuf, T8nError> {
    let folder = given.unwrap_or(Path::new("")).to_owned();
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(&folder).map_err(|source| file_error(&folder, source))?;
    }
    Ok(folder)
}

/// All inputs. What comes from standard input is one object with a key for each.
pub(super) fn read_input(args: &T8nArgs) -> Result<TransitionInput, T8nError> {
    let names = [&args.input_alloc, &args.input_env, &args.input_txs];
    let mut piped = read_piped(names.into_iter().chain(&args.input_blob_params))?;
    let blob_params = match &args.input_blob_params {
        Some(name) => Some(read(name, "blobParams", &mut piped)?),
        None => piped.remove("blobParams"),
    };
    let txs = match piped.remove("txsRlp") {
        Some(Value::String(rlp)) if args.input_txs == STDIN && !rlp.is_empty() => Value::String(rlp),
        _ => read(&args.input_txs, "txs", &mut piped)?,
    };
    Ok(TransitionInput {
        alloc: read(&args.input_alloc, "alloc", &mut piped)?,
        env: read(&args.input_env, "env", &mut piped)?,
        txs,
        blob_params: blob_params.filter(|params| !params.is_null()),
    })
}

/// What is on standard input, if one of the inputs is to be found there.
pub(in crate::evm) fn read_piped<'n>(
    mut names: impl Iterator<Item = &'n String>,
) -> Result<Map<String, Value>, T8nError> {
    if names.any(|name| name == STDIN) { read_stdin() } else { Ok(Map::new()) }
}

fn read_stdin() -> Result<Map<String, Value>, T8nError> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|source| file_error(Path::new(STDIN), source))?;
    serde_json::from_str(&text).map_err(|error| T8nError::input(STDIN, error))
}

/// One input: a file's JSON, or RLP in hexadecimal, or what standard input has under its key.
pub(in crate::evm) fn read(name: &str, key: &str, piped: &mut Map<String, Value>) -> Result<Value, T8nError> {
    if name == STDIN {
        return Ok(piped.remove(key).unwrap_or_default());
    }
    let text = fs::read_to_string(name).map_err(|source| file_error(Path::new(name), source))?;
    let text = text.trim();
    // RLP may stand there without the quotes that make it JSON.
    if text.starts_with("0x") {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text).map_err(|error| T8nError::input(name, error))
}

/// Writes each output to its place; those for one stream are one object there.
pub(super) fn write_output(args: &T8nArgs, folder: &Path, output: &TransitionOutput) -> Result<(), T8nError> {
    let (mut stdout, mut stderr) = (Map::new(), Map::new());
    let outputs = [
        (&args.output_alloc, "alloc", &output.alloc),
        (&args.output_result, "result", &output.result),
        (&args.output_body, "body", &json!(output.body)),
    ];
    for (place, key, value) in outputs {
        match place.as_str() {
            "" => {}
            "stdout" => drop(stdout.insert(key.to_owned(), value.clone())),
            "stderr" => drop(stderr.insert(key.to_owned(), value.clone())),
            file => write(&folder.join(file), value)?,
        }
    }
    if let Some(file) = args.opcode_count.as_deref().filter(|file| !file.is_empty()) {
        write(&folder.join(file), &json!(output.opcode_count))?;
    }
    print(std::io::stdout().lock(), stdout)?;
    print(std::io::stderr().lock(), stderr)
}

/// Writes the only output of a tool to its place.
pub(in crate::evm) fn write_one(folder: &Path, place: &str, value: &Value) -> Result<(), T8nError> {
    let stream = |written: std::io::Result<()>| {
        written.map_err(|source| file_error(Path::new("output stream"), source))
    };
    match place {
        "stdout" => stream(writeln!(std::io::stdout(), "{value:#}")),
        "stderr" => stream(writeln!(std::io::stderr(), "{value:#}")),
        file => write(&folder.join(file), value),
    }
}

fn write(path: &Path, value: &Value) -> Result<(), T8nError> {
    fs::write(path, format!("{value:#}")).map_err(|source| file_error(path, source))
}

fn print(mut stream: impl Write, values: Map<String, Value>) -> Result<(), T8nError> {
    if values.is_empty() {
        return Ok(());
    }
    let written = writeln!(stream, "{:#}", Value::Object(values));
    written.map_err(|source| file_error(Path::new("output stream"), source))
}

pub(super) fn file_error(path: &Path, source: std::io::Error) -> T8nError {
    T8nError::File { path: path.display().to_string(), source }
}
