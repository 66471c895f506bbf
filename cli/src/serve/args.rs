//! The flags of the server: made from the table of settings.

use ant_cache_host::config::{CONFIG, SETTINGS, Setting, variable};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::args::Flag;

/// Asks for what is in force, instead of serving.
const PRINT_CONFIG: &str = "print-config";

/// What the command line of the server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// Settings by name, as they were written; their types are the table's business.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Whether to print the settings in force and stop.
    pub(super) print_config: bool,
}

/// The long flags, for [`double_dashes`](crate::args::double_dashes).
pub(crate) fn flags() -> Vec<Flag> {
    let valued = names().map(|name| Flag {
        name,
        takes_value: !SETTINGS
            .iter()
            .any(|known| known.name == name && known.switch),
    });
    let bare = [PRINT_CONFIG, "help", "version"].map(|name| Flag {
        name,
        takes_value: false,
    });
    valued.chain(bare).collect()
}

fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name).chain([CONFIG])
}

/// A flag with a value; of several with one name the last counts, so that a script's flags can be overridden.
fn valued(name: &'static str, placeholder: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .action(ArgAction::Set)
        .overrides_with(name)
        // A negative number is a bad value of this flag, not an unknown flag.
        .allow_negative_numbers(true)
}

fn setting(setting: &Setting) -> Arg {
    let default = setting
        .default_text()
        .map_or(String::new(), |text| format!(" [default: {text}]"));
    let help = format!("{}{default} [env: {}]", setting.doc, variable(setting.name));
    let arg = valued(setting.name, setting.placeholder)
        .help(help)
        .help_heading(heading(setting));
    if setting.switch {
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("yes")
    } else {
        arg
    }
}

/// The section of a setting, as a title.
fn heading(setting: &Setting) -> &'static str {
    match setting.section() {
        "server" => "Server",
        "auth" => "Authentication",
        "limits" => "Limits",
        "log" => "Log",
        "metrics" => "Metrics",
        _ => "Persistence",
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        let config = valued(CONFIG, "FILE").help(format!(
            "File of settings: TOML where it ends in .toml, else JSON [env: {}]",
            variable(CONFIG)
        ));
        let print = Arg::new(PRINT_CONFIG)
            .long(PRINT_CONFIG)
            .action(ArgAction::SetTrue)
            .help("Print every setting in force and where it came from, then exit");
        command
            .args([config, print])
            .args(SETTINGS.iter().map(setting))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given =
            names().filter_map(|name| Some((name, matches.get_one::<String>(name)?.clone())));
        self.settings.extend(given);
        self.print_config |= matches.get_flag(PRINT_CONFIG);
        Ok(())
    }
}
