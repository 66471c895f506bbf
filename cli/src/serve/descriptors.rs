//! How many files the process may have open: each connection is one.

use ant_cache_host::process::raise_file_limit;

/// Descriptors beside those of connections: listeners, pollers, wake-ups, logs, with room to spare.
const OTHERS: u64 = 64;

/// Raises the limit as far as it goes. Returns a warning where that is too little for `connections`.
pub(super) fn raise(connections: u64) -> Option<String> {
    shortage(raise_file_limit(), connections)
}

/// The warning where `allowed` descriptors (none: any number) are too few.
fn shortage(allowed: Option<u64>, connections: u64) -> Option<String> {
    let allowed = allowed.filter(|&allowed| allowed < connections.saturating_add(OTHERS))?;
    let fit = allowed.saturating_sub(OTHERS);
    Some(format!(
        "at most {allowed} files may be open, room for about {fit} of the {connections} connections that are allowed; \
         raise the limit (ulimit -n) or lower --max-connections"
    ))
}

#[cfg(test)]
mod tests {
    use super::shortage;

    #[test]
    fn what_does_not_fit_is_told() {
        assert_eq!(shortage(None, 1_000_000), None);
        assert_eq!(shortage(Some(10_064), 10_000), None);
        let warning = shortage(Some(1024), 10_000).unwrap();
        assert!(
            warning.starts_with("at most 1024 files may be open, room for about 960 of the 10000"),
            "{warning}"
        );
        assert!(shortage(Some(10), u64::MAX).is_some());
    }
}
