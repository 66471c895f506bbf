//! What the files of a data directory are called.

/// The names in one data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The snapshot.
    pub snapshot: String,
    /// What the segments of the log begin with; a dot and a number follow.
    pub log: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            snapshot: "cache.atd".to_owned(),
            log: "cache.acl".to_owned(),
        }
    }
}

impl Names {
    /// The snapshot while it is written.
    #[must_use]
    pub fn unfinished(&self) -> String {
        format!("{}.tmp", self.snapshot)
    }

    /// A segment.
    #[must_use]
    pub fn segment(&self, number: u64) -> String {
        format!("{}.{number:06}", self.log)
    }

    /// The number of the segment that has this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.log)?.strip_prefix('.')?;
        let number = digits.parse().ok()?;
        (self.segment(number) == name).then_some(number)
    }

    /// The numbers of the segments among these names, in their order.
    #[must_use]
    pub fn segments(&self, names: &[String]) -> Vec<u64> {
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| self.number(name)).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_written_is_a_segment() {
        let names = Names::default();
        let all = [
            "cache.acl.000010",
            "cache.acl.000002",
            "cache.acl.1000000",
            "cache.acl.2",
            "cache.acl.000002.damaged",
            "cache.acl.-00001",
            "cache.atd",
            "lock",
        ];
        let all = all.map(String::from);
        assert_eq!(names.segments(&all), [2, 10, 1_000_000]);
    }
}
