//! `ant-cache-cli stats`: what a server tells of itself, once.

mod reading;

use std::io::{self, Write};
use std::process::ExitCode;

use ant_cache_runtime_std::client::ErrorKind;
use serde_json::{Map, Value, json};

use crate::server::Server;
pub(crate) use reading::{CommandLine, HotKey, Reading, connect, hot_keys};

/// Prints what a server tells of itself: INFO with all of its sections, and the hottest keys.
///
/// Exit status: 0, 1 if the server answered with an error, 2 if the command line is wrong or there is no connection.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// Print JSON instead of a table: an object of sections, numbers as numbers.
    #[arg(long)]
    json: bool,
}

/// Hot keys that are told.
const HOT_KEYS: usize = 10;

/// Prints the figures.
pub(crate) fn run(args: &Args) -> ExitCode {
    let asked = connect(&args.server).and_then(|mut client| {
        let reading = Reading::take(&mut client)?;
        Ok((reading, hot_keys(&mut client, HOT_KEYS)?))
    });
    let (reading, hot) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("ant-cache-cli stats: {error}");
            let refused = matches!(error.kind(), ErrorKind::Reply(_));
            return ExitCode::from(if refused { 1 } else { 2 });
        }
    };
    let text = if args.json {
        format!("{:#}\n", as_json(&reading, &hot))
    } else {
        as_table(&reading, &hot)
    };
    // Where nobody reads it any more, nobody is left to tell.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn as_json(reading: &Reading, hot: &[HotKey]) -> Value {
    let mut all = Map::new();
    for (title, fields) in &reading.sections {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.clone(), typed(value)));
        all.insert(title.to_ascii_lowercase(), Value::Object(fields.collect()));
    }
    let hot = hot
        .iter()
        .map(|hot| json!({ "key": hot.key, "percent": typed(&hot.share) }));
    all.insert("hotkeys".to_owned(), hot.collect());
    Value::Object(all)
}

/// A number where it is one, `a=1,b=2` as an object, else a text.
fn typed(value: &str) -> Value {
    if let Ok(number) = value.parse::<u64>() {
        return number.into();
    }
    if let Ok(number) = value.parse::<f64>()
        && number.is_finite()
    {
        return number.into();
    }
    let pairs: Option<Map<_, _>> = value
        .split(',')
        .map(|pair| pair.split_once('='))
        .map(|pair| pair.map(|(name, value)| (name.to_owned(), typed(value))))
        .collect();
    pairs.map_or_else(|| value.into(), Value::Object)
}

fn as_table(reading: &Reading, hot: &[HotKey]) -> String {
    let mut text = String::new();
    let names = reading.sections.iter().flat_map(|(_, fields)| fields);
    let width = names.map(|(name, _)| name.len()).max().unwrap_or(0);
    for (title, fields) in &reading.sections {
        if fields.is_empty() {
            continue;
        }
        text.push_str(&format!("{title}\n"));
        for (name, value) in fields {
            text.push_str(&format!("  {name:width$}  {value}\n"));
        }
    }
    if !hot.is_empty() {
        text.push_str("Hot keys\n");
        for HotKey { key, share } in hot {
            text.push_str(&format!("  {share:>6} %  {key}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_pairs_are_typed() {
        assert_eq!(typed("12"), json!(12));
        assert_eq!(typed("1.50"), json!(1.5));
        assert_eq!(typed("keys=1,expires=0"), json!({"keys": 1, "expires": 0}));
        for text in ["", "std", "a=1,b", "NaN", "inf"] {
            assert_eq!(typed(text), json!(text));
        }
    }
}
