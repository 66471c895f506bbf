//! The server that a subcommand talks to.

use std::path::PathBuf;

use ant_cache_runtime_std::client::{Address, Client, ClientError, ClientOptions};

/// Where it is, as arguments. `-h` is its host, as in redis-cli, so whoever flattens this turns off clap's own help.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// Host of the server.
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the server.
    #[arg(short, long, default_value_t = Address::DEFAULT_PORT)]
    port: u16,
    /// Unix socket of the server, instead of host and port.
    #[arg(short = 's', long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,
    /// Password of the server. Others can see a command line: better in the environment.
    #[arg(short = 'a', long, env = "ANT_CACHE_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help, display_order = 999)]
    help: Option<bool>,
}

impl Server {
    /// Its address.
    pub(crate) fn address(&self) -> Address {
        match &self.unix_socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp {
                host: self.host.clone(),
                port: self.port,
            },
        }
    }

    /// Its password, if it was told.
    pub(crate) fn password(&self) -> Option<String> {
        self.password.clone()
    }

    /// A connection to it, with its password and otherwise these options.
    pub(crate) fn connect(&self, options: ClientOptions) -> Result<Client, ClientError> {
        let options = ClientOptions {
            password: self.password(),
            ..options
        };
        Client::connect(self.address(), options)
    }
}
