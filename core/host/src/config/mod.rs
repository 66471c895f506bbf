//! Settings: from flags, the environment and a file, to what a server runs with.
//!
//! Two steps. [`load`] first fills [`Layers`], where every setting has its type and knows its [`Source`]: flags
//! override the environment, which overrides the file, which overrides the defaults. Then it resolves them into
//! [`Settings`], in which what follows from several settings together is decided, and nothing is left to ask.
//!
//! [`SETTINGS`] is the one table in which each setting is declared.
//!
//! ```
//! use ant_cache_host::config;
//!
//! let flags = [("workers", "100".to_owned())];
//! let (layers, settings) = config::load(flags, [])?;
//! assert_eq!(settings.workers.get(), 100);
//! assert!(layers.to_string().contains("flag --workers"));
//!
//! let error = config::load([("workers", "many".to_owned())], []).unwrap_err();
//! assert_eq!(error.to_string(), "--workers: expected a whole number from 1 to 10000, found \"many\"");
//! # Ok::<(), config::Error>(())
//! ```

mod error;
mod file;
mod kind;
mod nearest;
mod settings;
mod start;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

pub use error::Error;
pub use kind::{Access, Architecture, Fsync, Level, LogFormat, Runtime, Secret};
pub use settings::Settings;
pub use table::{CONFIG, Layers, SETTINGS, Setting, Source, variable};

use nearest::nearest;
use table::Scalar;

/// Reads all sources and resolves them.
///
/// `flags` are pairs of a setting's name (or [`CONFIG`]) and its value; of several with one name the last counts.
/// `environment` is what [`std::env::vars_os`] gives.
///
/// # Errors
/// The first thing that is wrong, of the file, the environment and the flags in this order.
pub fn load<'a>(
    flags: impl IntoIterator<Item = (&'a str, String)>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Layers, Settings), Error> {
    let flags: Vec<(&str, String)> = flags.into_iter().collect();
    let variables = variables(environment)?;

    let mut layers = Layers::default();
    let last = |values: &[(&str, String)]| {
        let config = values.iter().rev().find(|(name, _)| *name == CONFIG);
        config
            .map(|(_, path)| PathBuf::from(path))
            .filter(|path| !path.as_os_str().is_empty())
    };
    let config_file = last(&flags).or_else(|| last(&variables));
    if let Some(path) = &config_file {
        file::read(path, &mut layers)?;
    }
    for (source, values) in [(Source::Environment, variables), (Source::Flag, flags)] {
        for (name, value) in values {
            if name == CONFIG {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
                return Err(unknown("command line", "flag", name, names(str::to_owned)));
            };
            setting.set(&mut layers, &Scalar::Text(value), &source)?;
        }
    }
    let settings = layers.resolve(config_file)?;
    Ok((layers, settings))
}

/// The variables of the environment that are meant for this program, as pairs of a setting's name and its value.
fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(&'static str, String)>, Error> {
    let mut found = Vec::new();
    for (variable_name, value) in environment {
        let Some(variable_name) = variable_name
            .to_str()
            .filter(|name| name.starts_with("ANT_CACHE_"))
        else {
            continue;
        };
        if is_service_link(variable_name, &value.to_string_lossy()) {
            continue;
        }
        let known = SETTINGS.iter().map(|setting| setting.name).chain([CONFIG]);
        let Some(name) = known
            .into_iter()
            .find(|name| variable(name) == variable_name)
        else {
            return Err(unknown(
                "environment",
                "variable",
                variable_name,
                names(variable),
            ));
        };
        let value = value.into_string().map_err(|_| Error::Value {
            place: variable_name.to_owned(),
            expected: "text in UTF-8".to_owned(),
            found: "other bytes".to_owned(),
        })?;
        found.push((name, value));
    }
    Ok(found)
}

/// Whether a variable is one of those that Kubernetes sets in every container for a service that is called
/// `ant-cache` or `ant-cache-…`: `ANT_CACHE_PORT` would be the address of the service.
fn is_service_link(variable: &str, value: &str) -> bool {
    let rest = variable.trim_start_matches("ANT_CACHE");
    rest.contains("_SERVICE_")
        || rest.contains("_PORT_")
        || (rest.ends_with("_PORT") && value.contains("://"))
}

/// The names of all settings in the form that `of` gives them.
fn names(of: impl Fn(&str) -> String) -> Vec<String> {
    SETTINGS
        .iter()
        .map(|setting| setting.name)
        .chain([CONFIG])
        .map(of)
        .collect()
}

fn unknown(place: &str, what: &'static str, name: &str, known: Vec<String>) -> Error {
    let nearest = nearest(name, known.iter().map(String::as_str)).to_owned();
    Error::Unknown {
        place: place.to_owned(),
        what,
        name: name.to_owned(),
        nearest,
    }
}
