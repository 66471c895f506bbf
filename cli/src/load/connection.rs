//! How the commands that fill a server reach it.

use std::path::PathBuf;

use ant_cache_runtime_std::client::{Address, Client, ClientError, ClientOptions};

/// The server to fill.
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
}

impl Server {
    /// Connects.
    pub(crate) fn connect(&self) -> Result<Client, ClientError> {
        let address = match &self.unix_socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp {
                host: self.host.clone(),
                port: self.port,
            },
        };
        let options = ClientOptions {
            password: self.password.clone(),
            ..ClientOptions::default()
        };
        Client::connect(address, options)
    }
}
