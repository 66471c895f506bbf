//! The types that a setting can have: how each is written, read, checked and shown.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ant_cache_core::{Eviction, size};

/// A type of setting.
pub(super) trait Kind: Sized {
    /// What stands for the value in the help, such as `PORT`.
    const PLACEHOLDER: &'static str;
    /// Whether a file may give the value as a bare number.
    const NUMERIC: bool = false;
    /// Whether people may not see the value.
    const SECRET: bool = false;
    /// Whether a flag without a value means yes, and a file may say true or false.
    const SWITCH: bool = false;

    /// Completes "expected …" for whoever gave something else.
    fn expects() -> String;

    /// Reads the form that flags, the environment and strings in files have; `None` where it is not one.
    fn parse(text: &str) -> Option<Self>;

    /// The value in a form that [`parse`](Self::parse) reads; `None` where nothing is set.
    fn show(&self) -> Option<String>;
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// The number, for a default. Out of range it does not compile, where evaluated as a constant.
    pub(super) const fn new(n: u64) -> Self {
        assert!(MIN <= n && n <= MAX);
        Self(n)
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Kind for Count<MIN, MAX> {
    const PLACEHOLDER: &'static str = "N";
    const NUMERIC: bool = true;

    fn expects() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(text: &str) -> Option<Self> {
        // `u64::from_str` would take a plus sign.
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n = text.parse().ok()?;
        (MIN..=MAX).contains(&n).then_some(Self(n))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// A number of bytes from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// The number, for a default. Out of range it does not compile, where evaluated as a constant.
    pub(super) const fn new(bytes: u64) -> Self {
        assert!(MIN <= bytes && bytes <= MAX);
        Self(bytes)
    }

    pub(super) const fn bytes(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Kind for Size<MIN, MAX> {
    const PLACEHOLDER: &'static str = "SIZE";
    const NUMERIC: bool = true;

    fn expects() -> String {
        format!("a size from {} to {}", size::exact(MIN), size::exact(MAX))
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = size::parse(text)?;
        (MIN..=MAX).contains(&bytes).then_some(Self(bytes))
    }

    fn show(&self) -> Option<String> {
        Some(size::exact(self.0))
    }
}

/// Writes a number in the largest of its units that divides it; the last of them is 1.
fn show_unit(n: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, unit): &&(&str, u64)| n.is_multiple_of(*unit);
    units.iter().find(fits).map_or_else(
        || n.to_string(),
        |(name, unit)| format!("{}{name}", n / unit),
    )
}

/// A bound on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryBound {
    /// None.
    Unbounded,
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of what there is, 1 to 100.
    Percent(u8),
}

impl Kind for MemoryBound {
    const PLACEHOLDER: &'static str = "SIZE";
    const NUMERIC: bool = true;

    fn expects() -> String {
        "a size such as 512mb, a share such as 75%, or 0 for no bound".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_suffix('%') {
            let share = Count::<1, 100>::parse(digits)?;
            // At most 100.
            return Some(Self::Percent(share.value() as u8));
        }
        match size::parse(text)? {
            0 => Some(Self::Unbounded),
            bytes => Some(Self::Bytes(bytes)),
        }
    }

    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Unbounded => "0".to_owned(),
            Self::Bytes(bytes) => size::exact(*bytes),
            Self::Percent(share) => format!("{share}%"),
        })
    }
}

impl Kind for Eviction {
    const PLACEHOLDER: &'static str = "POLICY";

    fn expects() -> String {
        Self::ALL.map(Self::name).join(" or ")
    }

    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn show(&self) -> Option<String> {
        Some(self.name().to_owned())
    }
}

/// The longest duration, in milliseconds: a year. Longer ones are slips of the unit, and this leaves every sum of a
/// moment and a duration far from overflow.
const LONGEST: u64 = 365 * 24 * 3600 * 1000;

/// The units of a duration in milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads `30s`, `1h30m`, `250ms` or plain seconds as milliseconds.
fn millis(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(1000);
    }
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        total = total.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

/// A time after which something is given up; none means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeout(pub(super) Option<Duration>);

impl Kind for Timeout {
    const PLACEHOLDER: &'static str = "DURATION";
    const NUMERIC: bool = true;

    fn expects() -> String {
        "a duration such as 30s or 5m, at most 365d, or 0 for none".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match millis(text)? {
            0 => Some(Self(None)),
            ms if ms <= LONGEST => Some(Self(Some(Duration::from_millis(ms)))),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        let ms = self
            .0
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(LONGEST));
        Some(if ms == 0 {
            "0".to_owned()
        } else {
            show_unit(ms, &UNITS)
        })
    }
}

/// A time between two runs of something, from `MIN` to `MAX` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Interval<MIN, MAX> {
    /// So many seconds, for a default. Out of range it does not compile, where evaluated as a constant.
    pub(super) const fn new(seconds: u64) -> Self {
        assert!(MIN <= seconds && seconds <= MAX);
        Self(Duration::from_secs(seconds))
    }

    pub(super) const fn time(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Kind for Interval<MIN, MAX> {
    const PLACEHOLDER: &'static str = "DURATION";
    const NUMERIC: bool = true;

    fn expects() -> String {
        let show = |seconds| Timeout(Some(Duration::from_secs(seconds))).show();
        let [least, most] = [MIN, MAX].map(|seconds| show(seconds).unwrap_or_default());
        format!("a duration from {least} to {most}")
    }

    fn parse(text: &str) -> Option<Self> {
        let time = Timeout::parse(text)?.0?;
        let range = Duration::from_secs(MIN)..=Duration::from_secs(MAX);
        range.contains(&time).then_some(Self(time))
    }

    fn show(&self) -> Option<String> {
        Timeout(Some(self.0)).show()
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switch(pub(super) bool);

impl Kind for Switch {
    const PLACEHOLDER: &'static str = "yes|no";
    const SWITCH: bool = true;

    fn expects() -> String {
        "yes or no".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "yes" | "true" | "on" | "1" => Some(Self(true)),
            "no" | "false" | "off" | "0" => Some(Self(false)),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        Some(if self.0 { "yes" } else { "no" }.to_owned())
    }
}

/// The name or address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl Kind for HostName {
    const PLACEHOLDER: &'static str = "ADDRESS";

    fn expects() -> String {
        "an address or the name of a host, without port".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        // An IPv6 address may stand in brackets, as in a URL.
        let text = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let colons = text.bytes().filter(|&b| b == b':').count();
        let good = !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            && colons != 1;
        good.then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// A host and a port to listen on; the empty text means none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(pub(super) Option<String>);

impl Endpoint {
    /// The host of `host:port`, without the brackets of an IPv6 address.
    pub(super) fn host(text: &str) -> &str {
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl Kind for Endpoint {
    const PLACEHOLDER: &'static str = "ADDRESS:PORT";

    fn expects() -> String {
        "an address or the name of a host, and a port, such as 127.0.0.1:9190".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        let (host, port) = text.rsplit_once(':')?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        // Without brackets nobody knows where an IPv6 address ends.
        if bare.is_none() && host.contains(':') {
            return None;
        }
        HostName::parse(host)?;
        Count::<0, 65_535>::parse(port).filter(|_| !port.is_empty())?;
        Some(Self(Some(text.to_owned())))
    }

    fn show(&self) -> Option<String> {
        self.0.clone()
    }
}

/// The path of a file; the empty text means none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath(pub(super) Option<PathBuf>);

impl Kind for FilePath {
    const PLACEHOLDER: &'static str = "FILE";

    fn expects() -> String {
        "the path of a file".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.contains('\0')).then(|| Self((!text.is_empty()).then(|| PathBuf::from(text))))
    }

    fn show(&self) -> Option<String> {
        self.0.as_ref().map(|path| path.display().to_string())
    }
}

/// Something that is neither printed nor logged. Its `Debug` form is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What stands for a secret wherever people look.
    pub const MASK: &'static str = "********";

    /// The longest secret in bytes: an AUTH with it must fit in what a stranger may send.
    pub(super) const LONGEST: usize = 4096;

    /// A secret of 1 to 4096 bytes; `None` for other lengths.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        (1..=Self::LONGEST)
            .contains(&bytes.len())
            .then(|| Self(bytes.to_vec()))
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// A password; the empty text means none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Password(pub(super) Option<Secret>);

impl Kind for Password {
    const PLACEHOLDER: &'static str = "PASSWORD";
    const SECRET: bool = true;

    fn expects() -> String {
        format!("a text of at most {} bytes", Secret::LONGEST)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        Secret::new(text.as_bytes()).map(|secret| Self(Some(secret)))
    }

    fn show(&self) -> Option<String> {
        self.0.as_ref().map(|_| Secret::MASK.to_owned())
    }
}

/// An enumeration of which each variant has a name, and perhaps others that mean the same.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $type:ident, $placeholder:literal { $($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)*),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant),+ }

        impl $type {
            /// The name in settings and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl Kind for $type {
            const PLACEHOLDER: &'static str = $placeholder;

            fn expects() -> String {
                [$($name),+].join(" or ")
            }

            fn parse(text: &str) -> Option<Self> {
                match text { $($name $(| $alias)* => Some(Self::$variant),)+ _ => None }
            }

            fn show(&self) -> Option<String> {
                Some(self.name().to_owned())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// What moves the bytes.
    Runtime, "RUNTIME" {
        /// Threads of the operating system.
        Std = "std",
        /// smol executors.
        Smol = "smol",
    }
}

choice! {
    /// How connections are shared out among threads.
    Architecture, "ARCHITECTURE" {
        /// One handler a connection.
        Single = "single" | "single-goroutine",
        /// A fixed number of workers, any number of connections.
        Pooled = "pooled" | "pooled-goroutine",
    }
}

choice! {
    /// Who may see the figures of the metrics listener.
    Access, "ACCESS" {
        /// Everyone who reaches it.
        Open = "open",
        /// Who knows the server's password.
        Password = "password",
    }
}

choice! {
    /// How the log is written.
    LogFormat, "FORMAT" {
        /// A line for people.
        Text = "text",
        /// An object of JSON a line.
        Json = "json",
    }
}

choice! {
    /// When the log is brought to the disk.
    Fsync, "WHEN" {
        /// Before a change is answered.
        Always = "always",
        /// Once in an interval: so much may be lost in a crash of the machine, and 20 ms in one of the server.
        Interval = "interval" | "everysec",
        /// When the kernel likes.
        Never = "never" | "no",
    }
}

choice! {
    /// How much is logged: each level includes those before it.
    Level, "LEVEL" {
        /// What stops the server or loses something.
        Error = "error",
        /// What an operator should look at.
        Warn = "warn",
        /// Start, stop, and changes of size.
        Info = "info",
        /// Single connections.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let cases = [
            ("30s", 30_000),
            ("5m", 300_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1h0m0s", 3_600_000),
            ("2d", 172_800_000),
            ("90", 90_000),
            ("0", 0),
            ("0s", 0),
        ];
        for (text, ms) in cases {
            assert_eq!(millis(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1x",
            "30S",
            "s30",
            "18446744073709551615s",
            "1sm",
            "é",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(Timeout::parse("366d"), None);
        assert_eq!(Interval::<1, 60>::parse("0"), None);
        assert_eq!(Interval::<1, 60>::parse("61s"), None);
        assert_eq!(Timeout::parse("0ms"), Some(Timeout(None)));
    }

    #[test]
    fn counts_keep_their_range() {
        type Small = Count<1, 10>;
        assert_eq!(Small::parse("10").map(Small::value), Some(10));
        for text in [
            "0",
            "11",
            "-1",
            "+1",
            "1.0",
            "",
            " 1",
            "99999999999999999999",
        ] {
            assert_eq!(Small::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_keep_their_range() {
        type Any = Size<65536, 1073741824>;
        for (text, bytes) in [("64k", 64 << 10), ("1GB", 1 << 30), ("65537", 65_537)] {
            assert_eq!(Any::parse(text).map(Any::bytes), Some(bytes), "{text}");
        }
        for text in ["", "63kb", "1025mb", "-1mb", "1 mb"] {
            assert_eq!(Any::parse(text), None, "{text}");
        }
        assert_eq!(Any::expects(), "a size from 64kb to 1gb");
    }

    #[test]
    fn bounds_on_memory() {
        for (text, bound) in [
            ("512mb", MemoryBound::Bytes(512 << 20)),
            ("1GiB", MemoryBound::Bytes(1 << 30)),
            ("100000000", MemoryBound::Bytes(100_000_000)),
            ("75%", MemoryBound::Percent(75)),
            ("100%", MemoryBound::Percent(100)),
            ("0", MemoryBound::Unbounded),
            ("0mb", MemoryBound::Unbounded),
        ] {
            assert_eq!(MemoryBound::parse(text), Some(bound), "{text}");
            assert_eq!(MemoryBound::parse(&bound.show().unwrap()), Some(bound));
        }
        for text in ["", "%", "0%", "101%", "1.5%", "-1%", "75 %", "7%5", "all"] {
            assert_eq!(MemoryBound::parse(text), None, "{text}");
        }
    }

    #[test]
    fn policies_are_shown_by_our_names() {
        let policy = <Eviction as Kind>::parse("allkeys-lru").unwrap();
        assert_eq!(policy.show().as_deref(), Some("lru"));
        assert_eq!(
            <Eviction as Kind>::expects(),
            "adaptive or lru or random or ttl or none"
        );
    }

    #[test]
    fn hosts() {
        for text in ["127.0.0.1", "::1", "localhost", "::"] {
            assert_eq!(HostName::parse(text), Some(HostName(text.to_owned())));
        }
        assert_eq!(HostName::parse("[::1]"), Some(HostName("::1".to_owned())));
        for text in ["", " ", "a b", "127.0.0.1:8890", "a\nb"] {
            assert_eq!(HostName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_hides_itself() {
        let password = Password::parse("swordfish").unwrap();
        assert!(!format!("{password:?}").contains("swordfish"));
        assert_eq!(password.show().as_deref(), Some(Secret::MASK));
        assert_eq!(Password::parse(&"x".repeat(4097)), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(ms in 0..=LONGEST) {
            let timeout = Timeout((ms > 0).then(|| Duration::from_millis(ms)));
            prop_assert_eq!(Timeout::parse(&timeout.show().unwrap()), Some(timeout));
            let size = Size::<0, LONGEST>::new(ms);
            prop_assert_eq!(Size::parse(&size.show().unwrap()), Some(size));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>()) {
            let _ = (millis(&text), HostName::parse(&text), FilePath::parse(&text), Password::parse(&text));
        }
    }
}
