//! Tables and pictures inside a document that people write.
//!
//! Between a line `<!-- measured NAME -->` and the next `<!-- end -->` stands what the part of that name found, and is
//! replaced as a whole; everything else stays as it is.

use core::fmt::Write;

use super::day;
use crate::bench::suite::{Conditions, Part, Table, Target};

const BEGIN: &str = "<!-- measured ";
const END: &str = "<!-- end -->";

/// Replaces what is between the marks of these parts. Returns the document, and the names of parts that have no marks in it.
///
/// # Errors
/// A mark without an end, by its line.
pub(in crate::bench) fn update(
    document: &str,
    parts: &[Part],
) -> Result<(String, Vec<String>), String> {
    let mut out = String::new();
    let mut left: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let _ = writeln!(out, "{line}");
        let name = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(" -->"));
        let Some(name) = name else { continue };
        let content = match name {
            "targets" => Some(target_list(parts)),
            name => parts.iter().find(|part| part.name == name).map(section),
        };
        left.retain(|left| left != name);
        if let Some(content) = &content {
            out.push_str(content);
        }
        loop {
            let Some((_, line)) = lines.next() else {
                return Err(format!("line {}: {line} has no {END}", number + 1));
            };
            if line == END {
                let _ = writeln!(out, "{END}");
                break;
            }
            if content.is_none() {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    Ok((out, left))
}

/// The file of a plot, beside the document.
pub(in crate::bench) fn picture(name: &str) -> String {
    format!("img/bench-{name}.svg")
}

/// The machine, and all targets of all parts in one table.
fn target_list(parts: &[Part]) -> String {
    let targets: Vec<&Target> = parts.iter().flat_map(|part| &part.targets).collect();
    let mut table = Table::new("", &["target", "wanted", "measured", ""]);
    table.rows = targets
        .iter()
        .map(|target| {
            let verdict = if target.met { "met" } else { "**missed**" };
            let cells = [&*target.what, &target.wanted, &target.measured, verdict];
            cells.map(str::to_owned).to_vec()
        })
        .collect();
    let machine = parts.first().map_or(String::new(), |part| {
        let conditions = &part.conditions;
        let programs = conditions.programs.join("; ");
        format!(
            "\nMachine: {}. Programs: {programs}. Measured on {}.\n",
            conditions.machine,
            day(conditions.when)
        )
    });
    format!("{machine}\n{}\n", rows(&table))
}

fn section(part: &Part) -> String {
    let mut out = format!("\n{}\n{}\n", part.about, conditions(&part.conditions));
    for table in &part.tables {
        let caption = &table.caption;
        let gap = if caption.is_empty() {
            String::new()
        } else {
            format!("{caption}\n\n")
        };
        let _ = write!(out, "\n{gap}{}", rows(table));
    }
    for note in &part.notes {
        let _ = write!(out, "\n{note}\n");
    }
    for plot in &part.plots {
        let _ = write!(out, "\n![{}]({})\n", plot.title, picture(&plot.name));
    }
    out.push('\n');
    out
}

fn conditions(conditions: &Conditions) -> String {
    let hurry = if conditions.quick {
        " In a hurry: the figures count for little."
    } else {
        ""
    };
    let rounds = match conditions.rounds {
        1 => "One round".to_owned(),
        rounds => format!("Medians of {rounds} rounds"),
    };
    format!("{rounds}; {}.{hurry}", conditions.cores)
}

fn rows(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = "|---".repeat(table.columns.len());
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{}{rule}|\n{rows}", line(&table.columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str) -> Part {
        let mut table = Table::new("", &["a", "b"]);
        table.rows.push(vec!["1".into(), "2".into()]);
        Part {
            name: name.into(),
            about: "What was done.".into(),
            tables: vec![table],
            targets: vec![Target::at_least("speed", 1.0, 0.5, "")],
            ..Part::default()
        }
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let document = "# Title\n<!-- measured one -->\nold\n<!-- end -->\ntext\n<!-- measured two -->\nkept\n<!-- end -->\n";
        let (new, left) = update(document, &[part("one"), part("three")]).unwrap();
        assert!(
            new.starts_with("# Title\n<!-- measured one -->\n\nWhat was done.\n"),
            "{new}"
        );
        assert!(new.contains("| a | b |\n|---|---|\n| 1 | 2 |\n"), "{new}");
        assert!(
            new.ends_with("<!-- end -->\ntext\n<!-- measured two -->\nkept\n<!-- end -->\n"),
            "{new}"
        );
        assert!(!new.contains("old"));
        assert_eq!(left, ["three"]);
        // A second time nothing changes.
        assert_eq!(update(&new, &[part("one")]).unwrap().0, new);
    }

    #[test]
    fn targets_of_all_parts() {
        let (new, _) = update("<!-- measured targets -->\n<!-- end -->\n", &[part("one")]).unwrap();
        assert!(
            new.contains("| speed | at least 1.00 | 0.500 | **missed** |"),
            "{new}"
        );
    }

    #[test]
    fn a_mark_without_an_end() {
        let error = update("a\n<!-- measured one -->\nb\n", &[]).unwrap_err();
        assert_eq!(error, "line 2: <!-- measured one --> has no <!-- end -->");
    }
}
