//! The other end of the wire: requests as a client writes them, replies as it reads them.
//!
//! For RESP, [`encode`] writes a request, [`Decoder`] builds a [`Value`] from however many pieces a reply arrives
//! in, [`SpanDecoder`] one that says where in a buffer its bytes lie, and [`Scanner`] only finds where a reply ends and
//! what it is, without allocating: that is for load generators and proxies. For the text dialect, [`encode_line`] writes a request, [`LineScanner`] finds the end of a reply and
//! [`unquote`] undoes the quoting of one that holds a string.
//!
//! Nothing here performs I/O; the clients of the runtimes do.
//!
//! ```
//! use ant_cache_core::client::{Decoder, Value, encode};
//!
//! let mut request = Vec::new();
//! encode(&["GET", "user:1"], &mut request);
//! assert_eq!(request, b"*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n");
//!
//! // The reply arrives in two pieces.
//! let mut decoder = Decoder::default();
//! assert_eq!(decoder.decode(&mut &b"$5\r\nhe"[..]), Ok(None));
//! assert_eq!(decoder.decode(&mut &b"llo\r\n"[..]), Ok(Some(Value::Bulk(b"hello".to_vec()))));
//! ```

#[cfg(test)]
mod agreement;
mod build;
mod decode;
mod error;
mod header;
mod line;
mod request;
mod scan;
mod spans;
mod value;

pub use build::ReplyLimits;
pub use decode::Decoder;
pub use error::DecodeError;
pub use header::Kind;
pub use line::{LineScanner, QuoteError, encode_line, unquote};
pub use request::encode;
pub use scan::{Frame, Scanner};
pub use spans::SpanDecoder;
pub use value::Value;
