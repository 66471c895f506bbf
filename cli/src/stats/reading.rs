//! What a server tells of itself.

use core::time::Duration;
use std::collections::BTreeMap;

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{Client, ClientError, ClientOptions};

use crate::server::Server;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a server that is asked.
pub(crate) fn connect(server: &Server) -> Result<Client, ClientError> {
    server.connect(ClientOptions {
        connect_timeout: Some(PATIENCE),
        read_timeout: Some(PATIENCE),
        ..ClientOptions::default()
    })
}

/// What INFO told at one moment: fields by section, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) sections: Vec<(String, Vec<(String, String)>)>,
    values: BTreeMap<String, String>,
}

/// One command's line of INFO commandstats, with that of latencystats.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CommandLine {
    pub(crate) name: String,
    pub(crate) calls: f64,
    pub(crate) failures: f64,
    /// Microseconds that half of its calls, and 99 of a hundred, did not exceed.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Reading {
    /// Asks a server.
    pub(crate) fn take(client: &mut Client) -> Result<Self, ClientError> {
        let reply = client.command(&["INFO", "all"])?;
        Ok(Self::parse(&String::from_utf8_lossy(
            reply.as_bytes().unwrap_or_default(),
        )))
    }

    /// Reads what INFO answers.
    pub(crate) fn parse(text: &str) -> Self {
        let mut reading = Self::default();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("# ") {
                reading.sections.push((title.to_owned(), Vec::new()));
            } else if let Some((name, value)) = line.split_once(':') {
                let (name, value) = (name.to_owned(), value.to_owned());
                reading.values.insert(name.clone(), value.clone());
                if let Some((_, fields)) = reading.sections.last_mut() {
                    fields.push((name, value));
                }
            }
        }
        reading
    }

    /// A field's text; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A field's number; not a number where there is none.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or(f64::NAN)
    }

    /// The lines of commands, those with most calls first.
    pub(crate) fn commands(&self) -> Vec<CommandLine> {
        let part = |value: &str, name: &str| -> f64 {
            let mut parts = value.split(',').filter_map(|part| part.split_once('='));
            let found = parts.find(|(part, _)| *part == name);
            found
                .and_then(|(_, value)| value.parse().ok())
                .unwrap_or(f64::NAN)
        };
        let mut commands: Vec<CommandLine> = self
            .values
            .iter()
            .filter_map(|(field, value)| {
                let name = field.strip_prefix("cmdstat_")?;
                let times = self.text(&format!("latency_percentiles_usec_{name}"));
                Some(CommandLine {
                    name: name.to_owned(),
                    calls: part(value, "calls"),
                    failures: part(value, "failed_calls"),
                    p50: part(times, "p50"),
                    p99: part(times, "p99"),
                })
            })
            .collect();
        commands.sort_by(|a, b| b.calls.total_cmp(&a.calls));
        commands
    }
}

/// A key that is asked for most.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HotKey {
    pub(crate) key: String,
    /// Its part of all requests, in percent.
    pub(crate) share: String,
}

/// Asks a server for its hottest keys. One that does not know the question has none.
pub(crate) fn hot_keys(client: &mut Client, count: usize) -> Result<Vec<HotKey>, ClientError> {
    let count = count.to_string();
    let reply = match client.command(&["HOTKEYS", "COUNT", &count]) {
        Ok(reply) => reply,
        Err(_) if client.is_connected() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let Value::Array(rows) = reply else {
        return Ok(Vec::new());
    };
    let row = |row: Value| match row {
        Value::Array(row) => {
            let text = |at: usize| Some(row.get(at)?.as_bytes()?.escape_ascii().to_string());
            Some(HotKey {
                key: text(0)?,
                share: text(1)?,
            })
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_commands_are_found() {
        let reading = Reading::parse(
            "# Server\r\nredis_version:7.0.15\r\nos:Linux: a\r\n\r\n# Commandstats\r\n\
             cmdstat_get:calls=3,usec=6,usec_per_call=2.00,rejected_calls=0,failed_calls=1\r\n\
             cmdstat_set:calls=9,usec=6,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
             # Latencystats\r\nlatency_percentiles_usec_get:p50=1.500,p99=2.500,p99.9=3.000\r\n",
        );
        assert_eq!(reading.text("os"), "Linux: a");
        assert!(reading.number("nothing").is_nan());
        assert_eq!(reading.sections.len(), 3);
        let commands = reading.commands();
        assert_eq!(commands[0].name, "set");
        assert!(commands[0].p50.is_nan());
        let get = CommandLine {
            name: "get".to_owned(),
            calls: 3.0,
            failures: 1.0,
            p50: 1.5,
            p99: 2.5,
        };
        assert_eq!(commands[1], get);
    }

    #[test]
    fn nonsense_has_no_fields() {
        for text in ["", "no colon", "# ", ":", "cmdstat_x:calls"] {
            let reading = Reading::parse(text);
            assert!(reading.number("x").is_nan());
            let _ = reading.commands();
        }
    }
}
