//! Files of settings: JSON, or TOML where the name ends in `.toml`, with the same keys.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::Error;
use super::nearest::nearest;
use super::table::{Layers, SETTINGS, Scalar, Setting, Source};

/// The longest file in bytes. All settings with their longest values need a few KiB; a device that never ends must
/// not be read to its end.
const LONGEST: u64 = 1 << 20;

/// Reads the file at `path` into `layers`.
pub(super) fn read(path: &Path, layers: &mut Layers) -> Result<(), Error> {
    let unreadable = |reason: String| Error::Read {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let read = file.take(LONGEST + 1).read_to_string(&mut text);
    if read.map_err(|error| unreadable(error.to_string()))? as u64 > LONGEST {
        return Err(unreadable(format!("it is longer than {LONGEST} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let parsed = if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
    {
        toml::from_str(text).map_err(|error| located(text, &error))
    } else {
        serde_json::from_str(text).map_err(|error| error.to_string())
    };
    let root: Node = parsed.map_err(|reason| Error::Syntax {
        path: path.to_owned(),
        reason,
    })?;
    apply(&root, "", &Source::File(Arc::from(path)), path, layers)
}

/// The message of a TOML error in one line, with its place.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message;
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    format!("{message} at line {line} column {column}")
}

/// Sets what `node`, found under `key`, says.
fn apply(
    node: &Node,
    key: &str,
    source: &Source,
    path: &Path,
    layers: &mut Layers,
) -> Result<(), Error> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
        let scalar = match node {
            Node::Scalar(scalar) => scalar.clone(),
            Node::Table(_) => Scalar::Other("a table of further keys".to_owned()),
        };
        return once(setting, source, path, layers)
            .and_then(|()| setting.set(layers, &scalar, source));
    }
    if !key.is_empty() && !SETTINGS.iter().any(|setting| setting.section() == key) {
        let known = SETTINGS
            .iter()
            .flat_map(|setting| [setting.section(), setting.key]);
        return Err(Error::Unknown {
            place: path.display().to_string(),
            what: "key",
            name: key.to_owned(),
            nearest: nearest(key, known).to_owned(),
        });
    }
    let Node::Table(entries) = node else {
        let place = [&*path.display().to_string(), key].join(":");
        let place = place.trim_end_matches(':').to_owned();
        return Err(Error::Value {
            place,
            expected: "a table of settings".to_owned(),
            found: node.to_string(),
        });
    };
    for (name, node) in entries {
        let key = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        apply(node, &key, source, path, layers)?;
    }
    Ok(())
}

/// Refuses a second value of one setting: JSON lets `"server.port"` stand beside `"server": {"port"}`.
fn once(setting: &Setting, source: &Source, path: &Path, layers: &Layers) -> Result<(), Error> {
    if setting.show(layers).source == source {
        let reason = format!("{} is given twice", setting.key);
        return Err(Error::Syntax {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(())
}

/// What a file holds, whichever its notation.
#[derive(Debug)]
enum Node {
    Scalar(Scalar),
    Table(Vec<(String, Node)>),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Text(text.to_owned())))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(n.to_string())))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(n.to_string())))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(n.to_string())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Other(value.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Other("null".to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        while items.next_element::<Node>()?.is_some() {}
        Ok(Node::Scalar(Scalar::Other("a list".to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some((name, node)) = map.next_entry::<String, Node>()? {
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("{name:?} is given twice")));
            }
            entries.push((name, node));
        }
        Ok(Node::Table(entries))
    }
}
