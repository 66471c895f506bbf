//! What a part of a suite found, ready to be shown: the same for a page, a document and a picture.

use serde::{Deserialize, Serialize};

/// One part of the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Part {
    /// By which it is asked for, and by which its files are named.
    pub(in crate::bench) name: String,
    pub(in crate::bench) title: String,
    /// What was done, in a sentence or two.
    pub(in crate::bench) about: String,
    pub(in crate::bench) tables: Vec<Table>,
    pub(in crate::bench) plots: Vec<Plot>,
    pub(in crate::bench) targets: Vec<Target>,
    /// What whoever reads the figures must know.
    pub(in crate::bench) notes: Vec<String>,
    pub(in crate::bench) conditions: Conditions,
}

/// Under which a part was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Conditions {
    /// Seconds since 1970.
    pub(in crate::bench) when: u64,
    pub(in crate::bench) machine: String,
    pub(in crate::bench) cores: String,
    /// Version of this program, and of whatever it was measured beside.
    pub(in crate::bench) programs: Vec<String>,
    pub(in crate::bench) rounds: u32,
    /// Whether it was made in a hurry, so that its figures count for little.
    pub(in crate::bench) quick: bool,
    /// Processes that wanted a core when it began, on average over a minute.
    pub(in crate::bench) load: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Table {
    pub(in crate::bench) caption: String,
    pub(in crate::bench) columns: Vec<String>,
    /// As many cells each as there are columns.
    pub(in crate::bench) rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Plot {
    /// By which its file is named.
    pub(in crate::bench) name: String,
    pub(in crate::bench) title: String,
    pub(in crate::bench) x: Axis,
    pub(in crate::bench) y: Axis,
    pub(in crate::bench) series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Axis {
    pub(in crate::bench) label: String,
    pub(in crate::bench) scale: Scale,
}

/// How numbers lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) enum Scale {
    /// From 0 on.
    Linear,
    Log,
    /// Parts of a whole, each further nine as wide as the one before: 0.9, 0.99, 0.999.
    Nines,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Series {
    pub(in crate::bench) name: String,
    pub(in crate::bench) points: Vec<(f64, f64)>,
}

/// Something promised, and whether it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Target {
    pub(in crate::bench) what: String,
    pub(in crate::bench) wanted: String,
    pub(in crate::bench) measured: String,
    pub(in crate::bench) met: bool,
}

impl Axis {
    pub(in crate::bench) fn new(label: &str, scale: Scale) -> Self {
        Self {
            label: label.to_owned(),
            scale,
        }
    }
}

impl Table {
    pub(in crate::bench) fn new(caption: &str, columns: &[&str]) -> Self {
        Self {
            caption: caption.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

impl Target {
    /// The number must be at least this.
    pub(in crate::bench) fn at_least(what: &str, least: f64, measured: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            wanted: format!("at least {}{unit}", number(least)),
            measured: format!("{}{unit}", number(measured)),
            met: measured >= least,
        }
    }

    /// The number must be below this.
    pub(in crate::bench) fn below(what: &str, limit: f64, measured: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            wanted: format!("below {}{unit}", number(limit)),
            measured: format!("{}{unit}", number(measured)),
            met: measured < limit,
        }
    }
}

/// A number for people: three digits or more, thousands apart.
pub(in crate::bench) fn number(number: f64) -> String {
    use crate::bench::report::grouped;
    match number {
        _ if !number.is_finite() => "–".to_owned(),
        _ if number >= 100.0 => grouped(number.round() as u64),
        _ if number >= 10.0 => format!("{number:.1}"),
        _ if number == 0.0 => "0".to_owned(),
        _ if number >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_more() {
        let cases = [
            (0.0, "0"),
            (0.3456, "0.346"),
            (4.567, "4.57"),
            (45.67, "45.7"),
            (456.7, "457"),
            (123_456.0, "123,456"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn targets_are_met_or_missed() {
        assert!(Target::at_least("", 100.0, 100.0, "").met);
        assert!(!Target::at_least("", 100.0, 99.9, "").met);
        assert!(!Target::below("", 1.0, 1.0, " ms").met);
        assert!(!Target::below("", 1.0, f64::NAN, " ms").met);
        let target = Target::below("mean", 1.0, 0.4567, " ms");
        assert_eq!(
            (&*target.wanted, &*target.measured),
            ("below 1.00 ms", "0.457 ms")
        );
    }
}
